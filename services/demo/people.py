"""The people of the sample world: names, and the identifier each platform knows them by."""
import copy
import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from services.demo.oulad import Oulad
from services.demo.words import COURSERA, EDX, FIRST_NAMES, LAST_NAMES, LMS, MOODLE, chance, uid

Agent = dict[str, Any]
IDENTIFIERS = ("account", "mbox", "mbox_sha1sum", "openid")


@dataclass(slots=True)
class Person:
    """One person, who may be several students of OULAD."""

    student: str
    name: str
    mail: str
    agents: dict[str, Agent]
    """By platform."""
    chance: random.Random
    used: set[str] = field(default_factory=set)
    """The platforms on which something happened."""

    def actor(self, platform: str) -> Agent:
        """Return the agent that acts on a platform."""
        self.used.add(platform)
        return copy.deepcopy(self.agents[platform])

    @property
    def hub(self) -> Agent:
        """The agent that links lead to: the mailbox."""
        return {"mbox": "mailto:" + self.mail}


def person(seed: int, student: str) -> Person:
    """Return the person a student is, always the same."""
    choices = chance(seed, "person", student)
    first, last = choices.choice(FIRST_NAMES), choices.choice(LAST_NAMES).replace("-", " ")
    slug = hashlib.sha1(f"{seed}{student}".encode()).hexdigest()[:12]
    name, mail = f"{first} {last}", f"learner.{slug}@student.example.org"
    agents: dict[str, Agent] = {
        EDX: {"objectType": "Agent", "account": {"homePage": EDX, "name": uid(seed, "edx", student)}},
        MOODLE: {"objectType": "Agent", "name": name, "account": {"homePage": MOODLE, "name": str(int(slug, 16))}},
        LMS: {"objectType": "Agent", "account": {"homePage": LMS, "name": f"u{slug}@campus.example.org"}},
        COURSERA: _coursera(choices.random(), slug, mail),
    }
    if choices.random() < 0.5:
        agents[COURSERA]["name"] = name
    return Person(student, name, mail, agents, choices)


def bare(agent: Agent) -> Agent:
    """Return an agent with its identifier alone."""
    return {key: value for key, value in agent.items() if key in IDENTIFIERS}


def groups(oulad: Oulad, seed: int, several: float) -> list[list[str]]:
    """Return which students are one person: a share `several` of the people are made of 2 to 5 students with different modules."""
    order = sorted(oulad.enrolments, key=lambda student: hashlib.sha256(f"{seed}:{student}".encode()).digest())
    made: list[list[str]] = []
    at = 0
    while at < len(order):
        choices, group, modules = chance(seed, "multi", order[at]), [order[at]], _modules(oulad, order[at])
        more = choices.choice([1, 1, 2, 2, 3, 4]) if choices.random() < several else 0
        at += 1
        while more and at < len(order) and not modules & _modules(oulad, order[at]):
            group.append(order[at])
            modules |= _modules(oulad, order[at])
            at, more = at + 1, more - 1
        made.append(group)
    return made


def linked(who: Person) -> list[dict[str, Any]]:
    """Choose which platforms' agents are linked to the mailbox; return the links."""
    links = []
    for platform in sorted(who.used):
        if who.chance.random() < 0.7 and bare(who.agents[platform]) != who.hub:
            by = who.chance.choice(["eduGAIN sign-in", "registrar", "learner, mail confirmed"])
            links.append({"a": bare(who.agents[platform]), "b": who.hub, "by": by, "at": "2015-09-01T00:00:00Z"})
    return links


def truth(who: Person, seed: int, students: list[str], links: list[dict[str, Any]]) -> dict[str, Any]:
    """Return who is who: every identifier of a person, and which of them belong together."""
    used = sorted(who.used)
    joined = [link["a"] for link in links]
    together = {platform for platform in used if bare(who.agents[platform]) in joined or bare(who.agents[platform]) == who.hub}
    hashed = {platform for platform in used if "mbox_sha1sum" in who.agents[platform]} if links else set()
    return {
        "person": uid(seed, "person", who.student), "name": who.name, "oulad_ids": students, "mail": who.mail,
        "identifiers": {platform: bare(who.agents[platform]) for platform in used},
        "clusters": _clusters(used, together), "clusters_if_hashed": _clusters(used, together | hashed),
    }


def _clusters(used: Iterable[str], together: set[str]) -> list[list[str]]:
    return [sorted(together)] * bool(together) + [[platform] for platform in used if platform not in together]


def _modules(oulad: Oulad, student: str) -> set[str]:
    return {row["code_module"] for row in oulad.enrolments[student]}


def _coursera(lot: float, slug: str, mail: str) -> Agent:
    """Return one of the four ways in which this platform names people."""
    if lot < 0.45:
        return {"mbox": "mailto:" + mail}
    if lot < 0.8:
        return {"mbox_sha1sum": hashlib.sha1(f"mailto:{mail}".encode()).hexdigest()}
    if lot < 0.95:
        return {"mbox": f"mailto:{slug}@Employer.Example.COM"}
    return {"openid": f"https://openid.example.net/{slug}"}
