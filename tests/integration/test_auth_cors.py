"""Browser tools of other origins: what they may send and read, on every resource of /xapi, for good answers and refusals alike."""

import pytest

from services.runtime.callers.api_keys import create_key
from tests.integration.api_service import STATEMENTS, Service, api_service, served
from tests.servers.in_process import statement

ORIGIN = {"Origin": "https://tool.example.org"}
RESOURCES = ("about", "statements", "agents", "activities", "activities/state", "activities/profile", "agents/profile")
SENT = {
    "accept", "accept-language", "authorization", "content-type", "if-match", "if-none-match", "x-experience-api-version", "x-experience-api-hash",
    "idempotency-key", "lrs-min-position", "prefer",
}
READ = {
    "etag", "last-modified", "x-experience-api-version", "x-experience-api-consistent-through", "x-experience-api-hash", "www-authenticate", "retry-after",
    "lrs-position", "lrs-outcome", "lrs-consistent-through", "preference-applied", "content-length",
}


service = served(api_service)


def _names(listed: str) -> set[str]:
    return {name.strip().lower() for name in listed.split(",")}


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("base", ["/xapi/", "/xapi//", "//xapi///"])
async def test_a_preflight_needs_no_key_and_allows_every_header_that_clients_send(service: Service, base: str, resource: str) -> None:
    client = service.web.client(None, version=None)
    asked = {**ORIGIN, "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": ",".join(sorted(SENT))}
    answer = await client.options(f"http://lrs.example.org{base}{resource}", headers=asked)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")
    assert _names(answer.headers["Access-Control-Allow-Headers"]) >= SENT
    assert _names(answer.headers["Access-Control-Allow-Methods"]) >= {"get", "head", "post", "put", "delete"}
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("resource", RESOURCES)
async def test_every_answer_can_be_read_by_a_tool_of_another_origin_refusals_too(service: Service, resource: str) -> None:
    allowed, narrow, nobody = await service.web.key("all"), await service.web.key("define", name="narrow"), ("nobody", "x")
    for credentials in (allowed, narrow, nobody, None):
        for method in ("GET", "PUT"):
            answer = await service.web.client(credentials).request(method, f"/xapi//{resource}", headers=ORIGIN)
            assert answer.headers["Access-Control-Allow-Origin"] == "*", (method, answer.status_code)
            assert _names(answer.headers["Access-Control-Expose-Headers"]) >= READ
            assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_a_tool_can_read_that_it_asks_too_often(service: Service) -> None:
    state = service.web.state
    made = await create_key(state.pool, state.secret, name="n", scopes=["all"], public_url=state.public_url, rate=0.5)
    client = service.web.client((made["key"], made["secret"]))
    answers = [await client.post(STATEMENTS, json=statement(), headers=ORIGIN) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].headers["Access-Control-Allow-Origin"] == "*"
    assert "retry-after" in _names(answers[1].headers["Access-Control-Expose-Headers"])
