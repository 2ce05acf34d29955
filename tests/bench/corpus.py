"""The statements that measurements run on: 1.7 to 2.3 KB each, in the shapes of the sample world but with more context, the same for every side of a ratio."""
import json
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
VERBS = ("attempted", "completed", "passed", "failed", "answered", "experienced", "progressed", "interacted", "launched", "initialized", "terminated",
         "registered")
WORDS = ("solve", "read", "compare", "the", "a", "of", "linear", "equation", "text", "source", "reaction", "cell", "history", "method", "result", "draw",
         "explain", "measure", "choose", "order", "name", "why", "how", "with", "and", "in", "two", "graph", "function", "poem", "letter", "table", "acid",
         "force", "work", "energy", "map", "century", "number", "set", "proof")
HOME = "https://lms.example.org"
TYPE = "http://adlnet.gov/expapi/activities/"
PEOPLE, ACTIVITIES_EACH, AT_WORK = 20_000, 15, 640
TIMES = ((1, 2, 3, 4, 5, 6, 10), (447, 406, 40, 54, 25, 12, 16))
"""How many statements are about one person and one activity, and how many in a thousand such pairs have so many."""


def statement(r: random.Random, number: int, *, people: int = PEOPLE, courses: int = 200) -> bytes:
    """Return one statement's bytes, its id first: context, result, extensions, five related activities, a description of any length."""
    course = r.randrange(courses)
    module = f"https://lms.example.org/course/{course}/module/{r.randrange(40)}"
    return json.dumps({
        "id": str(UUID(int=r.getrandbits(128), version=4)),
        "actor": {"objectType": "Agent", "name": f"Learner Number {number % people}", "account": {"homePage": HOME, "name": f"user-{number % people:05}"}},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/" + r.choice(VERBS), "display": {"en-US": "did", "sv-SE": "gjorde"}},
        "object": {"objectType": "Activity", "id": f"{module}/item/{r.randrange(30)}", "definition": {
            "type": f"{TYPE}assessment", "name": {"en-US": f"Item {r.randrange(1000)}", "sv-SE": "Uppgift"},
            "description": {"en-US": " ".join(r.choices(WORDS, k=r.randrange(100)))}}},
        "result": {"score": {"scaled": round(r.random(), 4), "raw": r.randrange(100), "min": 0, "max": 100}, "success": r.random() < 0.7, "completion": True,
                   "duration": f"PT{r.randrange(59)}M{r.randrange(59)}.{r.randrange(10)}S", "response": " ".join(r.choices(WORDS, k=r.randrange(40)))},
        "context": {
            "registration": str(UUID(int=r.getrandbits(128), version=4)), "platform": "Example LMS", "language": "en-US", "revision": "2026.3",
            "instructor": {"objectType": "Agent", "mbox": f"mailto:teacher{r.randrange(50)}@example.org"},
            "contextActivities": {
                "parent": [{"objectType": "Activity", "id": module, "definition": {"type": f"{TYPE}module", "name": {"en-US": "Module"}}}],
                "grouping": [{"objectType": "Activity", "id": f"https://lms.example.org/course/{course}", "definition": {"type": f"{TYPE}course"}},
                             {"objectType": "Activity", "id": f"https://lms.example.org/programme/{course % 7}"}],
                "category": [{"id": "https://w3id.org/xapi/cmi5/context/categories/cmi5"}, {"id": "https://lms.example.org/templates/item"}]},
            "extensions": {"https://w3id.org/xapi/cmi5/context/extensions/sessionid": f"s{r.randrange(10**9)}",
                           "https://lms.example.org/ext/client": {"browser": "Firefox", "width": 1280, "beta": None}}},
        "timestamp": (BEGIN + timedelta(seconds=r.randrange(20_000_000))).isoformat(),
    }, separators=(",", ":")).encode()


def corpus(count: int, seed: int = 1) -> list[bytes]:
    """Return `count` statements; the same seed gives the same bytes."""
    r = random.Random(seed)
    return [statement(r, r.randrange(PEOPLE)) for _ in range(count)]


class Stream:
    """Statements without end, each with an id of its own, in two microseconds: a load generator must not be what is measured.

    What they repeat is what the sample world repeats (services/demo, 100,000 statements: 30 for each account; 1.96 for each account and activity, of which
    the first is half of all; of 2,000 in a row 440 to 860 different accounts and 1,160 to 1,550 different pairs): some hundreds of people are at work at a
    time, each goes through fifteen activities with one to ten statements about each, and then another one of 20,000 comes.
    There are 2,000 activities, of which 2,000 statements name 940 (the world: 6,700, of which 200 to 790, a sixteenth of the statements naming a new one).
    """

    def __init__(self, seed: int = 2, templates: int = 2000, *, order: int | None = None) -> None:
        """Make the templates: statements cut where the id, the person's number and the person's name stand.

        Another seed is about other activities; another `order`, of the same activities, is who comes to which of them when.
        """
        self._random = random.Random(seed if order is None else order)
        self._templates: list[list[bytes]] = []
        for raw in corpus(templates, seed):
            before, rest = raw.split(b'"Learner Number ', 1)
            between, after = rest.split(b'"', 1)[1].split(b'"user-', 1)
            assert before.startswith(b'{"id":"')
            self._templates.append([before[43:] + b'"Learner Number ', b'"' + between + b'"user-', b'"' + after.split(b'"', 1)[1]])
        self._came = 0
        self._at_work = [self._newcomer(begun=True) for _ in range(AT_WORK)]

    def next(self) -> bytes:
        """Return one more."""
        bits = self._random.getrandbits
        place = bits(20) % AT_WORK
        name, course = self._at_work[place]
        template = self._templates[course.pop()]
        if not course:
            self._at_work[place] = self._newcomer()
        id_ = b"%032x" % bits(128)
        return b'{"id":"%b-%b-4%b-a%b-%b%b%b%b%b%b' % (id_[:8], id_[8:12], id_[13:16], id_[17:20], id_[20:], template[0], name, template[1], name, template[2])

    def batch(self, size: int) -> bytes:
        """Return an array of so many; one alone without the brackets."""
        return self.next() if size == 1 else b"[" + b",".join(self.next() for _ in range(size)) + b"]"

    def _newcomer(self, *, begun: bool = False) -> tuple[bytes, list[int]]:
        """Return who comes next and, by their templates, what of theirs is still to be said; of one who has `begun`, not all."""
        person, self._came = self._came % PEOPLE, self._came + 1
        activities = self._random.sample(range(len(self._templates)), ACTIVITIES_EACH)
        course = [one for one, times in zip(activities, self._random.choices(*TIMES, k=ACTIVITIES_EACH), strict=True) for _ in range(times)]
        return b"%05d" % person, course[:1 + self._random.getrandbits(20) % len(course)] if begun else course
