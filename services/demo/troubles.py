"""What goes wrong on the way to a store: late and very late arrivals, clocks that are off, duplicates, conflicts, invalid statements.

Each is chosen by the statement's id, so a statement has the same trouble in every world that holds it.
"""
import copy
import datetime as dt
import random
from typing import Any

from services.demo.script import Arrival, Script
from services.demo.words import ACTIVITY, ADL, VERBS, chance, parsed, uid

Json = dict[str, Any]
LATE_DAYS = 30
SPOILERS = (
    "two-ifis", "no-object-id", "bad-duration", "group-activity", "scaled-range", "bad-lang", "no-verb-id", "null", "extra-key", "bad-mbox", "min-above-max")


def make_trouble(script: Script, *, clean: bool) -> None:
    """Let every statement arrive a moment after it was made, and some of them with trouble unless the world is a clean one."""
    voided = {arrival.note["target"] for arrival in script.arrivals if arrival.note and "target" in arrival.note}
    more: list[Arrival] = []
    for arrival in script.arrivals:
        choices = chance(script.seed, "trouble", arrival.statement["id"])
        arrival.at += dt.timedelta(seconds=choices.uniform(0.05, 4))
        if arrival.note or clean:
            continue
        at = _delay(arrival, choices)
        repeated = _repeat(script.seed, arrival, choices, is_voided=arrival.statement["id"] in voided)
        if repeated is not None:
            statement, note, after = repeated
            more.append(Arrival(at + after, statement, note))
    script.arrivals += more


def _delay(arrival: Arrival, choices: random.Random) -> dt.datetime:
    """Let a few arrive late, or from a clock that is off; return when a copy would set out."""
    lot, event = choices.random(), parsed(arrival.statement)
    if lot < 0.03:
        arrival.at += dt.timedelta(hours=choices.uniform(2, 1400))
        if (arrival.at - event).days > LATE_DAYS:
            arrival.note = {"kind": "late", "expect": "200", "days": (arrival.at - event).days}
    elif lot < 0.033:
        arrival.at += dt.timedelta(days=choices.uniform(120, 400))
        arrival.note = {"kind": "very-late", "expect": "200", "days": (arrival.at - event).days}
    elif lot < 0.034:
        leaves = arrival.at
        arrival.at -= dt.timedelta(seconds=choices.uniform(60, 3600))
        arrival.note = {"kind": "clock-fast", "expect": "200"}
        return leaves
    elif lot < 0.0342 and arrival.statement["verb"]["id"] != VERBS["registered"][0]:
        # Such a time counts as the time of storing. Of an enrolment that ended years ago nobody could say then whether it was before or after its end.
        timestamp = arrival.statement["timestamp"]
        arrival.statement["timestamp"] = timestamp.replace(timestamp[:4], "2036", 1)
        arrival.note = {"kind": "far-future-timestamp", "expect": "200"}
    return arrival.at


def _repeat(seed: int, arrival: Arrival, choices: random.Random, *, is_voided: bool) -> tuple[Json, Json | None, dt.timedelta] | None:
    """Return what arrives again in some way, what a store should do about it, and how much later it comes."""
    lot, statement = choices.random(), arrival.statement
    after = dt.timedelta(seconds=choices.choice([1, 30, 3600, 86400 * 3]) * choices.uniform(0.5, 1.5))
    if lot < 0.005:
        return statement, {"kind": "duplicate", "expect": "200 or 204, stored once"}, after
    again = copy.deepcopy(statement)
    if lot < 0.007:
        return _reversed(again), {"kind": "duplicate-reordered", "expect": "200 or 204, stored once"}, after
    if lot < 0.0075:
        again["verb"] = {"id": ADL + "commented", "display": {"en-US": "commented"}}
        return again, {"kind": "conflict", "expect": "409"}, after
    if lot < 0.0085 and not is_voided:
        again["id"] = uid(seed, "again", statement["id"])
        return again, {"kind": "same-event-new-id", "expect": "200", "same_as": statement["id"]}, after
    if lot < 0.0095:
        why = _spoil(seed, again, choices)
        return again, {"kind": f"invalid: {why}", "expect": "400"}, after
    if lot < 0.0098 and statement["object"].get("objectType") == "Activity":
        return _planned(seed, statement), None, after
    return None


def _planned(seed: int, statement: Json) -> Json:
    sub = {"objectType": "SubStatement", "actor": statement["actor"], "verb": statement["verb"], "object": statement["object"]}
    return {
        "id": uid(seed, "plan", statement["id"]), "actor": statement["actor"], "verb": {"id": VERBS["planned"][0], "display": {"en": "planned"}},
        "object": sub, "timestamp": statement["timestamp"]}


def _reversed(value: Any) -> Any:
    """Return JSON with the members of every object the other way round."""
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


def _spoil(seed: int, statement: Json, choices: random.Random) -> str:
    """Make a statement invalid, and say in which way."""
    statement["id"] = uid(seed, "bad", statement["id"])
    why = choices.choice(SPOILERS)
    if why == "extra-key":
        statement["grade"] = "A"
    elif why == "bad-lang":
        statement["verb"]["display"] = {"not a tag": "x"}
    else:
        statement.update(_broken(why))
    return why


def _broken(why: str) -> Json:
    broken: dict[str, Json] = {
        "two-ifis": {"actor": {"mbox": "mailto:a@example.org", "openid": "https://a.example.org/"}},
        "no-object-id": {"object": {"objectType": "Activity", "definition": {"type": ACTIVITY + "cmi.interaction"}}},
        "bad-duration": {"result": {"duration": "1h30m"}},
        "group-activity": {"object": {"objectType": "GroupActivity", "id": "https://courses.edx.example.org/xblock/1"}},
        "scaled-range": {"result": {"score": {"scaled": 87}}},
        "no-verb-id": {"verb": {"display": {"en": "did"}}},
        "null": {"result": {"response": None}},
        "bad-mbox": {"actor": {"mbox": "learner@example.org"}},
        "min-above-max": {"result": {"score": {"raw": 5, "min": 10, "max": 1}}},
    }
    return broken[why]
