"""A rule in words: a line for each clause, for criteria that people read and for what a learner still lacks."""
from collections.abc import Iterator
from typing import Any

from services.core import vocabulary
from services.core.rules.tree import Programme

OPERATORS = ("all", "any", "at_least", "statement", "credential", "sum", "cmi5")

_MOST_SHOWN = 1000
_UNITS = {"Y": "year", "M": "month", "W": "week", "D": "day"}
_CLOCK = {"H": "hour", "M": "minute", "S": "second"}
_REPLACES = {"verb": "verb_in", "verb_in": "verb", "activity": "activity_in", "activity_in": "activity"}


def narrative(programme: Programme) -> str:
    """Return what a programme requires, as indented lines of text, and how long its award is good."""
    document = programme.document
    defaults = document.get("defaults", {}).get("match", {})
    lines = list(_lines(document["requires"], defaults, 0))
    validity = document.get("validity")
    if validity is not None:
        lines.append(f"Good for {length(validity['for'])}." if "for" in validity else "Good for as long as this holds.")
    return "\n".join(lines)


def text_of(node: dict[str, Any], defaults: dict[str, Any]) -> str:
    """Return in words what a node asks for, but for what is under it. `node` is as the document gives it."""
    op = next(name for name in OPERATORS if name in node)
    clause = node[op]
    if op == "all":
        order = " in this order" if node.get("sequence") else ""
        return f"all of these{order}" + (f", within {length(node['within'])}" if "within" in node else "")
    if op == "any":
        return "any of these"
    if op == "at_least":
        return f"at least {clause['n']} of these" + (" of different issuers" if "distinct" in clause else "")
    if op == "statement":
        return _statement(clause, defaults)
    if op == "sum":
        return _sum(clause, defaults)
    return _credential(clause) if op == "credential" else f"the cmi5 course {clause['course']} completed in one registration"


def shortened(text: str) -> str:
    """Return as much of a text as is shown beside others."""
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN - 1] + "…"


def length(text: str) -> str:
    """Return an ISO 8601 duration in words."""
    date, _, clock = text[1:].partition("T")
    words = [_unit(number, units[letter]) for part, units in ((date, _UNITS), (clock, _CLOCK)) for number, letter in _parts(part)]
    return " and ".join(words)


def _parts(part: str) -> Iterator[tuple[str, str]]:
    number = ""
    for letter in part:
        if letter.isalpha():
            yield number, letter
            number = ""
        else:
            number += letter


def _unit(number: str, unit: str) -> str:
    number = number.lstrip("0") or "0"
    return f"{number} {unit}" if number == "1" else f"{number} {unit}s"


def _lines(node: dict[str, Any], defaults: dict[str, Any], depth: int) -> Iterator[str]:
    words, label = text_of(node, defaults), node.get("label")
    op = next(name for name in OPERATORS if name in node)
    children = node[op] if op in {"all", "any"} else node[op]["of"] if op == "at_least" else []
    yield "  " * depth + (f"{label}: {words}" if label else words) + (":" if children else "")
    for child in children:
        yield from _lines(child, defaults, depth + 1)


def _statement(clause: dict[str, Any], defaults: dict[str, Any]) -> str:
    words = _match(clause, defaults)
    count, distinct = clause.get("count", 1), clause.get("distinct")
    if distinct is not None:
        another = {"activity": "about another activity", "registration": "in another registration"}.get(distinct, "by another authority")
        words = f"{words}, {count} times, each {another}"
    elif count > 1:
        words = f"{words}, {count} times"
    return words + _window(clause)


def _sum(clause: dict[str, Any], defaults: dict[str, Any]) -> str:
    of = clause["of"]
    are_hours = of == "duration" or vocabulary.extension({of: of}, "pd-hours") is not None
    what = "hours" if of == "duration" else "hours of professional development" if are_hours else f"of {of}"
    parts = [f"{clause['at_least']} {what} in all{_window(clause)}: {_match(clause.get('match', {}), defaults)}"]
    if "cap_each" in clause:
        parts.append(f"at most {clause['cap_each']}{' hours' if are_hours else ''} from one statement")
    if "distinct" in clause:
        parts.append("of several about one activity only the largest counts")
    return "; ".join(parts)


def _credential(clause: dict[str, Any]) -> str:
    count = clause.get("count", 1)
    words = "a credential" if count == 1 else f"{count} credentials"
    words += {"issuer": " of different issuers", "achievement": " for different achievements"}.get(clause.get("distinct", ""), "")
    words += f" for {clause['achievement']}" if "achievement" in clause else ""
    words += f" aligned with {clause['alignment']}" if "alignment" in clause else ""
    words += f" issued by {clause['issuer']}" if "issuer" in clause else ""
    words += f" issued by {_either(clause['issuer_in'])}" if "issuer_in" in clause else ""
    return words + _dates(clause) + (", still valid or not" if clause.get("status") == "issued" else "")


def _match(clause: dict[str, Any], defaults: dict[str, Any]) -> str:
    given = {name: value for name, value in defaults.items() if name not in clause and _REPLACES.get(name) not in clause} | clause
    verbs = [given["verb"]] if "verb" in given else given.get("verb_in")
    activities = [given["activity"]] if "activity" in given else given.get("activity_in")
    about = _either(activities) if activities else f"an activity of type {given['type']}" if "type" in given else "an activity"
    words = [f"{_either(verbs) if verbs else 'any statement about'} {about}"]
    words += [f"of type {given['type']}"] if activities and "type" in given else []
    words += [
        word.format(given[name]) for name, word in (
            ("under", "under {}"), ("category", "in the category {}"), ("competency", "for the competency {}"), ("score_gte", "with a score of at least {}"),
        ) if name in given
    ]
    words += [] if "success" not in given else ["with success" if given["success"] else "without success"]
    words += [f"with the learner's identity {given['identity']}"] if given.get("identity", "none") != "none" else []
    words += [f"with {given['evidence']} piece{'' if given['evidence'] == 1 else 's'} of work attached"] if given.get("evidence") else []
    words += [f"by the authority of {_either(given['authority_in'])}"] if "authority_in" in given else []
    words += [f"in the registration {given['registration']}"] if "registration" in given else []
    return ", ".join(words) + _dates(given)


def _dates(given: dict[str, Any]) -> str:
    return (f", from {given['since']} on" if "since" in given else "") + (f", before {given['until']}" if "until" in given else "")


def _window(clause: dict[str, Any]) -> str:
    window = clause.get("window")
    if window is None:
        return ""
    if "last" in window:
        return f", in the last {length(window['last'])}"
    begins = "with the award" if window["anchor"] == "awarded" else f"on {window['anchor']}"
    return f", in one cycle of {length(window['cycle'])} that begins {begins}"


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]
