"""The main job, end to end as its users do it: statements in, a learner's transcript out, and why. On both logs, and on many nodes behind their gateway."""
import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.servers.fixtures import EVERYWHERE
from tests.servers.http_client import Connection
from tests.servers.system import System

pytestmark = pytest.mark.parametrize("system", EVERYWHERE, indirect=True, scope="session")
COURSE = "https://example.org/course/statistics"
MAIL = {"mbox": "mailto:Zoe.Lopez@Example.ORG", "name": "Zoë López"}
ACCOUNT = {"account": {"homePage": "https://lms.example.org", "name": "zl77"}, "objectType": "Agent"}


@pytest.fixture
def connection(system: System) -> Connection:
    """An administrator of a tenant that holds nothing yet."""
    key, secret = system.create_key(f"journey-{uuid4()}")
    return system.connection(key=key, secret=secret)


def statement(actor: dict[str, Any], verb: str, **more: Any) -> dict[str, Any]:
    """Return a statement about the course."""
    return {"id": str(uuid4()), "actor": actor, "verb": {"id": f"http://adlnet.gov/expapi/verbs/{verb}"},
            "object": {"id": COURSE, "definition": {"type": "http://adlnet.gov/expapi/activities/course", "name": {"en": "Statistics"}}}, **more}


async def post(connection: Connection, *statements: dict[str, Any]) -> None:
    """Post statements; they are visible when this returns."""
    answer = await connection.request("POST", "/xapi/statements", json.dumps(statements).encode())
    assert answer.status == 200, answer.body
    assert answer.headers["lrs-outcome"] == "stored"
    assert answer.headers["lrs-position"]


async def get(connection: Connection, path: str, position: str | None = None) -> dict[str, Any]:
    """Return what a path answers, having folded everything up to a position."""
    answer = await connection.request("GET", path, headers={"LRS-Min-Position": position, "Prefer": "wait=10"} if position else None)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


async def position_of(connection: Connection, *statements: dict[str, Any]) -> str:
    """Post statements and return their position."""
    answer = await connection.request("POST", "/xapi/statements", json.dumps(statements).encode())
    assert answer.status == 200, answer.body
    return answer.headers["lrs-position"]


async def entry(connection: Connection, learner: str, position: str | None = None, query: str = "") -> dict[str, Any] | None:
    """Return the learner's line about the course."""
    entries = (await get(connection, f"/v1/learners/{learner}/transcript?activity={quote(COURSE, safe='')}{query}", position))["entries"]
    return entries[0] if entries else None


async def test_from_a_statement_to_a_transcript_line_that_says_why(connection: Connection) -> None:
    course = {"id": COURSE, "name": "Statistics", "credits": 7.5, "scale": [{"grade": "A", "from": 0.85}, {"grade": "E", "from": 0.4}]}
    assert (await connection.request("PUT", "/v1/courses", json.dumps({"courses": [course]}).encode())).status == 204
    passed = statement(MAIL, "passed", result={"score": {"scaled": 0.9}, "success": True, "duration": "PT2H"})

    position = await position_of(connection, statement(MAIL, "registered"), passed)

    [learner] = (await get(connection, f"/v1/learners?q={quote('LOPEZ')}", position))["learners"]
    line = await entry(connection, learner["id"])
    assert line is not None
    assert (line["status"], line["success"], line["grade"], line["credits"], line["score"]["best"]) == ("passed", True, "A", 7.5, 0.9)
    assert line["statements"] == [passed["id"]]
    assert line["evidence"] == 2


async def test_a_list_shows_a_statement_as_soon_as_its_post_is_answered(connection: Connection) -> None:
    for _ in range(20):
        sent = statement(MAIL, "experienced")
        await post(connection, sent)
        listed = await get(connection, "/xapi/statements?limit=1")
        assert listed["statements"][0]["id"] == sent["id"]


async def test_linked_identities_are_one_learner_until_unlinked(connection: Connection) -> None:
    position = await position_of(connection, statement(MAIL, "registered"), statement(ACCOUNT, "passed", result={"score": {"scaled": 0.5}}))
    mail = (await get(connection, f"/v1/learners?agent={quote(json.dumps(MAIL))}", position))["learners"][0]["id"]
    account = (await get(connection, f"/v1/learners?agent={quote(json.dumps(ACCOUNT))}"))["learners"][0]["id"]
    assert mail != account

    linked = await connection.request("POST", "/v1/identity/links", json.dumps({"agents": [MAIL, ACCOUNT], "reason": "registrar"}).encode())
    assert linked.status == 201, linked.body
    one = await get(connection, f"/v1/learners/{mail}", linked.headers["lrs-position"])
    other = await get(connection, f"/v1/learners/{account}")
    assert one["id"] == other["id"]
    assert len(one["agents"]) == 2
    joined = await entry(connection, one["id"])
    assert joined is not None
    assert (joined["status"], joined["evidence"]) == ("passed", 2)

    unlinked = await connection.request("DELETE", f"/v1/identity/links/{json.loads(linked.body)['id']}")
    assert unlinked.status == 204
    alone = await entry(connection, mail, unlinked.headers["lrs-position"])
    assert alone is not None
    assert alone["status"] == "registered"


async def test_a_void_takes_back_what_it_names_and_known_at_still_knows_it(connection: Connection) -> None:
    passed = statement(MAIL, "passed", result={"score": {"scaled": 0.9}})
    position = await position_of(connection, passed, statement(MAIL, "completed"))
    [learner] = (await get(connection, f"/v1/learners?agent={quote(json.dumps(MAIL))}", position))["learners"]
    before = (await connection.request("GET", "/xapi/statements?limit=1")).headers["x-experience-api-consistent-through"]
    void = {"actor": MAIL, "verb": {"id": "http://adlnet.gov/expapi/verbs/voided"}, "object": {"objectType": "StatementRef", "id": passed["id"]}}

    position = await position_of(connection, void)

    now = await entry(connection, learner["id"], position)
    then = await entry(connection, learner["id"], query=f"&known_at={quote(before)}")
    assert now is not None
    assert then is not None
    assert (now["status"], now["score"]["best"]) == ("completed", None)
    assert (then["status"], then["score"]["best"]) == ("passed", 0.9)
    gone = await connection.request("GET", f"/xapi/statements?statementId={passed['id']}")
    kept = await connection.request("GET", f"/xapi/statements?voidedStatementId={passed['id']}")
    assert (gone.status, kept.status) == (404, 200)


async def test_a_second_content_for_an_id_is_refused_and_changes_nothing(connection: Connection) -> None:
    first = statement(MAIL, "attempted")
    await post(connection, first)

    answer = await connection.request("POST", "/xapi/statements", json.dumps({**first, "verb": {"id": "http://adlnet.gov/expapi/verbs/passed"}}).encode())

    assert (answer.status, answer.headers["lrs-outcome"]) == (409, "rejected")
    assert (await get(connection, f"/xapi/statements?statementId={first['id']}"))["verb"] == first["verb"]


async def test_polling_with_since_the_last_header_misses_nothing(connection: Connection) -> None:
    since, seen, sent = "2020-01-02T00:00:00Z", [], []
    for _ in range(10):
        batch = [statement(MAIL, "experienced") for _ in range(3)]
        sent += [one["id"] for one in batch]
        await post(connection, *batch)
        answer = await connection.request("GET", f"/xapi/statements?ascending=true&since={quote(since)}")
        seen += [one["id"] for one in json.loads(answer.body)["statements"]]
        since = answer.headers["x-experience-api-consistent-through"]

    assert seen == sent
