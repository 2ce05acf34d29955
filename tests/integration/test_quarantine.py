"""Quarantine: a key may have its invalid statements set aside, with their reasons, so that they cost the others of their batch nothing."""
import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from schemas.api import Quarantined
from services.api.status import status
from services.cli import app
from services.ingest import quarantine
from services.runtime.callers import auth
from services.runtime.callers.api_keys import list_keys, set_quarantine
from services.runtime.failpoint import FAILPOINTS
from tests.fuzz.hostile_json import VALUES as HOSTILE
from tests.integration.api_service import STATEMENTS, Service, api_service, served
from tests.integration.setting_aside import PATH, Sides, bad, sides_of, transformed, troubles
from tests.servers.in_process import statement, until

LIMIT = 20


service = served(api_service, max_quarantined=LIMIT)


@pytest_asyncio.fixture
async def sides(service: Service) -> Sides:
    return await sides_of(service)


# ---- what the tool sees

async def test_a_batch_of_the_open_edx_transformer_keeps_its_valid_statements_and_sets_the_others_aside_with_their_reasons(sides: Sides) -> None:
    faulty = troubles()
    good = [transformed() for _ in range(3)]
    batch = [good[0], *faulty.values(), *good[1:]]
    answer = await sides.post(batch)

    assert (answer.status_code, answer.headers["LRS-Outcome"], answer.headers["LRS-Quarantined"]) == (200, "stored", "5")
    assert answer.json() == [each["id"] for each in batch]
    assert answer.headers["Link"] == f'<{PATH}>; rel="related"'
    assert set(await sides.tenant.ids()) == {each["id"] for each in good}
    listed = {each["statement"]: each for each in await sides.listed()}
    assert {pointer: listed[sent["id"]]["faults"][0]["pointer"] for pointer, sent in faulty.items()} == {pointer: pointer for pointer in faulty}
    assert {(each["key"], each["version"], each["redriven"]) for each in listed.values()} == {(sides.key, "1.0.3", None)}


async def test_a_key_that_does_not_ask_for_it_has_the_whole_batch_refused(sides: Sides) -> None:
    strict = await sides.tenant.with_scopes("statements/write")
    batch = [statement(), bad()]
    answer = await strict.post(STATEMENTS, json=batch)
    assert (answer.status_code, answer.json()["pointer"]) == (400, "/1/verb/id")
    assert "LRS-Quarantined" not in answer.headers
    assert (await sides.tenant.ids(), await sides.listed()) == ([], [])


async def test_a_request_may_ask_for_strictness(sides: Sides) -> None:
    answer = await sides.post([statement(), bad()], Prefer="handling=strict")
    assert (answer.status_code, answer.json()["pointer"]) == (400, "/1/verb/id")
    assert (await sides.tenant.ids(), await sides.listed()) == ([], [])


async def test_a_single_invalid_statement_is_taken_and_the_answer_says_that_none_is_stored(sides: Sides) -> None:
    one, two = bad(), bad()
    posted = await sides.post(one)
    assert (posted.status_code, posted.json(), posted.headers["LRS-Outcome"], posted.headers["LRS-Quarantined"]) == (200, [one["id"]], "rejected", "1")
    put = await sides.tool.put(STATEMENTS, params={"statementId": two["id"]}, json=two)
    assert (put.status_code, put.headers["LRS-Outcome"], put.headers["LRS-Quarantined"]) == (204, "rejected", "1")
    assert "LRS-Position" not in put.headers
    assert [each["statement"] for each in await sides.listed()] == [one["id"], two["id"]]
    assert await sides.stored(one["id"]) is None


async def test_the_bytes_are_kept_as_they_were_sent(sides: Sides) -> None:
    raw = json.dumps(bad(result={"score": {"raw": 1.0}}), indent=2).replace("1.0", "1.50").encode() + b" "
    await sides.post(b"[" + raw + b"]")
    [found] = await sides.listed()
    answer = await sides.operator.get(f"{PATH}/{found['id']}")
    assert Quarantined.model_validate_json(answer.content).raw == raw.strip().decode()
    assert answer.json()["faults"] == found["faults"]


async def test_a_repeated_request_doubles_nothing_and_gets_the_same_ids(sides: Sides) -> None:
    nameless = {key: value for key, value in bad().items() if key != "id"}
    batch = [statement(), bad(), nameless, {**nameless, "id": "no UUID"}]
    answers = [await sides.post(batch) for _ in range(2)]
    together = await asyncio.gather(*(sides.post(batch) for _ in range(3)))
    assert {answer.text for answer in (*answers, *together)} == {answers[0].text}
    ids = answers[0].json()
    assert ids[:2] == [batch[0]["id"], batch[1]["id"]]
    assert {each["statement"] for each in await sides.listed()} == set(ids[1:])
    assert len(set(ids)) == len(await sides.listed()) + 1 == 4


async def test_what_no_id_was_sent_for_is_another_statement_with_another_idempotency_key(sides: Sides) -> None:
    nameless = {key: value for key, value in bad().items() if key != "id"}
    answers = [await sides.post([nameless], **{"Idempotency-Key": key}) for key in ("a", "b", "a")]
    first, second, again = (answer.json() for answer in answers)
    assert first == again != second
    assert len(await sides.listed()) == 2


# ---- what is not the fault of one statement

@pytest.mark.parametrize(("body", "status"), [
    (b"[1, 2", 400), (b"{bad}", 400), (b'[{"verb": NaN}]', 400), (b'["\xff"]', 400), (b"[" + b"{}," * 500 + b"{}]", 413),
    (b'[{"actor": "' + b"x" * (1 << 20) + b'"}]', 413),
])
async def test_a_body_that_is_not_json_or_too_large_is_refused_whole(sides: Sides, body: bytes, status: int) -> None:
    answer = await sides.post(body)
    assert (answer.status_code, answer.headers["LRS-Outcome"]) == (status, "rejected")
    assert await sides.listed() == []


@pytest.mark.parametrize("valid", [(True, True), (True, False), (False, True), (False, False)])
async def test_an_id_given_twice_refuses_the_request_whichever_is_invalid(sides: Sides, valid: tuple[bool, bool]) -> None:
    id_ = str(uuid4())
    answer = await sides.post([statement(id=id_) if each else bad(id=id_) for each in valid])
    assert (answer.status_code, answer.json()["pointer"]) == (400, "/1/id")
    assert await sides.listed() == []


async def test_an_id_that_is_not_that_of_the_put_refuses_it(sides: Sides) -> None:
    answer = await sides.tool.put(STATEMENTS, params={"statementId": str(uuid4())}, json=bad())
    assert (answer.status_code, answer.json()["pointer"]) == (400, "/id")
    assert await sides.listed() == []


async def test_a_conflict_refuses_the_batch_points_to_its_statement_and_sets_nothing_aside(sides: Sides) -> None:
    there = statement()
    await sides.post(there)
    answer = await sides.post([bad(), there | {"result": {"success": False}}])
    assert (answer.status_code, answer.json()["pointer"]) == (409, "/1/id")
    assert await sides.listed() == []


async def test_anything_that_is_json_can_be_set_aside(sides: Sides) -> None:
    odd: list[Any] = [1, None, [], "x", {"id": []}, {}]
    raw = orjson.dumps(odd)[:-1] + b',{"a\\u0000":1},{"\\u0000":1,"\\u0000":2},{"actor":1,"actor":2},' + b"[" * 70 + b"]" * 70 + b"]"
    answer = await sides.post(raw)
    assert (answer.status_code, answer.headers["LRS-Quarantined"]) == (200, "10")
    listed = await sides.listed()
    assert {each["statement"] for each in listed} == set(answer.json())
    assert "/actor" in {each["faults"][0]["pointer"] for each in listed}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_json_is_refused_or_set_aside_and_shown(sides: Sides, name: str) -> None:
    answer = await sides.post(b'[{"id":"%s","extensions":%s}]' % (str(uuid4()).encode(), HOSTILE[name]))
    assert answer.status_code in {200, 400, 413}, answer.text
    listed = await sides.listed()
    assert len(listed) == (1 if answer.status_code == 200 else 0)
    for each in listed:
        assert (await sides.operator.get(f"{PATH}/{each['id']}")).status_code == 200


async def test_status_and_metrics_tell_how_many_wait(sides: Sides, service: Service) -> None:
    before = await status(service.web.state.pool, service.web.state.log)
    await sides.post([bad(), bad()])
    after = await status(service.web.state.pool, service.web.state.log)
    assert after["quarantined"] == before["quarantined"] + 2
    metrics = (await service.web.client(None).get("/metrics")).text
    assert f"testamur_quarantined_current {after['quarantined']:.1f}\n" in metrics
    assert 'testamur_ingest_statements_total{outcome="quarantined"}' in metrics


# ---- what may go wrong

async def test_a_full_quarantine_refuses_requests_with_invalid_statements_until_there_is_room(sides: Sides) -> None:
    sent = [bad() for _ in range(LIMIT - 1)]
    await sides.post(sent)
    valid = statement()
    answer = await sides.post([valid, bad(), bad()])
    assert (answer.status_code, answer.headers["LRS-Outcome"], answer.headers["Retry-After"]) == (503, "rejected", "60")
    assert answer.json()["type"].endswith("/quarantine-full")
    assert await sides.stored(valid["id"]) is None
    assert (await sides.post(sent)).status_code == 200, "what is there already needs no room"
    assert (await sides.post([valid])).status_code == 200
    [first, *_] = await sides.listed()
    await sides.operator.delete(f"{PATH}/{first['id']}")
    assert (await sides.post([bad(), bad()])).status_code == 200


async def test_a_tenant_may_fill_only_so_many_bytes(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_BYTES", 1000)
    assert (await sides.post([bad(name="x" * 2000)])).status_code == 503
    assert (await sides.post([bad()])).status_code == 200


async def test_while_nothing_can_be_set_aside_requests_that_need_it_are_pushed_back(sides: Sides, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "DEADLINE_S", 0.2)
    valid = statement()
    async with service.web.state.pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table quarantined in exclusive mode")
        answer = await sides.post([valid, bad()])
        assert (answer.status_code, answer.headers["LRS-Outcome"], answer.headers["Retry-After"]) == (503, "rejected", "1")
        assert (await sides.post([statement()])).status_code == 200
    assert await sides.stored(valid["id"]) is None
    assert await sides.listed() == []


async def test_the_faults_of_a_hostile_statement_are_told_briefly(sides: Sides) -> None:
    key = "k" * 4000
    deep = bad(context={"extensions": {}, key: 1, **{f"{key}{at}": 1 for at in range(60)}})
    assert (await sides.post([deep])).status_code == 200
    [found] = await sides.listed()
    assert 1 <= len(found["faults"]) < 60
    assert len(orjson.dumps(found)) < 20_000


async def test_a_crash_between_the_quarantine_and_the_log_leaves_what_the_repetition_finds(sides: Sides) -> None:
    batch = [statement(), bad()]
    FAILPOINTS.arm("ingest.after_quarantine=error")
    try:
        answer = await sides.post(batch)
    finally:
        FAILPOINTS.arm(None)
    assert (answer.status_code, answer.headers["LRS-Outcome"]) == (500, "unknown")
    assert await sides.stored(batch[0]["id"]) is None
    assert [each["statement"] for each in await sides.listed()] == [batch[1]["id"]]
    assert (await sides.post(batch)).status_code == 200
    assert await sides.stored(batch[0]["id"]) is not None
    assert len(await sides.listed()) == 1


# ---- the key

async def test_the_setting_of_a_key_changes_within_seconds_and_is_listed(sides: Sides, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "FRESH_S", 0.1)
    pool = service.web.state.pool

    async def _refused() -> bool:
        return (await sides.post([bad()])).status_code == 400

    assert not await _refused()
    assert await set_quarantine(pool, sides.key, on=False)
    await until(_refused, 5)
    assert {row["key"]: row["quarantine"] for row in await list_keys(pool)}[sides.key] is False
    assert not await set_quarantine(pool, "nobody", on=True)


def test_the_command_makes_such_a_key_and_changes_one(database: str, tmp_path: Path) -> None:
    def run(*words: str, code: int = 0) -> str:
        done = CliRunner(env={"TESTAMUR_DATABASE_URL": database, "TESTAMUR_SECRET": "s"}).invoke(app, ["key", *words, "--data-dir", str(tmp_path)])
        assert done.exit_code == code, done.output
        return done.output

    made = json.loads(run("create", "--name", "lms", "--quarantine", "--json"))
    assert set(made) == {"key", "secret", "tenant", "scopes"}
    for words, on in ((), True), (("--off",), False), ((), True):
        run("quarantine", made["key"], *words)
        assert json.loads(run("list", "--json"))[0]["quarantine"] is on
    run("quarantine", "nobody", code=1)
