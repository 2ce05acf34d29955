"""Answers are the sender's bytes, with what the LRS sets put in."""

from uuid import UUID

import orjson

from services.core import splice as splicing
from services.core.splice import flags_of, page, splice
from services.core.timeline import rfc3339
from tests.factories import activity, actor, statement

ID = UUID("6d5104a4-87fe-4e5c-b7ab-588370717558")
STORED = 200_000_000_000_123
AUTHORITY = b'{"objectType":"Agent","mbox":"mailto:lrs@example.org"}'


def spliced(raw: bytes) -> bytes:
    return splice(raw, flags_of(orjson.loads(raw)), id=ID, stored=STORED, authority_json=AUTHORITY, version="1.0.0")


def test_a_bare_statement_gets_id_stored_timestamp_authority_and_version() -> None:
    raw = b'{"actor": {"mbox":"mailto:a@b.c"}, "verb": {"id":"a:b"},  "object": {"id":"a:b"},"result":{"score":{"raw":1.50,"max":1e2}} }'
    out = spliced(raw)
    assert out.startswith(raw[:-1])
    answer = orjson.loads(out)
    assert answer["id"] == str(ID)
    assert answer["stored"] == answer["timestamp"] == rfc3339(STORED)
    assert answer["authority"] == orjson.loads(AUTHORITY)
    assert answer["version"] == "1.0.0"


def test_what_the_sender_set_stays() -> None:
    sent = statement(id=str(ID).upper(), timestamp="2026-05-01T12:00:00+02:00", version="1.0.3")
    answer = orjson.loads(spliced(orjson.dumps(sent)))
    assert {key: answer[key] for key in sent} == sent
    assert len(answer) == len(sent) + 2


def test_the_senders_stored_and_authority_are_replaced_and_every_other_value_keeps_its_bytes() -> None:
    raw = (
        b'{"stored":"2001-01-01T00:00:00Z","actor": {"mbox":"mailto:a@b.c"},"authority":{"mbox":"mailto:x@y.z"},'
        b'"verb":{"id" : "a:b"},"object":{"id":"a:b"},"result":{"score":{"raw":1.50}}}'
    )
    out = spliced(raw)
    answer = orjson.loads(out)
    assert answer["stored"] == rfc3339(STORED)
    assert answer["authority"] == orjson.loads(AUTHORITY)
    assert out.count(b'"stored"') == out.count(b'"authority"') == 1
    assert b'{"id" : "a:b"}' in out
    assert b'{"raw":1.50}' in out


def test_a_lone_context_activity_gets_its_brackets_also_in_a_sub_statement() -> None:
    context = {"contextActivities": {"parent": activity("p"), "other": [activity("o")], "category": []}, "platform": "x"}
    wanted = {"contextActivities": {"parent": [activity("p")], "other": [activity("o")], "category": []}, "platform": "x"}
    sub = {"objectType": "SubStatement", **statement(context=context)}
    answer = orjson.loads(spliced(orjson.dumps(statement(context=context, object=sub))))
    assert answer["context"] == wanted
    assert answer["object"] == {**sub, "context": wanted}
    only_sub = orjson.loads(spliced(orjson.dumps(statement(context={"platform": "x"}, object=sub))))
    assert only_sub["object"]["context"] == wanted
    assert orjson.loads(spliced(orjson.dumps(statement(context=context, object=activity("x")))))["context"] == wanted


def test_the_flags_fit_a_smallint_and_say_what_is_to_be_done() -> None:
    assert flags_of(statement()) == splicing.NEEDS_ID | splicing.NEEDS_TIMESTAMP | splicing.NEEDS_VERSION
    full = statement(
        1,
        timestamp="2026-05-01T12:00:00Z",
        version="1.0.0",
        stored="2026-05-01T12:00:00Z",
        authority=actor(),
        context={"contextActivities": {"parent": activity()}},
    )
    assert flags_of(full) == splicing.HAS_STORED | splicing.HAS_AUTHORITY | splicing.LONE_CONTEXT_ACTIVITIES
    assert flags_of(full | {"context": {"contextActivities": {"parent": [activity()]}}}) == splicing.HAS_STORED | splicing.HAS_AUTHORITY


def test_a_page_is_a_statement_result() -> None:
    one = spliced(orjson.dumps(statement(1)))
    assert orjson.loads(page([one, one], '/xapi/statements?cursor="x"')) == {"statements": [orjson.loads(one)] * 2, "more": '/xapi/statements?cursor="x"'}
    assert page([], "") == b'{"statements":[],"more":""}'
