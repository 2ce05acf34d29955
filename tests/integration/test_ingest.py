"""Writes of /xapi/statements: what is stored, what is refused, and what each answer says about it."""
import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest_asyncio

from services.core.envelope import encode_statements
from services.core.fingerprint import fingerprint
from services.core.timeline import rfc3339, stored_of
from services.runtime.backlog import Backlog
from services.runtime.log import NewRecord
from services.runtime.migrate import ensure_cursors
from services.runtime.position import decode_position
from tests.servers.in_process import Web, running_projector, settings_for, statement, until, web_process
from tests.servers.postgres import MakePostgres

STATEMENTS = "/xapi/statements"


@pytest_asyncio.fixture
async def web(database: str, tmp_path: Path) -> AsyncIterator[Web]:
    """A web process without a projector; its wait for visibility is long, so that a test that passes did not pass by its end."""
    async with web_process(settings_for(tmp_path, max_body_bytes=1 << 16, max_statements=20), database, visible_s=20.0, body_s=1.0) as running:
        yield running


@pytest_asyncio.fixture
async def folded(web: Web) -> AsyncIterator[Web]:
    """The same with a projector at work."""
    async with running_projector(web.state):
        yield web


async def _stored(web: Web, *ids: object) -> dict[str, bytes]:
    rows = await web.state.pool.fetch("select id, raw from statement where id = any($1::uuid[]) and raw is not null", [UUID(str(id_)) for id_ in ids])
    return {str(row["id"]): row["raw"] for row in rows}


async def _records(web: Web) -> int:
    return sum([(await web.state.log.end(partition)).next_offset for partition in range(web.state.log.partitions)])


async def _has_records(web: Web, number: int) -> bool:
    return await _records(web) >= number


def _check_owed_headers(answer: httpx.Response, outcome: str, version: str = "2.0.0") -> None:
    assert answer.headers["X-Experience-API-Version"] == version
    assert answer.headers["X-Experience-API-Consistent-Through"].endswith("Z")
    assert answer.headers["LRS-Outcome"] == outcome


async def test_a_posted_statement_is_visible_when_its_answer_arrives(folded: Web) -> None:
    client, sent = folded.client(await folded.key()), statement()
    answer = await client.post(STATEMENTS, json=sent)
    assert (answer.status_code, answer.json()) == (200, [sent["id"]])
    _check_owed_headers(answer, "stored")
    row = await folded.state.pool.fetchrow("select seq, raw from statement where id = $1", UUID(sent["id"]))
    assert row is not None
    assert row["raw"] == answer.request.content
    assert rfc3339(stored_of(row["seq"])) <= answer.headers["X-Experience-API-Consistent-Through"]
    marks = decode_position(folded.state.hashes, folded.state.log.log_id, answer.headers["LRS-Position"])
    assert await folded.state.visibility.until_visible(marks, 0)


async def test_a_put_statement_takes_its_id_from_the_request_and_has_no_body_in_its_answer(folded: Web) -> None:
    client, sent = folded.client(await folded.key(), version="1.0.1"), statement()
    id_ = sent.pop("id")
    answer = await client.put(STATEMENTS, params={"statementId": id_.upper()}, json=sent)
    assert (answer.status_code, answer.content) == (204, b"")
    _check_owed_headers(answer, "stored", "1.0.3")
    assert list(await _stored(folded, id_)) == [id_]


async def test_statements_without_ids_get_random_ones_in_order(folded: Web) -> None:
    client, kept = folded.client(await folded.key()), statement()
    bare = [{key: value for key, value in statement().items() if key != "id"} for _ in range(2)]
    answer = await client.post(STATEMENTS, json=[bare[0], kept, bare[1]])
    ids = answer.json()
    assert ids[1] == kept["id"]
    assert [UUID(ids[0]).version, UUID(ids[2]).version] == [4, 4]
    assert set(await _stored(folded, *ids)) == set(ids)


async def test_the_sender_s_bytes_are_kept_as_they_are(folded: Web) -> None:
    client, id_ = folded.client(await folded.key()), str(uuid4())
    raw = b'{ "id":"%s", "result" : {"score":{"raw":1.50}},"actor":{"mbox":"mailto:a@example.org"},"verb":{"id":"urn:x-v"},' % id_.encode()
    raw += b'"object":{"id":"urn:x-\\u00e9"} }'
    answer = await client.post(STATEMENTS, content=b" [\n" + raw + b"\n] ", headers={"Content-Type": "application/json; charset=utf-8"})
    assert answer.status_code == 200, answer.text
    assert (await _stored(folded, id_))[id_] == raw


async def test_one_request_is_one_record(folded: Web) -> None:
    client, before = folded.client(await folded.key()), await _records(folded)
    await client.post(STATEMENTS, json=[statement() for _ in range(10)])
    assert await _records(folded) == before + 1


async def test_an_equal_statement_sent_again_is_a_duplicate_and_is_not_written(folded: Web) -> None:
    client, sent = folded.client(await folded.key()), statement()
    await client.post(STATEMENTS, json=sent)
    before = await _records(folded)
    again = await client.post(STATEMENTS, json={**sent, "id": sent["id"].upper()})
    put = await client.put(STATEMENTS, params={"statementId": sent["id"]}, json=sent)
    assert (again.status_code, again.json(), put.status_code) == (200, [sent["id"].upper()], 204)
    for answer in (again, put):
        _check_owed_headers(answer, "stored")
        marks = decode_position(folded.state.hashes, folded.state.log.log_id, answer.headers["LRS-Position"])
        assert await folded.state.visibility.until_visible(marks, 0)
    assert await _records(folded) == before


async def test_a_batch_of_old_and_new_statements_appends_the_new_ones(folded: Web) -> None:
    client, old, new = folded.client(await folded.key()), statement(), statement()
    await client.post(STATEMENTS, json=old)
    answer = await client.post(STATEMENTS, json=[old, new])
    assert answer.json() == [old["id"], new["id"]]
    assert len(await _stored(folded, old["id"], new["id"])) == 2


async def test_another_statement_with_a_stored_id_refuses_the_whole_request_and_nothing_is_written(folded: Web) -> None:
    client, old, new = folded.client(await folded.key()), statement(), statement()
    await client.post(STATEMENTS, json=old)
    before = await _records(folded)
    answer = await client.post(STATEMENTS, json=[new, {**old, "verb": {"id": "urn:x-other"}}])
    assert answer.status_code == 409
    assert (answer.json()["pointer"], answer.json()["conflicts"]) == ("/1/id", [old["id"]])
    _check_owed_headers(answer, "rejected")
    put = await client.put(STATEMENTS, params={"statementId": old["id"]}, json={**old, "verb": {"id": "urn:x-other"}})
    assert (put.status_code, put.json()["pointer"]) == (409, "/id")
    assert await _records(folded) == before
    assert await _stored(folded, new["id"]) == {}


async def test_a_bad_statement_refuses_its_batch_and_all_its_faults_are_named(folded: Web) -> None:
    client, good, bad = folded.client(await folded.key()), statement(), statement()
    bad["actor"], bad["verb"] = {"mbox": "ada"}, {"id": "no iri"}
    before = await _records(folded)
    answer = await client.post(STATEMENTS, json=[good, bad])
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    _check_owed_headers(answer, "rejected")
    assert answer.json()["pointer"] == "/1/actor/mbox"
    assert {fault["pointer"] for fault in answer.json()["faults"]} == {"/1/actor/mbox", "/1/verb/id"}
    assert (await client.post(STATEMENTS, json=bad)).json()["pointer"] == "/actor/mbox"
    assert await _records(folded) == before


async def test_two_statements_of_one_request_may_not_share_an_id(folded: Web) -> None:
    client, sent = folded.client(await folded.key()), statement()
    answer = await client.post(STATEMENTS, json=[statement(), sent, {**sent, "id": sent["id"].upper()}])
    assert (answer.status_code, answer.json()["pointer"]) == (400, "/2/id")


async def test_a_put_needs_one_statement_id_and_nothing_else(web: Web) -> None:
    client, bare = web.client(await web.key()), {key: value for key, value in statement().items() if key != "id"}
    id_ = uuid4()
    known = f"?statementId={id_}"
    for query in ("", "?statementId=1", f"?statementId={id_.hex}", f"?StatementId={id_}", f"{known}&foo=bar", f"{known}&{known[1:]}"):
        answer = await client.put(STATEMENTS + query, json=bare)
        assert answer.status_code == 400, query
        _check_owed_headers(answer, "rejected")
    other = await client.put(f"{STATEMENTS}?statementId={id_}", json=bare | {"id": str(uuid4())})
    assert (other.status_code, other.json()["pointer"]) == (400, "/id")


async def test_a_put_takes_one_statement_and_a_post_takes_no_parameters(web: Web) -> None:
    client, sent = web.client(await web.key()), statement()
    assert (await client.put(STATEMENTS, params={"statementId": sent["id"]}, json=[sent])).status_code == 400
    assert (await client.post(STATEMENTS, params={"statementId": sent["id"]}, json=sent)).status_code == 400


async def test_a_request_whose_headers_say_what_we_do_not_take_is_refused_with_a_sentence(web: Web) -> None:
    client, json_type = web.client(await web.key()), {"Content-Type": "application/json"}
    refused: list[dict[str, str]] = [
        {"Content-Type": "text/plain"}, {"Content-Type": "multipart/form-data"}, {"Content-Type": 'multipart/mixed; boundary="x"'}, {"Content-Type": ""},
        {**json_type, "Content-Encoding": "gzip"}, {**json_type, "Idempotency-Key": "x" * 256}, {**json_type, "X-Experience-API-Version": "BAD"},
        {**json_type, "Content-Length": "9e9"},
    ]
    for headers in refused:
        answer = await client.post(STATEMENTS, content=orjson.dumps(statement()), headers=headers)
        assert answer.status_code == 400, headers
        assert answer.json()["detail"].endswith(".")
        _check_owed_headers(answer, "rejected")


async def test_a_request_without_version_is_answered_in_the_one_its_key_last_spoke(folded: Web) -> None:
    auth = await folded.key()
    assert (await folded.client(auth, version=None).post(STATEMENTS, json=statement())).headers["X-Experience-API-Version"] == "2.0.0"
    await folded.client(auth, version="1.0.2").post(STATEMENTS, json=statement())
    answer = await folded.client(auth, version=None).post(STATEMENTS, json=statement())
    assert answer.status_code == 400
    _check_owed_headers(answer, "rejected", "1.0.3")


HOSTILE = [
    b"", b"null", b"1", b"[1]", b"[[]]", b"{", b"[{]", b"\xef\xbb\xbf{}", b"\xff", b'{"id":1}', b"[" * 5000, b'{"a":' * 5000, b'{"actor":{},"actor":{}}',
    b"{}{}", b"NaN", b'{"id":"\\ud800"}', b'{"id":"\\u0000"}', b'{"result":{"score":{"raw":1e999}}}', b'{"x":' + b"9" * 6000 + b"}", b'"' + b"a" * 6000 + b'"',
]


async def test_in_an_array_the_sentence_names_the_same_place_as_the_pointer(web: Web) -> None:
    client = web.client(await web.key())
    for bad, pointer, sentence in (
        (statement(actor={"mbox": "x"}), "/1/actor/mbox", "/1/actor/mbox must be "), ({**statement(), "verb": {}}, "/1/verb", '/1/verb lacks "id".'),
        ({}, "/1", '/1 lacks "actor".'),
    ):
        problem = (await client.post(STATEMENTS, json=[statement(), bad])).json()
        assert problem["pointer"] == problem["faults"][0]["pointer"] == pointer
        assert problem["detail"].startswith(sentence), problem["detail"]


async def test_hostile_bodies_are_bad_requests(web: Web) -> None:
    client = web.client(await web.key())
    for body in HOSTILE:
        answer = await client.post(STATEMENTS, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, body
        assert answer.json()["detail"]
        _check_owed_headers(answer, "rejected")


async def test_an_empty_batch_writes_nothing(web: Web) -> None:
    before = await _records(web)
    answer = await web.client(await web.key()).post(STATEMENTS, json=[])
    assert (answer.status_code, answer.json()) == (200, [])
    assert await _records(web) == before


async def test_a_request_larger_than_accepted_is_refused(web: Web) -> None:
    client = web.client(await web.key())
    large = await client.post(STATEMENTS, content=b" " * (1 << 17), headers={"Content-Type": "application/json"})
    many = await client.post(STATEMENTS, json=[statement() for _ in range(21)])
    for answer in (large, many):
        assert answer.status_code == 413
        _check_owed_headers(answer, "rejected")
    assert large.headers["Connection"] == "close"


async def test_a_body_that_never_ends_is_given_up(web: Web) -> None:
    async def dripping() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()  # a client that sends nothing more
        yield b"}"
    async with asyncio.timeout(10):
        answer = await web.client(await web.key()).post(STATEMENTS, content=dripping(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 408


async def test_ids_of_a_repeated_request_with_an_idempotency_key_are_the_same(folded: Web) -> None:
    client, other = folded.client(await folded.key()), folded.client(await folded.key())
    bare = [{key: value for key, value in statement().items() if key != "id"} for _ in range(2)]
    bare[1]["verb"] = {"id": "urn:x-second"}
    headers = {"Idempotency-Key": "import 7"}
    first = (await client.post(STATEMENTS, json=bare, headers=headers)).json()
    before = await _records(folded)
    assert (await client.post(STATEMENTS, json=bare, headers=headers)).json() == first
    assert await _records(folded) == before
    assert (await client.post(STATEMENTS, json=bare[::-1], headers=headers)).status_code == 409
    assert set((await other.post(STATEMENTS, json=bare, headers=headers)).json()).isdisjoint(first)


async def test_respond_async_is_answered_at_durability_and_says_so(web: Web) -> None:
    client, sent = web.client(await web.key()), statement()
    answer = await client.post(STATEMENTS, json=sent, headers={"Prefer": "respond-async"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "respond-async")
    _check_owed_headers(answer, "stored")
    assert await _stored(web, sent["id"]) == {}
    marks = decode_position(web.state.hashes, web.state.log.log_id, answer.headers["LRS-Position"])
    async with running_projector(web.state):
        assert await web.state.visibility.until_visible(marks, 10)
    assert await _stored(web, sent["id"])


async def test_when_the_wait_for_visibility_ends_the_answer_is_still_that_it_is_stored(database: str, tmp_path: Path) -> None:
    async with web_process(settings_for(tmp_path), database, visible_s=0.05) as web:
        answer = await web.client(await web.key()).post(STATEMENTS, json=statement())
    assert answer.status_code == 200
    _check_owed_headers(answer, "stored")


async def test_while_a_partition_is_halted_nobody_waits_and_past_a_cap_writes_are_pushed_back(web: Web) -> None:
    client = web.client(await web.key())
    async with web.state.pool.acquire() as connection:
        await ensure_cursors(connection, "statements", 1, web.state.log.log_id, web.state.log.partitions)
    await web.state.pool.execute("update projection_cursor set halted = 'damaged' where name = 'statements'")
    await web.state.visibility.fresh()
    web.state.visibility.backlog = Backlog(max_records=3)
    async with asyncio.timeout(10):
        answers = [await client.post(STATEMENTS, json=statement()) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 503, 503]  # the genesis record is not folded either
    _check_owed_headers(answers[-1], "rejected")
    assert answers[-1].headers["Retry-After"] == "1"


async def _append_unseen(web: Web, *sent: dict[str, Any]) -> None:
    """Append statements as another process would, before anybody has looked."""
    statements = [(UUID(one["id"]), fingerprint(one).hex(), orjson.dumps(one)) for one in sent]
    value = encode_statements(batch=uuid4(), tenant="default", authority={"mbox": "mailto:x@example.org"}, credential="other", scopes=["all"],
                              received=rfc3339(0), xapi="2.0.0", statements=statements)
    await web.state.log.append([NewRecord(0, b"key", value, count=len(statements))])


async def test_whoever_loses_a_race_for_an_id_is_told_what_of_his_request_stands(web: Web) -> None:
    client, contested, mine = web.client(await web.key()), statement(), statement()
    await _append_unseen(web, {**contested, "verb": {"id": "urn:x-first"}})
    before = await _records(web)
    posts = [asyncio.create_task(client.post(STATEMENTS, json=body)) for body in ([mine, contested], contested, {**contested, "verb": {"id": "urn:x-first"}})]
    await until(lambda: _has_records(web, before + 3))
    async with running_projector(web.state):
        partial, rejected, equal = [await post for post in posts]
    assert [answer.status_code for answer in (partial, rejected, equal)] == [409, 409, 200]
    _check_owed_headers(partial, "partial")
    _check_owed_headers(rejected, "rejected")
    assert (partial.json()["stands"], partial.json()["conflicts"], partial.json()["pointer"]) == ([mine["id"]], [contested["id"]], "/1/id")
    assert "LRS-Position" in partial.headers
    stored = await _stored(web, mine["id"], contested["id"])
    assert orjson.loads(stored[contested["id"]])["verb"]["id"] == "urn:x-first"
    assert mine["id"] in stored


async def test_other_methods_and_paths_are_refused_as_problems(web: Web) -> None:
    client = web.client(await web.key())
    assert (await client.patch(STATEMENTS)).status_code == 405
    assert (await client.post("/xapi/nothing")).status_code == 404


async def test_whatever_arrives_costs_no_5xx(web: Web) -> None:
    rng, client = random.Random(7), web.client(await web.key())
    valid = orjson.dumps([statement(), statement(result={"score": {"raw": 1.5}, "duration": "PT1S"})])
    bits = [b"\x00", b"\xff", b'"', b"{", b"[", b"}", b"]", b",", b":", b"\\u0000", b"\\ud800", b"1e999", b"-", b"null", b'"id"', b"\xe2\x80\xa8", b"9" * 50]
    headers = [
        {}, {"Idempotency-Key": "\u00ff"},
        {"Prefer": "respond-async, wait=,;=\u00e9"}, {"X-Experience-API-Version": "1.0.\u00b2"}, {"Content-Length": "\u00b2"},
    ]
    for _ in range(400):
        body = bytearray(valid)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(body))
            body[at:at + rng.choice([0, 1, 1, 9])] = rng.choice(bits)
        query = "".join(rng.choice(["%", "ff", "&", "=", "statementId", "\u00e9", "+"]) for _ in range(rng.choice([0, 0, 0, 5])))
        extra = {name: value.encode("latin-1") for name, value in rng.choice(headers).items()}
        answer = await client.request(rng.choice(["POST", "PUT"]), f"{STATEMENTS}?{query}", content=bytes(body),
                                      headers={b"Content-Type": b"application/json", b"Prefer": b"respond-async", **{k.encode(): v for k, v in extra.items()}})
        assert answer.status_code in {200, 400}, (answer.text, bytes(body))
        assert answer.headers["LRS-Outcome"] == ("stored" if answer.status_code == 200 else "rejected")


async def test_operators_may_ask_an_ingest_process_that_stands_alone(web: Web) -> None:
    client = web.client(None, version=None)
    assert (await client.get("/healthz/live")).json() == {"status": "live"}
    assert (await client.get("/healthz/ready")).json() == {"status": "ready"}
    assert (await client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"})).status_code == 401
    await client.post(STATEMENTS)
    assert 'testamur_http_requests_total{method="POST",route="/xapi/statements",status="401"}' in (await client.get("/metrics")).text


async def test_while_postgres_is_away_a_write_is_refused_or_unknown_and_afterwards_taken(make_postgres: MakePostgres, tmp_path: Path) -> None:
    server = await make_postgres()
    async with web_process(settings_for(tmp_path), server.dsn, visible_s=0.1) as web:
        client, sent = web.client(await web.key()), statement()
        assert (await client.post(STATEMENTS, json=statement())).status_code == 200
        server.kill9()
        async with asyncio.timeout(30):
            away = [await client.post(STATEMENTS, json=body) for body in (sent, {key: value for key, value in sent.items() if key != "id"})]
        for answer in away:
            assert answer.status_code == 503, answer.text
            assert answer.headers["LRS-Outcome"] in {"rejected", "unknown"}
            assert answer.headers["Retry-After"]
        assert away[0].headers["LRS-Outcome"] == "rejected"
        await server.restart()

        async def taken() -> bool:
            return (await client.post(STATEMENTS, json=sent)).status_code == 200

        await until(taken, 20)
