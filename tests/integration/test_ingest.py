"""Writes of /xapi/statements: what is stored, and what each answer says about it."""
from uuid import UUID, uuid4

from services.core.timeline import rfc3339, stored_of
from services.runtime.position import decode_position
from tests.integration.api_service import STATEMENTS
from tests.integration.ingesting import check_owed_headers, records, stored
from tests.servers.in_process import Web, statement


async def test_a_posted_statement_is_visible_when_its_answer_arrives(folded: Web) -> None:
    client, sent = folded.client(await folded.key()), statement()
    answer = await client.post(STATEMENTS, json=sent)
    assert (answer.status_code, answer.json()) == (200, [sent["id"]])
    check_owed_headers(answer, "stored")
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
    check_owed_headers(answer, "stored", "1.0.3")
    assert list(await stored(folded, id_)) == [id_]


async def test_statements_without_ids_get_random_ones_in_order(folded: Web) -> None:
    client, kept = folded.client(await folded.key()), statement()
    bare = [{key: value for key, value in statement().items() if key != "id"} for _ in range(2)]
    answer = await client.post(STATEMENTS, json=[bare[0], kept, bare[1]])
    ids = answer.json()
    assert ids[1] == kept["id"]
    assert [UUID(ids[0]).version, UUID(ids[2]).version] == [4, 4]
    assert set(await stored(folded, *ids)) == set(ids)


async def test_the_sender_s_bytes_are_kept_as_they_are(folded: Web) -> None:
    client, id_ = folded.client(await folded.key()), str(uuid4())
    raw = b'{ "id":"%s", "result" : {"score":{"raw":1.50}},"actor":{"mbox":"mailto:a@example.org"},"verb":{"id":"urn:x-v"},' % id_.encode()
    raw += b'"object":{"id":"urn:x-\\u00e9"} }'
    answer = await client.post(STATEMENTS, content=b" [\n" + raw + b"\n] ", headers={"Content-Type": "application/json; charset=utf-8"})
    assert answer.status_code == 200, answer.text
    assert (await stored(folded, id_))[id_] == raw


async def test_one_request_is_one_record(folded: Web) -> None:
    client, before = folded.client(await folded.key()), await records(folded)
    await client.post(STATEMENTS, json=[statement() for _ in range(10)])
    assert await records(folded) == before + 1


async def test_an_equal_statement_sent_again_is_a_duplicate_and_is_not_written(folded: Web) -> None:
    client, sent = folded.client(await folded.key()), statement()
    await client.post(STATEMENTS, json=sent)
    before = await records(folded)
    again = await client.post(STATEMENTS, json={**sent, "id": sent["id"].upper()})
    put = await client.put(STATEMENTS, params={"statementId": sent["id"]}, json=sent)
    assert (again.status_code, again.json(), put.status_code) == (200, [sent["id"].upper()], 204)
    for answer in (again, put):
        check_owed_headers(answer, "stored")
        marks = decode_position(folded.state.hashes, folded.state.log.log_id, answer.headers["LRS-Position"])
        assert await folded.state.visibility.until_visible(marks, 0)
    assert await records(folded) == before


async def test_a_batch_of_old_and_new_statements_appends_the_new_ones(folded: Web) -> None:
    client, old, new = folded.client(await folded.key()), statement(), statement()
    await client.post(STATEMENTS, json=old)
    answer = await client.post(STATEMENTS, json=[old, new])
    assert answer.json() == [old["id"], new["id"]]
    assert len(await stored(folded, old["id"], new["id"])) == 2


async def test_another_statement_with_a_stored_id_refuses_the_whole_request_and_nothing_is_written(folded: Web) -> None:
    client, old, new = folded.client(await folded.key()), statement(), statement()
    await client.post(STATEMENTS, json=old)
    before = await records(folded)
    answer = await client.post(STATEMENTS, json=[new, {**old, "verb": {"id": "urn:x-other"}}])
    assert answer.status_code == 409
    assert (answer.json()["pointer"], answer.json()["conflicts"]) == ("/1/id", [old["id"]])
    check_owed_headers(answer, "rejected")
    put = await client.put(STATEMENTS, params={"statementId": old["id"]}, json={**old, "verb": {"id": "urn:x-other"}})
    assert (put.status_code, put.json()["pointer"]) == (409, "/id")
    assert await records(folded) == before
    assert await stored(folded, new["id"]) == {}


async def test_a_request_without_version_is_answered_in_the_one_its_key_last_spoke(folded: Web) -> None:
    auth = await folded.key()
    assert (await folded.client(auth, version=None).post(STATEMENTS, json=statement())).headers["X-Experience-API-Version"] == "2.0.0"
    await folded.client(auth, version="1.0.2").post(STATEMENTS, json=statement())
    answer = await folded.client(auth, version=None).post(STATEMENTS, json=statement())
    assert answer.status_code == 400
    check_owed_headers(answer, "rejected", "1.0.3")


async def test_an_empty_batch_writes_nothing(web: Web) -> None:
    before = await records(web)
    answer = await web.client(await web.key()).post(STATEMENTS, json=[])
    assert (answer.status_code, answer.json()) == (200, [])
    assert await records(web) == before


async def test_ids_of_a_repeated_request_with_an_idempotency_key_are_the_same(folded: Web) -> None:
    client, other = folded.client(await folded.key()), folded.client(await folded.key())
    bare = [{key: value for key, value in statement().items() if key != "id"} for _ in range(2)]
    bare[1]["verb"] = {"id": "urn:x-second"}
    headers = {"Idempotency-Key": "import 7"}
    first = (await client.post(STATEMENTS, json=bare, headers=headers)).json()
    before = await records(folded)
    assert (await client.post(STATEMENTS, json=bare, headers=headers)).json() == first
    assert await records(folded) == before
    assert (await client.post(STATEMENTS, json=bare[::-1], headers=headers)).status_code == 409
    assert set((await other.post(STATEMENTS, json=bare, headers=headers)).json()).isdisjoint(first)


async def test_operators_may_ask_an_ingest_process_that_stands_alone(web: Web) -> None:
    client = web.client(None, version=None)
    assert (await client.get("/healthz/live")).json() == {"status": "live"}
    assert (await client.get("/healthz/ready")).json() == {"status": "ready"}
    assert (await client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"})).status_code == 401
    await client.post(STATEMENTS)
    assert 'testamur_http_requests_total{method="POST",route="/xapi/statements",status="401"}' in (await client.get("/metrics")).text
