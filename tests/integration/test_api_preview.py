"""Previews: who would gain and who would lose by a version that is not published."""
import asyncio
import csv
import io
from typing import Any

import orjson
import pytest
import pytest_asyncio

from schemas.api_programmes import Previewed
from services.api.programmes import preview as previews
from tests.integration.api_service import Service, Tenant, api_service, served
from tests.integration.programmes import ADA, BOB, YAML, credentials, graduate, passed, post, publish, rule

PREVIEW = "/v1/programmes/preview"
EVE = {"mbox": "mailto:eve@example.org", "name": "=cmd|' /C calc'!A0"}

service = served(api_service, partitions=2)


@pytest_asyncio.fixture
async def tenant(service: Service) -> Tenant:
    return await service.tenant()


async def preview(tenant: Tenant, text: str) -> dict[str, Any]:
    answer = await post(tenant, text, PREVIEW)
    assert answer.status_code == 200, answer.text
    Previewed.model_validate(answer.json())
    found: dict[str, Any] = answer.json()
    return found


async def school(tenant: Tenant) -> tuple[str, str, str]:
    """Ada and Bob hold a certificate, Ada with the better score; Eve has the courses and no programme's certificate. Return their ids."""
    await publish(tenant, rule())
    position = await tenant.post(passed("algebra", ADA, 0.9), passed("logic", ADA), passed("algebra", BOB, 0.6), passed("logic", BOB))
    await tenant.learner(ADA, position)
    for agent in (ADA, BOB):
        await graduate(tenant, agent)
    position = await tenant.post(passed("algebra", EVE, 0.4), passed("logic", EVE))
    return await tenant.learner(ADA), await tenant.learner(BOB), await tenant.learner(EVE, position)


async def test_a_preview_names_who_gains_and_who_loses_and_changes_nothing(tenant: Tenant) -> None:
    ada, bob, eve = await school(tenant)

    harder, easier = await preview(tenant, rule(version=2, score=0.95)), await preview(tenant, rule(version=2, score=0.3))

    assert ([each["id"] for each in harder["gain"]], sorted(each["id"] for each in harder["lose"]), harder["same"]) == ([], sorted([ada, bob]), 1)
    assert ([each["id"] for each in easier["gain"]], easier["lose"], easier["same"]) == ([eve], [], 2)
    assert (harder["policy"], harder["losing"], easier["gaining"]) == ("keep", 2, 1)
    assert easier["gain"][0]["name"] == EVE["name"]
    assert easier["gain"][0]["agents"][0]["mbox"] == EVE["mbox"]
    assert (await tenant.get("/v1/programmes/maths"))["version"] == 1
    assert [each["state"] for each in await credentials(tenant, BOB)] == ["issued"]


async def test_a_programme_nobody_knows_yet_is_previewed_too(tenant: Tenant) -> None:
    ada, bob, eve = await school(tenant)
    found = await preview(tenant, rule("new", more="on: {rule_changed: reevaluate}"))
    assert (sorted(each["id"] for each in found["gain"]), found["lose"], found["same"], found["policy"]) == (sorted([ada, bob]), [], 1, "reevaluate")
    assert eve not in str(found)


async def test_the_lists_come_as_csv_that_no_spreadsheet_executes(tenant: Tenant) -> None:
    _, _, eve = await school(tenant)
    text = rule(version=2, score=0.3).encode()
    for answer in (
        await tenant.client.post(PREVIEW, content=text, headers={**YAML, "Accept": "text/csv"}),
        await tenant.client.post(PREVIEW, content=text, headers=YAML, params={"format": "csv"}),
    ):
        assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/csv")
        [row] = csv.DictReader(io.StringIO(answer.text))
        assert (row["change"], row["learner"], row["name"]) == ("gain", eve, "'" + EVE["name"])


async def test_progress_comes_line_by_line_and_the_result_last(tenant: Tenant) -> None:
    ada, *_ = await school(tenant)
    answer = await tenant.client.post(PREVIEW, content=rule("new").encode(), headers={**YAML, "Accept": "application/x-ndjson"})
    *lines, last = [orjson.loads(line) for line in answer.text.splitlines()]
    assert lines
    assert all(line["progress"]["done"] <= line["progress"]["of"] for line in lines)
    Previewed.model_validate(last)
    assert ada in {each["id"] for each in last["gain"]}


async def test_of_previews_at_once_one_is_made_and_the_others_are_told_when_to_come_again(tenant: Tenant) -> None:
    await school(tenant)
    answers = await asyncio.gather(*(post(tenant, rule("new"), PREVIEW) for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert any(answer.status_code == 200 for answer in answers)
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers if answer.status_code == 503)
    assert (await post(tenant, rule("new"), PREVIEW)).status_code == 200


async def test_a_preview_knows_only_its_own_tenant_and_refuses_other_formats(tenant: Tenant) -> None:
    await school(tenant)
    stranger = await tenant.service.tenant()
    assert (await preview(stranger, rule("new"))) | {"at": ""} == {
        "gain": [], "lose": [], "same": 0, "gaining": 0, "losing": 0, "policy": "keep", "at": ""}
    assert (await post(tenant, rule("new"), f"{PREVIEW}?format=xml")).status_code == 400


async def test_whoever_reads_a_preview_slowly_keeps_nobody_waiting_and_is_given_up(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    await school(tenant)
    stranger = await tenant.service.tenant()
    for kind in (b"text/csv", b"application/x-ndjson"):
        monkeypatch.setattr(previews, "_TAKEN_S", 3.0)
        key, begun = (tenant.client.auth or pytest.fail("a client without a key")), asyncio.Event()
        authorization = next(key.auth_flow(tenant.client.build_request("GET", "/"))).headers["Authorization"].encode()
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "POST", "scheme": "http", "path": PREVIEW,
            "raw_path": PREVIEW.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("lrs.example.org", 80),
            "headers": [(b"authorization", authorization), (b"content-type", b"application/yaml"), (b"accept", kind)]}
        body = asyncio.Queue[dict[str, Any]]()
        body.put_nowait({"type": "http.request", "body": rule("new").encode(), "more_body": False})

        async def take(message: Any, begun: asyncio.Event = begun) -> None:
            if message["type"] == "http.response.body":
                begun.set()
                await asyncio.Event().wait()

        slow = asyncio.create_task(tenant.service.web.app(scope, body.get, take))
        await asyncio.wait_for(begun.wait(), 10)
        assert (await post(stranger, rule("new"), PREVIEW)).status_code == 200
        busy = await post(tenant, rule("new"), PREVIEW)
        assert (busy.status_code, busy.headers["LRS-Outcome"]) == (503, "rejected")
        await asyncio.wait_for(slow, 10)
        assert (await post(tenant, rule("new"), PREVIEW)).status_code == 200
