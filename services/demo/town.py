"""What goes on around the platforms of the sample world: a city's summer, teachers' hours, welders and their assessors, a safety induction, a capstone.

Its people are its own, but for those of the world who go on to the capstone. The same world always gives the same statements.
"""
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.demo.people import Agent
from services.demo.words import ACTIVITY, ADL, CMI5, EXTENSION, W3, iso, uid

Json = dict[str, Any]
HOME = "office"
"""Who sends what comes from nobody in particular."""
SENDERS: dict[str, Agent] = {
    name: {"objectType": "Agent", "account": {"homePage": home, "name": short}}
    for name, home, short in (
        *((f"assessor-{letter}", "https://assessors.example.org", letter) for letter in "abc"),
        *((f"peer-{number}", "https://ki.example.org/peers", str(number)) for number in (1, 2, 3)), ("provider", "https://providers.example.org", "north"))}
"""Whose word counts for itself: each sends with a key of its own, under this authority."""
COMPETENCY, CAPSTONE = "https://case.example.org/items/mig-welding", "https://ki.example.org/capstones/healthy-cities"
SAFETY = "https://courses.example.org/cmi5/safety"
ASSERTED, ASSESSED = W3 + "tla/verbs/asserted", W3 + "tla/verbs/assessed"
PD_HOURS = "https://w3id.org/testamur/ext/pd-hours"
SUMMER: dict[str, tuple[str, ...]] = {
    "Maya Okafor": ("museum/fossils 2013-06-12", "museum/stars 2013-06-26", "library/robots 2013-07-10", "youthmedia/radio 2013-08-21"),
    "Leo Petrov": ("museum/fossils 2013-06-12", "library/robots 2013-07-10", "parks/birds 2013-10-05"),
    "Amina Silva": ("parks/birds 2013-06-15", "library/robots 2013-07-02", "museum/stars 2013-08-30"),
    "Eero Jensen": ("museum/fossils 2013-07-01", "museum/stars 2013-07-08"),
}
"""Who took part in what, and when: in October it is no longer summer, and two badges of one museum are one organisation."""
HOURS: dict[str, tuple[tuple[str, str, float], ...]] = {
    "Grace Novák": (("first-aid", "2022-09-03", 14), ("reading", "2023-10-07", 10), ("numbers", "2025-03-15", 6), ("autism", "2026-02-07", 8)),
    "Tom Hämäläinen": (("first-aid", "2016-03-05", 10), ("reading", "2017-03-04", 10), ("numbers", "2018-05-05", 6)),
}
"""Workshops, days and hours: the one is current, the other's have lapsed."""


def agent_of(name: str) -> Agent:
    """Return the agent of one of the town's own people."""
    return {"objectType": "Agent", "name": name, "mbox": f"mailto:{uid('town', name)[:8]}@town.example.org"}


def statements(world: Path) -> dict[str, list[Json]]:
    """Return what each sender says, of the town's people and of those of a world, whose folder this is."""
    said: dict[str, list[Json]] = {HOME: [], **{sender: [] for sender in SENDERS}}
    for sender, statement in (*_summer(), *_hours(), *_welding(), *_safety(), *_capstones(world)):
        said[sender].append(statement)
    return said


def _said(who: Agent, verb: str, what: Json, at: str, **members: Any) -> Json:
    iri = verb if "://" in verb else ADL + verb
    id_ = uid("town", json.dumps([who, iri, what["id"], at, members], sort_keys=True))
    display = {"en": iri.rsplit("/", 1)[-1]}
    moment = iso(dt.datetime.fromisoformat(at + "T15:00:00+00:00"))
    return {"id": id_, "actor": who, "verb": {"id": iri, "display": display}, "object": what, **members, "timestamp": moment}


def _thing(iri: str, type_: str, name: str) -> Json:
    return {"objectType": "Activity", "id": iri, "definition": {"type": type_ if "://" in type_ else ACTIVITY + type_, "name": {"en": name}}}


def _work(iri: str, kind: str) -> Json:
    return {
        "usageType": "https://ki.example.org/usage/work", "display": {"en": "the work"}, "contentType": kind, "length": 48_213,
        "sha2": (uid("town", "work", iri) + uid("town", "more", iri)).replace("-", ""), "fileUrl": iri}


def _summer() -> Iterator[tuple[str, Json]]:
    for name, workshops in SUMMER.items():
        for workshop in workshops:
            place, day = workshop.split()
            organisation, what = place.split("/")
            took_part = _thing(f"https://{organisation}.example.org/workshops/{what}", "meeting", f"Workshop on {what}")
            yield HOME, _said(agent_of(name), "completed", took_part, day, result={"completion": True})


def _hours() -> Iterator[tuple[str, Json]]:
    context = {"contextActivities": {"category": [{"id": "https://teachers.example.org/profiles/pd"}]}}
    for name, attended in HOURS.items():
        for what, day, hours in attended:
            workshop = _thing(f"https://teachers.example.org/workshops/{what}", "meeting", f"Workshop: {what.replace('-', ' ')}")
            yield "provider", _said(agent_of(name), "attended", workshop, day, result={"extensions": {PD_HOURS: hours}}, context=context)


def _welding() -> Iterator[tuple[str, Json]]:
    skill, about = _thing(COMPETENCY, "objective", "MIG welding"), {"contextActivities": {"other": [{"id": COMPETENCY}]}}
    for name, judges in (("Wanda Kowalski", "ab"), ("Ivan Ström", "c")):
        who, photograph = agent_of(name), f"https://portfolios.example.org/{uid('town', name)[:8]}/lap-joint.jpg"
        work = _thing(photograph, "https://guild.example.org/types/portfolio-artifact", "A lap joint")
        yield HOME, _said(who, "completed", work, "2026-01-12", context=about, attachments=[_work(photograph, "image/jpeg")])
        for number, judge in enumerate(judges):
            yield f"assessor-{judge}", _said(who, ASSERTED, skill, f"2026-02-{10 + number}", result={"success": True})


def _safety() -> Iterator[tuple[str, Json]]:
    for name, mark in (("Anna Lindqvist", 0.9), ("Omar Weiß", 0.6)):
        who: Agent = {"objectType": "Agent", "name": name, "account": {"homePage": "https://lms.town.example.org", "name": name.split()[0].lower()}}
        registration = uid("town", "safety", name)
        for unit, verb, result in (
                ("fire", "completed", {"completion": True, "duration": "PT12M"}), ("fire", "passed", {"success": True, "score": {"scaled": mark}}),
                ("saw", "passed", {"success": True}), ("press", "completed", {"completion": True})):
            about = {"objectType": "Activity", "id": f"{SAFETY}/{unit}"}
            yield HOME, _said(who, verb, about, "2026-03-02", result=result, context=_session(registration, unit))


def _session(registration: str, unit: str) -> Json:
    category = [{"id": f"{W3}cmi5/context/categories/{name}"} for name in ("cmi5", "moveon")]
    return {
        "registration": registration, "contextActivities": {"category": category, "grouping": [{"id": f"{SAFETY}/{unit}"}]},
        "extensions": {CMI5 + "sessionid": uid("town", registration, unit)}}


def _capstones(world: Path) -> Iterator[tuple[str, Json]]:
    """Give what those who passed two of the courses do next; of every third only two peers have an opinion yet."""
    submission = _thing(f"{CAPSTONE}/submission", "assessment", "Plan of a healthy city")
    capstone = _thing(CAPSTONE, "http://id.tincanapi.com/activitytype/project", "Healthy cities: the capstone")
    proctored = {"extensions": {EXTENSION + "identity-assurance": {"method": "proctored", "level": "substantial"}}}
    for number, who in enumerate(_ready(world), 1):
        work = _work(f"https://ki.example.org/works/{uid('town', json.dumps(who))[:8]}.pdf", "application/pdf")
        result = {"success": True, "score": {"scaled": 0.7 + number % 4 / 20}}
        yield HOME, _said(who, "passed", capstone, "2015-11-02", result=result, context=proctored, attachments=[work])
        for peer in (1, 2, 3) if number % 3 else (1, 2):
            yield f"peer-{peer}", _said(who, ASSESSED, submission, f"2015-11-{10 + peer}", result={"response": "Well argued."})


def _ready(world: Path) -> list[Agent]:
    """Return agents of the first 12 people, all of whose identities are one, who passed two of three courses."""
    persons = {person["person"]: person for person in _rows(world / "truth" / "persons.ndjson")}
    passed: dict[str, set[str]] = {}
    for result in _rows(world / "truth" / "results.ndjson"):
        if result["result"] == "passed" and result["module"] in {"BBB", "FFF", "GGG"}:
            passed.setdefault(result["person"], set()).add(result["module"])
    able = sorted(person for person, modules in passed.items() if len(modules) > 1 and len(persons[person]["clusters_if_hashed"]) == 1)
    return [next(iter(persons[person]["identifiers"].values())) for person in able[:12]]


def _rows(file: Path) -> list[Json]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
