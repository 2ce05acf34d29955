"""The formats `ids` and `canonical` of statements that are read (xAPI Communication 2.1.3); `exact` is what services/core/splice.py gives.

Only actors, verbs, activities and the objects around them are written anew: results, extensions, attachments, timestamps keep the sender's bytes, hence the
text of their numbers. What comes in is a spliced statement, so it is valid and its context activities are arrays.
"""
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from services.core.definitions import merged
from services.core.json_members import Members, each, joined, members, string
from services.core.languages import Languages

Format = Literal["exact", "ids", "canonical"]
FORMATS: tuple[Format, ...] = ("exact", "ids", "canonical")

_IFIS = ("mbox", "mbox_sha1sum", "openid", "account")
_LANGUAGE_MAPS = ("name", "description")
_COMPONENTS = ("choices", "scale", "source", "target", "steps")


class Form(Protocol):
    """What becomes of the parts of a statement; each is given, and gives, the JSON text of one."""

    def agent(self, text: bytes) -> bytes:
        """Return an Agent or Group: an actor, authority, instructor, team, or object."""
        ...

    def verb(self, text: bytes) -> bytes:
        """Return a Verb."""
        ...

    def activity(self, text: bytes) -> bytes:
        """Return an Activity: an object, or one of the context."""
        ...


class Ids:
    """The least that identifies: the id of verbs and activities, the IFI (and objectType) of agents, the members of anonymous groups."""

    def agent(self, text: bytes) -> bytes:
        """Return objectType, if it was given, and the IFI; without an IFI the members, each likewise."""
        found = members(text)
        kept = {name: found[name] for name in ("objectType", *_IFIS) if name in found}
        if "member" in found and not any(name in found for name in _IFIS):
            kept["member"] = each(found["member"], self.agent)
        return joined(kept)

    def verb(self, text: bytes) -> bytes:
        """Return the id alone."""
        return joined({"id": members(text)["id"]})

    activity = verb


class Canonical:
    """Activities with the definition that the LRS holds, and one language in each map, chosen for each map by itself; actors as they were sent."""

    def __init__(self, definitions: Mapping[str, Sequence[bytes]], languages: Languages) -> None:
        """`definitions` has the texts that define an activity, the earliest first, by its id; one that is not in it keeps the definition it was sent with."""
        self._definitions, self._languages = definitions, languages
        self._verbs: dict[bytes, bytes] = {}
        self._activities: dict[bytes, bytes] = {}
        self._rendered: dict[str, bytes] = {}

    def agent(self, text: bytes) -> bytes:
        """Return it as it is."""
        return text

    def verb(self, text: bytes) -> bytes:
        """Return it with one language in its display."""
        done = self._verbs.get(text)
        if done is None:
            found = members(text)
            if "display" in found:
                found["display"] = self._one_language(found["display"])
            done = self._verbs[text] = joined(found)
        return done

    def activity(self, text: bytes) -> bytes:
        """Return it with its canonical definition."""
        done = self._activities.get(text)
        if done is None:
            found = members(text)
            id_ = string(found["id"])
            if texts := self._definitions.get(id_):
                if id_ not in self._rendered:
                    self._rendered[id_] = self._definition(merged(texts))
                found["definition"] = self._rendered[id_]
            elif "definition" in found:
                found["definition"] = self._definition(members(found["definition"]))
            done = self._activities[text] = joined(found)
        return done

    def _definition(self, found: Members) -> bytes:
        for name in _LANGUAGE_MAPS:
            if name in found:
                found[name] = self._one_language(found[name])
        for name in _COMPONENTS:
            if name in found:
                found[name] = each(found[name], self._component)
        return joined(found)

    def _component(self, text: bytes) -> bytes:
        found = members(text)
        if "description" in found:
            found["description"] = self._one_language(found["description"])
        return joined(found)

    def _one_language(self, text: bytes) -> bytes:
        found = members(text)
        if len(found) < 2:
            return text
        tag = self._languages.best(found)
        return joined({tag: found[tag]})


class _Finding:
    """Changes nothing; notes the ids of activities."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self._seen: set[bytes] = set()

    def agent(self, text: bytes) -> bytes:
        return text

    verb = agent

    def activity(self, text: bytes) -> bytes:
        if text not in self._seen:
            self._seen.add(text)
            self.ids.add(string(members(text)["id"]))
        return text


def activities_in(statements: Iterable[bytes]) -> set[str]:
    """Return the ids of the activities that occur in statements, as what `Canonical` may ask for."""
    finding = _Finding()
    for text in statements:
        rewritten(text, finding)
    return finding.ids


def rewritten(statement: bytes, form: Form) -> bytes:
    """Return a statement, or a SubStatement, in a form."""
    found = members(statement)
    for name in ("actor", "authority"):
        if name in found:
            found[name] = form.agent(found[name])
    found["verb"] = form.verb(found["verb"])
    found["object"] = _object(found["object"], form)
    if "context" in found:
        found["context"] = _context(found["context"], form)
    return joined(found)


class _Typed(msgspec.Struct):
    objectType: str = "Activity"  # noqa: N815 - the specification's name


_typed = msgspec.json.Decoder(_Typed)


def _object(text: bytes, form: Form) -> bytes:
    kind = _typed.decode(text).objectType
    if kind == "Activity":
        return form.activity(text)
    if kind in ("Agent", "Group"):
        return form.agent(text)
    return rewritten(text, form) if kind == "SubStatement" else text


def _context(text: bytes, form: Form) -> bytes:
    found = members(text)
    for name in ("instructor", "team"):
        if name in found:
            found[name] = form.agent(found[name])
    if "contextActivities" in found:
        found["contextActivities"] = joined({relation: each(one, form.activity) for relation, one in members(found["contextActivities"]).items()})
    for name, part in (("contextAgents", "agent"), ("contextGroups", "group")):
        if name in found:
            found[name] = each(found[name], lambda one, part=part: _with_agent(one, part, form))  # type: ignore[misc]
    return joined(found)


def _with_agent(text: bytes, part: str, form: Form) -> bytes:
    """Return a contextAgent or contextGroup of xAPI 2.0; its other members are kept."""
    found = members(text)
    found[part] = form.agent(found[part])
    return joined(found)
