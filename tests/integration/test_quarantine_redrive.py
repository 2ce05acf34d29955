"""What was set aside is sent on, corrected: stored as its sender would have stored it, with the content of its attachments, and once."""
import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from services.core.vocabulary import SIGNATURE
from services.runtime.callers import auth
from services.runtime.callers.api_keys import revoke_key
from services.runtime.failpoint import FAILPOINTS
from tests.integration.api_service import STATEMENTS, Service, api_service, served
from tests.integration.setting_aside import PATH, Sides, bad, sides_of
from tests.servers.in_process import statement
from tests.servers.multipart import MULTIPART, attachment, multipart, part
from tests.servers.signing import Signer

SAMPLES = Path(os.environ.get("TESTAMUR_TEST_SAMPLES", Path(__file__).parents[2].parent / "shared" / "samples")) / "invalid.ndjson"


service = served(api_service)


@pytest_asyncio.fixture
async def sides(service: Service) -> Sides:
    return await sides_of(service)


# ---- sent on

async def test_a_corrected_statement_is_stored_as_its_sender_would_have_stored_it(sides: Sides) -> None:
    wrong = bad()
    await sides.post(wrong)
    [found] = await sides.listed()
    refused = await sides.redrive(found["id"])
    assert (refused.status_code, refused.json()["pointer"], refused.headers["LRS-Outcome"]) == (400, "/verb/id", "rejected")

    corrected = wrong | {"verb": {"id": "http://adlnet.gov/expapi/verbs/completed"}}
    answers = [await sides.redrive(found["id"], corrected) for _ in range(2)]
    assert [(answer.status_code, answer.json(), answer.headers["LRS-Outcome"]) for answer in answers] == [
        (200, {"id": found["id"], "statement": wrong["id"]}, "stored")] * 2
    assert all("LRS-Position" in answer.headers for answer in answers)
    stored = await sides.stored(wrong["id"])
    assert (stored["authority"]["account"]["name"], stored["version"]) == ("transformer", "1.0.0")
    assert await sides.listed() == []
    [done] = await sides.listed(redriven="true")
    assert (done["id"], done["faults"]) == (found["id"], found["faults"])
    assert done["redriven"]
    assert done["redriven_by"].startswith("lrs_")

    assert (await sides.redrive(found["id"], corrected | {"result": {"success": True}})).status_code == 409


async def test_what_was_sent_on_is_known_when_it_comes_again_and_is_not_said_to_wait(sides: Sides) -> None:
    wrong, other = bad(), bad()
    await sides.post([wrong, other])
    found = next(each for each in await sides.listed() if each["statement"] == wrong["id"])
    assert (await sides.redrive(found["id"], wrong | {"verb": {"id": "http://adlnet.gov/expapi/verbs/completed"}})).status_code == 200

    again = await sides.post(wrong)
    assert (again.status_code, again.json(), again.headers["LRS-Outcome"]) == (200, [wrong["id"]], "stored")
    assert "LRS-Quarantined" not in again.headers
    assert "Link" not in again.headers
    both = await sides.post([wrong, other])
    assert (both.json(), both.headers["LRS-Outcome"], both.headers["LRS-Quarantined"]) == ([wrong["id"], other["id"]], "stored", "1")
    assert [each["statement"] for each in await sides.listed()] == [other["id"]]


async def test_a_statement_that_had_no_id_is_stored_under_the_one_its_sender_was_told(sides: Sides) -> None:
    wrong = {key: value for key, value in bad().items() if key != "id"}
    [told] = (await sides.post([wrong])).json()
    [found] = await sides.listed()
    corrected = wrong | {"verb": {"id": "http://adlnet.gov/expapi/verbs/completed"}}
    assert (await sides.redrive(found["id"], corrected | {"id": str(uuid4())})).json()["pointer"] == "/id"
    assert (await sides.redrive(found["id"], [corrected])).status_code == 400
    assert (await sides.redrive(found["id"], corrected)).json()["statement"] == told
    assert (await sides.stored(told))["id"] == told


async def test_who_sends_a_statement_on_lends_it_no_trust_that_he_has_not(service: Service) -> None:
    sides = await sides_of(service, "statements/write", "lrs:void", "lrs:assure")
    target, reference = statement(), {"objectType": "StatementRef", "id": ""}
    await sides.tenant.post(target)
    wrong = statement(verb={"id": "http://adlnet.gov/expapi/verbs/voided"}, object=reference)
    await sides.post([wrong])
    [found] = await sides.listed()
    manager = await sides.tenant.with_scopes("lrs:manage", "statements/write")
    voiding = wrong | {"object": reference | {"id": target["id"]}}
    refused = await manager.post(f"{PATH}/{found['id']}/redrive", json=voiding)
    assert (refused.status_code, refused.json()["pointer"], refused.json()["scopes"]) == (403, "/verb/id", ["lrs:void"])
    assert await sides.stored(target["id"]) is not None, "lrs:void is not the manager's to lend"
    assert (await sides.redrive(found["id"], voiding)).status_code == 200
    assert await sides.stored(target["id"]) is None


async def test_a_correction_voids_only_what_was_to_be_voided_as_the_sender_himself_would_have(service: Service) -> None:
    sides = await sides_of(service, "statements/write", "lrs:void")
    manager = await sides.tenant.with_scopes("lrs:manage", "statements/write")
    target, other = statement(), statement()
    await sides.tenant.post(target, other)

    def void(id_: str, **changes: Any) -> dict[str, Any]:
        return statement(verb={"id": "http://adlnet.gov/expapi/verbs/voided"}, object={"objectType": "StatementRef", "id": id_}, **changes)

    plain, wrong = bad(), void(target["id"], timestamp="yesterday")
    await sides.post([plain, wrong])
    rows = {each["statement"]: f"{PATH}/{each['id']}/redrive" for each in await sides.listed()}
    assert (await manager.post(rows[plain["id"]], json=void(other["id"], id=plain["id"]))).status_code == 403
    assert (await manager.post(rows[wrong["id"]], json=void(other["id"], id=wrong["id"]))).status_code == 403
    assert (await manager.post(rows[wrong["id"]], json=void(target["id"].upper(), id=wrong["id"]))).status_code == 200
    assert await sides.stored(other["id"]) is not None
    assert await sides.stored(target["id"]) is not None, "the sender's lrs:void is not lent"


async def test_who_may_not_write_sends_nothing_on(sides: Sides) -> None:
    wrong = bad()
    await sides.post(wrong)
    [found] = await sides.listed()
    corrected = wrong | {"verb": {"id": "http://adlnet.gov/expapi/verbs/completed"}}
    for scope, missing in (("lrs:manage", "statements/write"), ("statements/write", "lrs:manage")):
        answer = await (await sides.tenant.with_scopes(scope)).post(f"{PATH}/{found['id']}/redrive", json=corrected)
        assert (answer.status_code, answer.json()["scopes"]) == (403, [missing])
    assert await sides.stored(wrong["id"]) is None


async def test_nothing_is_sent_on_for_a_key_that_is_revoked(sides: Sides, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "FRESH_S", 0.0)
    wrong = bad()
    await sides.post(wrong)
    [found] = await sides.listed()
    assert await revoke_key(service.web.state.pool, sides.key)
    answer = await sides.redrive(found["id"], wrong | {"verb": {"id": "http://adlnet.gov/expapi/verbs/completed"}})
    assert (answer.status_code, "revoked or expired" in answer.json()["detail"]) == (403, True)
    assert await sides.stored(wrong["id"]) is None
    assert await sides.listed() == [found]


async def test_one_is_removed_for_good_and_pages_give_each_once(sides: Sides) -> None:
    sent = [bad() for _ in range(5)]
    await sides.post(sent)
    first = (await sides.operator.get(PATH, params={"limit": 2})).json()
    second = (await sides.operator.get(first["next"])).json()
    third = (await sides.operator.get(second["next"])).json()
    ids = [each["statement"] for page in (first, second, third) for each in page["quarantine"]]
    assert sorted(ids) == sorted(each["id"] for each in sent)
    assert third["next"] is None

    gone = first["quarantine"][0]["id"]
    for status in (204, 404):
        assert (await sides.operator.delete(f"{PATH}/{gone}")).status_code == status
    for path in (f"{PATH}/{gone}", f"{PATH}/{uuid4()}", f"{PATH}/x"):
        assert (await sides.operator.get(path)).status_code == 404
        assert (await sides.operator.post(f"{path}/redrive")).status_code == 404
    assert len(await sides.listed()) == 4


async def test_no_tenant_reaches_what_another_has_in_quarantine(sides: Sides, service: Service) -> None:
    stranger = (await service.tenant()).client
    await sides.post([bad()])
    [found] = await sides.listed()
    assert (await stranger.get(PATH)).json()["quarantine"] == []
    for answer in (
        await stranger.get(f"{PATH}/{found['id']}"), await stranger.delete(f"{PATH}/{found['id']}"),
        await stranger.post(f"{PATH}/{found['id']}/redrive", json=statement(id=found["statement"])),
    ):
        assert answer.status_code == 404
    assert await sides.listed() == [found]


@pytest.mark.parametrize(("body", "headers"), [
    (b"{", {}), (b"x", {"Content-Type": "text/plain"}), (b"\xff", {}), (b"[]", {}), (b"{}", {"Content-Encoding": "gzip"}), (b" ", {}),
])
async def test_what_is_no_corrected_statement_is_refused(sides: Sides, body: bytes, headers: dict[str, str]) -> None:
    await sides.post([bad()])
    [found] = await sides.listed()
    answer = await sides.operator.post(f"{PATH}/{found['id']}/redrive", content=body, headers={"Content-Type": "application/json", **headers})
    assert (answer.status_code, answer.headers["LRS-Outcome"]) == (400, "rejected")
    assert await sides.listed() == [found]


async def test_a_redrive_that_dies_before_it_is_noted_is_repeated_without_a_second_statement(sides: Sides) -> None:
    wrong = bad()
    await sides.post([wrong])
    [found] = await sides.listed()
    corrected = wrong | {"verb": {"id": "http://adlnet.gov/expapi/verbs/completed"}}
    FAILPOINTS.arm("ingest.before_reply=error")
    try:
        assert (await sides.redrive(found["id"], corrected)).headers["LRS-Outcome"] == "unknown"
    finally:
        FAILPOINTS.arm(None)
    assert await sides.listed() == [found]
    assert (await sides.redrive(found["id"], corrected)).status_code == 200
    assert await sides.tenant.ids() == [wrong["id"]]
    assert await sides.listed() == []


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples are not here")
async def test_every_invalid_sample_of_the_field_is_set_aside_with_the_faults_that_strictness_names(sides: Sides) -> None:
    samples = [json.loads(line)["statement"] for line in SAMPLES.read_text(encoding="utf-8").splitlines()]
    told = {}
    for sample in samples:
        strict, answer = await sides.post(sample, Prefer="handling=strict"), await sides.post(sample)
        assert (strict.status_code, answer.status_code, answer.headers["LRS-Quarantined"]) == (400, 200, "1"), sample
        told[json.dumps(sample), answer.json()[0]] = strict.json()["faults"]
    listed = await sides.listed(limit=500)
    assert len(told) == len(listed) > 100
    assert sorted(map(str, told.values())) == sorted(str(each["faults"]) for each in listed)


# ---- attachments

async def test_a_part_whose_digest_is_none_is_refused_and_not_set_aside(sides: Sides) -> None:
    essay = b"an essay"
    body = multipart(statement(attachments=[attachment(essay, sha2="abc")]), part(essay, X_Experience_API_Hash="abc"))
    answer = await sides.tool.post(STATEMENTS, content=body, headers=MULTIPART)
    assert (answer.status_code, "no digest of SHA-2" in answer.json()["detail"]) == (400, True)
    assert await sides.listed() == []


async def test_a_batch_with_attachments_keeps_the_content_of_what_it_sets_aside(sides: Sides) -> None:
    essay, photo = b"an essay", b"a photo"
    good, wrong = statement(attachments=[attachment(essay)]), bad(attachments=[attachment(photo)])
    answer = await sides.tool.post(STATEMENTS, content=multipart([wrong, good], part(essay), part(photo)), headers=MULTIPART)
    assert (answer.status_code, answer.json(), answer.headers["LRS-Quarantined"]) == (200, [wrong["id"], good["id"]], "1")
    assert await sides.stored(good["id"]) is not None

    [found] = await sides.listed()
    again = await sides.redrive(found["id"], wrong | {"verb": good["verb"]})
    assert again.status_code == 200, again.text
    given = await sides.operator.get(STATEMENTS, params={"statementId": wrong["id"], "attachments": "true"})
    assert photo in given.content


async def test_a_statement_whose_content_is_missing_is_set_aside_alone(sides: Sides) -> None:
    essay = b"an essay"
    good, wrong = statement(attachments=[attachment(essay)]), statement(attachments=[attachment(b"not sent")])
    answer = await sides.tool.post(STATEMENTS, content=multipart([wrong, good], part(essay)), headers=MULTIPART)
    assert (answer.status_code, answer.headers["LRS-Quarantined"]) == (200, "1")
    [found] = await sides.listed()
    assert (found["statement"], found["faults"][0]["pointer"]) == (wrong["id"], "/attachments/0")
    elsewhere = wrong | {"attachments": [attachment(b"not sent") | {"fileUrl": "https://files.example.org/essay.txt"}]}
    assert (await sides.redrive(found["id"])).json()["pointer"] == "/attachments/0"
    assert (await sides.redrive(found["id"], elsewhere)).status_code == 200


def _signed(statement_: dict[str, Any], *signatures: bytes) -> dict[str, Any]:
    return statement_ | {"attachments": [attachment(each, usageType=SIGNATURE, contentType="application/octet-stream") for each in signatures]}


async def test_a_statement_whose_signature_does_not_hold_is_set_aside_alone_with_the_reason(sides: Sides) -> None:
    plain, essay = [statement() for _ in range(2)], b"an essay"
    signatures = [Signer("signer").jws(each) for each in plain]
    forged = _signed(plain[0], signatures[0]) | {"actor": {"mbox": "mailto:eve@example.org"}}
    nameless = {key: value for key, value in _signed(statement(), b"no signature").items() if key != "id"}
    batch = [forged, bad(), _signed(plain[1], signatures[1]), nameless, statement(attachments=[attachment(essay)])]
    body = multipart(batch, *(part(each) for each in (*signatures, b"no signature", essay)))
    answers = [await sides.tool.post(STATEMENTS, content=body, headers=MULTIPART) for _ in range(2)]
    assert {(answer.status_code, answer.headers["LRS-Outcome"], answer.headers["LRS-Quarantined"]) for answer in answers} == {(200, "stored", "3")}
    ids = answers[0].json()
    assert answers[1].json() == ids == [forged["id"], batch[1]["id"], plain[1]["id"], ids[3], batch[4]["id"]]
    assert set(await sides.tenant.ids()) == {ids[2], ids[4]}

    listed = {each["statement"]: each["faults"] for each in await sides.listed()}
    assert listed.keys() == {ids[0], ids[1], ids[3]}
    assert [(fault["pointer"], "not the statement" in fault["detail"]) for fault in listed[ids[0]]] == [("/attachments/0", True)]
    assert [(fault["pointer"], "compact form" in fault["detail"]) for fault in listed[ids[3]]] == [("/attachments/0", True)]


async def test_a_signature_that_does_not_hold_refuses_a_request_that_asks_for_strictness(sides: Sides) -> None:
    body = multipart([statement(), _signed(statement(), b"no signature")], part(b"no signature"))
    answer = await sides.tool.post(STATEMENTS, content=body, headers={**MULTIPART, "Prefer": "handling=strict"})
    assert (answer.status_code, answer.json()["pointer"]) == (400, "/1/attachments/0")
    assert (await sides.tenant.ids(), await sides.listed()) == ([], [])


async def test_a_signed_statement_is_not_sent_on(sides: Sides) -> None:
    plain = statement()
    signature = Signer("signer").jws(plain)
    signed = _signed(plain, signature)
    for wrong in (signed | {"verb": {"id": "no IRI"}}, signed | {"actor": {"mbox": "mailto:eve@example.org"}}):
        answer = await sides.tool.post(STATEMENTS, content=multipart([wrong], part(signature)), headers=MULTIPART)
        assert (answer.headers["LRS-Outcome"], answer.headers["LRS-Quarantined"]) == ("rejected", "1")
    for found in await sides.listed():
        refused = await sides.redrive(found["id"], signed)
        assert (refused.status_code, refused.json()["pointer"]) == (400, "/attachments")
    assert await sides.stored(plain["id"]) is None
