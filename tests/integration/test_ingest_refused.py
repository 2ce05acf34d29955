"""Writes of /xapi/statements that are refused: with a sentence and a pointer, and never with a 5xx, whatever arrives."""
import asyncio
import random
from collections.abc import AsyncIterator
from uuid import uuid4

import orjson

from tests.integration.api_service import STATEMENTS
from tests.integration.ingesting import check_owed_headers, records
from tests.servers.in_process import Web, statement

HOSTILE = [
    b"", b"null", b"1", b"[1]", b"[[]]", b"{", b"[{]", b"\xef\xbb\xbf{}", b"\xff", b'{"id":1}', b"[" * 5000, b'{"a":' * 5000, b'{"actor":{},"actor":{}}',
    b"{}{}", b"NaN", b'{"id":"\\ud800"}', b'{"id":"\\u0000"}', b'{"result":{"score":{"raw":1e999}}}', b'{"x":' + b"9" * 6000 + b"}", b'"' + b"a" * 6000 + b'"',
]


async def test_a_bad_statement_refuses_its_batch_and_all_its_faults_are_named(folded: Web) -> None:
    client, good, bad = folded.client(await folded.key()), statement(), statement()
    bad["actor"], bad["verb"] = {"mbox": "ada"}, {"id": "no iri"}
    before = await records(folded)
    answer = await client.post(STATEMENTS, json=[good, bad])
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    check_owed_headers(answer, "rejected")
    assert answer.json()["pointer"] == "/1/actor/mbox"
    assert {fault["pointer"] for fault in answer.json()["faults"]} == {"/1/actor/mbox", "/1/verb/id"}
    assert (await client.post(STATEMENTS, json=bad)).json()["pointer"] == "/actor/mbox"
    assert await records(folded) == before


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
        check_owed_headers(answer, "rejected")
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
        check_owed_headers(answer, "rejected")


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
        check_owed_headers(answer, "rejected")


async def test_a_request_larger_than_accepted_is_refused(web: Web) -> None:
    client = web.client(await web.key())
    large = await client.post(STATEMENTS, content=b" " * (1 << 17), headers={"Content-Type": "application/json"})
    many = await client.post(STATEMENTS, json=[statement() for _ in range(21)])
    for answer in (large, many):
        assert answer.status_code == 413
        check_owed_headers(answer, "rejected")
    assert large.headers["Connection"] == "close"


async def test_a_body_that_never_ends_is_given_up(web: Web) -> None:
    async def dripping() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()  # a client that sends nothing more
        yield b"}"
    async with asyncio.timeout(10):
        answer = await web.client(await web.key()).post(STATEMENTS, content=dripping(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 408


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
