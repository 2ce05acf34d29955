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
PEOPLE, ACTIVITIES_EACH = 20_000, 10


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

    20,000 people have to do with ten activities each, so that at a million statements every entry of a transcript has five behind it.
    """

    def __init__(self, seed: int = 2, templates: int = 2000) -> None:
        """Make the templates: statements cut where the id, the person's number and the person's name stand."""
        self._random = random.Random(seed)
        self._templates: list[list[bytes]] = []
        for raw in corpus(templates, seed):
            before, rest = raw.split(b'"Learner Number ', 1)
            between, after = rest.split(b'"', 1)[1].split(b'"user-', 1)
            assert before.startswith(b'{"id":"')
            self._templates.append([before[43:] + b'"Learner Number ', b'"' + between + b'"user-', b'"' + after.split(b'"', 1)[1]])

    def next(self) -> bytes:
        """Return one more."""
        bits = self._random.getrandbits
        person = bits(20) % PEOPLE
        template = self._templates[(person * 7919 + (bits(20) % ACTIVITIES_EACH) * 104_729) % len(self._templates)]
        id_, name = b"%032x" % bits(128), b"%05d" % person
        return b'{"id":"%b-%b-4%b-a%b-%b%b%b%b%b%b' % (id_[:8], id_[8:12], id_[13:16], id_[17:20], id_[20:], template[0], name, template[1], name, template[2])

    def batch(self, size: int) -> bytes:
        """Return an array of so many; one alone without the brackets."""
        return self.next() if size == 1 else b"[" + b",".join(self.next() for _ in range(size)) + b"]"
