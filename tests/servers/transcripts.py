"""Transcripts of a whole system, read through HTTP and held against the naive reference fold over the statements that are there."""
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from tests.reference_fold import EPOCH, Copy, Person, Transcripts, fold
from tests.servers.http_client import Connection
from tests.servers.reading import until_everything_is_folded

TRUSTED = frozenset({"lrs:void", "lrs:assure"})


async def assert_transcripts_equal_the_reference(connection: Connection, statements: dict[str, bytes]) -> None:
    """Assert that everybody's whole transcript is what the reference makes of these statements, all sent by an administrator."""
    expected = fold([_copy(raw) for raw in statements.values()])
    await until_everything_is_folded(connection)
    for person in expected.people:
        lines = {activity: line for (who, activity), line in expected.entries.items() if who == person}
        assert await _entries(connection, person) == {activity: _shown(line) for activity, line in lines.items()}
    assert_worth_comparing(expected)


def assert_worth_comparing(expected: Transcripts) -> None:
    """A comparison of nothing with nothing proves nothing."""
    assert len(expected.people) > 5
    assert len({line["status"] for line in expected.entries.values()}) > 1


async def _entries(connection: Connection, person: Person) -> dict[str, dict[str, Any]]:
    (kind, digest), *_ = person
    assert kind == "sha1"
    found = await connection.request("GET", f"/v1/learners?agent={quote(json.dumps({'mbox_sha1sum': digest}))}")
    assert found.status == 200, found.body
    [learner] = json.loads(found.body)["learners"]
    path: str | None = f"/v1/learners/{learner['id']}/transcript"
    entries: dict[str, dict[str, Any]] = {}
    while path:
        page = json.loads((await connection.request("GET", path)).body)
        assert page["incomplete"] is False
        entries |= {entry["activity"]["id"]: _compared(entry) for entry in page["entries"]}
        path = page["next"]
    return entries


def _copy(raw: bytes) -> Copy:
    statement = json.loads(raw)
    stored = (datetime.fromisoformat(statement["stored"]) - EPOCH) // timedelta(microseconds=1)
    account = statement["authority"]["account"]
    return Copy(statement, stored, stored, f"{account['homePage']}/{account['name']}", TRUSTED)


def _shown(line: dict[str, Any]) -> dict[str, Any]:
    same = ("status", "attempts", "best", "last", "evidence", "issuers", "statements")
    return {**{name: line[name] for name in same}, "duration_us": line["duration"], "first": _time(line["first"]), "last_at": _time(line["last_at"])}


def _compared(entry: dict[str, Any]) -> dict[str, Any]:
    same = ("status", "attempts", "evidence", "issuers", "statements", "first")
    return {**{name: entry[name] for name in same}, **entry["score"], "duration_us": _micros(entry["duration"]), "last_at": entry["last"]}


def _time(instant: int) -> str:
    return (EPOCH + timedelta(microseconds=instant)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _micros(text: str | None) -> int | None:
    """Return the microseconds of PnHnMnS as transcripts show it."""
    if text is None:
        return None
    micros, number = 0, ""
    for letter in text.removeprefix("PT"):
        if letter in "HMS":
            micros += round(float(number) * {"H": 3600, "M": 60, "S": 1}[letter] * 1_000_000)
            number = ""
        else:
            number += letter
    return micros
