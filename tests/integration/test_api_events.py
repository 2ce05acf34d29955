"""Events through HTTP: accepted decisions in the order of the log, none missed and none twice, whichever way they are asked for."""
import asyncio
import time
from typing import Any

import pytest
import pytest_asyncio

from schemas.api_events import Events
from tests.integration.api_service import COURSE_TYPE, Service, Tenant, api_service, served
from tests.integration.programmes import ADA, ADL, BOB, awarded, graduate, passed, publish, rule, until, void
from tests.servers.in_process import statement

EVENTS = "/v1/events"

service = served(api_service, partitions=2)


@pytest_asyncio.fixture
async def tenant(service: Service) -> Tenant:
    return await service.tenant()


async def events(tenant: Tenant, after: str = "0", **query: Any) -> list[dict[str, Any]]:
    """Return all events there are after a position, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        page = await tenant.get(EVENTS, after=after, **query)
        Events.model_validate(page)
        found += page["events"]
        assert int(page["next"]) <= max(int(page["head"]), int(after))
        if not page["events"] and page["next"] == after:
            return found
        after = page["next"]


async def told(tenant: Tenant, n: int, **query: Any) -> list[dict[str, Any]]:
    """Return the events once there are `n`."""

    async def there() -> Any:
        found = await events(tenant, **query)
        return found if len(found) >= n else None

    found: list[dict[str, Any]] = await until(there)
    return found


async def test_a_credential_given_and_taken_is_told_as_cloud_events(tenant: Tenant) -> None:
    await publish(tenant, rule())
    algebra = passed("algebra", timestamp="2025-01-01T00:00:00Z")
    await tenant.learner(ADA, await tenant.post(algebra, passed("logic", timestamp="2025-02-01T00:00:00Z")))
    held = await awarded(tenant)
    await void(tenant, algebra["id"])
    await awarded(tenant, state="revoked")

    rules, issued, revoked = await told(tenant, 3)

    assert [each["type"] for each in (rules, issued, revoked)] == ["rule.published", "credential.issued", "credential.revoked"]
    assert issued["subject"].startswith("urn:uuid:")
    assert not any(word in str(issued) for word in ("ada", "Ada", "Lovelace", "mailto"))
    assert (issued["specversion"], issued["source"], issued["datacontenttype"]) == ("1.0", "https://lrs.example.org", "application/json")
    data = issued["data"]
    assert (data["n"], data["k"], data["state"], data["previous"], data["programme_version"]) == (1, 1, "issued", "eligible", 1)
    assert (data["credential"], data["self"]) == (held["url"], f"https://lrs.example.org/v1/credentials/{held['id']}")
    assert (data["awarded_at"], data["valid_until"]) == ("2025-02-01T00:00:00.000000Z", None)
    assert (revoked["data"]["k"], revoked["data"]["previous"], revoked["data"]["reason"], revoked["data"]["awarded_at"]) == (
        2, "issued", "input_voided", data["awarded_at"])
    assert [len(each["sequence"]) for each in (rules, issued, revoked)] == [20, 20, 20]
    assert rules["sequence"] < issued["sequence"] < revoked["sequence"]
    assert (rules["data"]["programme"], rules["data"]["programme_version"]) == ("https://lrs.example.org/programmes/maths", 1)


async def test_pages_of_any_size_give_every_event_once_and_in_order(tenant: Tenant) -> None:
    await publish(tenant, rule())
    for agent in (ADA, BOB):
        await graduate(tenant, agent)
    whole = await told(tenant, 3)
    for limit in (1, 2, 500):
        assert await events(tenant, limit=limit) == whole
    assert [each["sequence"] for each in whole] == sorted(each["sequence"] for each in whole)
    assert await events(tenant, after=str(int(whole[0]["sequence"]))) == whole[1:]
    page = await tenant.get(EVENTS, after=str(2**63 - 1))
    assert (page["events"], page["next"]) == ([], str(2**63 - 1))


async def test_pages_of_one_type_are_full_whatever_lies_between(tenant: Tenant) -> None:
    await publish(tenant, rule())
    for agent in (ADA, BOB):
        held = await graduate(tenant, agent)
        await tenant.client.post(f"/v1/credentials/{held['id']}/revoke", json={})
    revoked = await told(tenant, 2, type="credential.revoked")
    for limit in (1, 2):
        assert (await tenant.get(EVENTS, type="credential.revoked", limit=limit))["events"] == revoked[:limit]
        assert await events(tenant, type="credential.revoked", limit=limit) == revoked


async def test_types_are_chosen_by_commas_or_by_naming_several(tenant: Tenant) -> None:
    await publish(tenant, rule())
    held = await graduate(tenant)
    await tenant.client.post(f"/v1/credentials/{held['id']}/revoke", json={})
    await told(tenant, 3)

    async def types(query: str) -> list[str]:
        return [each["type"] for each in (await tenant.get(f"{EVENTS}?{query}"))["events"]]

    assert await types("type=credential.issued") == ["credential.issued"]
    assert await types("type=credential.issued,rule.published") == ["rule.published", "credential.issued"]
    assert await types("type=credential.revoked&type=credential.issued") == ["credential.issued", "credential.revoked"]
    nothing = await tenant.get(EVENTS, type="credential.expired")
    assert (nothing["events"], nothing["next"]) == ([], nothing["head"])


HOURS = """
programme: https://lrs.example.org/programmes/hours
version: 1
title: Twenty hours in five years
award: {type: Certification}
requires: {sum: {of: duration, at_least: 20, match: {verb: completed}, window: {last: P5Y}}}
validity: {until: lapse}
"""


async def test_a_credential_that_is_good_for_longer_is_renewed_and_each_event_says_what_held_then(tenant: Tenant) -> None:
    await publish(tenant, HOURS)

    def attended(day: str, hours: int) -> dict[str, Any]:
        return statement(actor=ADA, verb={"id": f"{ADL}completed"}, timestamp=f"{day}T00:00:00Z", result={"duration": f"PT{hours}H"})

    await tenant.learner(ADA, await tenant.post(attended("2024-01-01", 12), attended("2024-06-01", 10)))
    [issued] = await told(tenant, 1, type="credential.issued")
    await tenant.post(attended("2025-01-01", 11))

    [renewed] = await told(tenant, 1, type="credential.renewed")

    assert (issued["data"]["valid_until"], issued["data"]["awarded_at"]) == ("2029-01-01T00:00:00.000000Z", "2024-06-01T00:00:00.000000Z")
    assert (renewed["data"]["valid_until"], renewed["data"]["state"], renewed["data"]["previous"]) == ("2029-06-01T00:00:00.000000Z", "updated", "issued")
    assert await told(tenant, 1, type="credential.issued") == [issued], "what came later changes nothing of it"
    held = await awarded(tenant, slug="hours", state="updated")
    assert held["valid_until"] == renewed["data"]["valid_until"]


async def test_a_completion_is_told_with_its_course_and_status(tenant: Tenant) -> None:
    course = {"id": "https://courses.example.org/algebra", "definition": {"type": COURSE_TYPE}}
    said = {**passed("algebra"), "object": course}
    await tenant.learner(ADA, await tenant.post(said))

    [event] = await told(tenant, 1, type="completion.recorded")

    assert (event["data"]["course"], event["data"]["status"], event["data"]["state"]) == (course["id"], "passed", "issued")
    await void(tenant, said["id"])
    [retracted] = await told(tenant, 1, type="completion.retracted")
    assert (retracted["data"]["n"], retracted["data"]["k"]) == (1, 2)


async def test_a_programme_without_an_award_is_satisfied_and_no_credential_is_given(tenant: Tenant) -> None:
    await publish(tenant, "\n".join(line for line in rule().splitlines() if not line.startswith("award:")))
    await tenant.learner(ADA, await tenant.post(passed("algebra"), passed("logic")))
    [event] = await told(tenant, 1, type="programme.satisfied")
    assert (event["data"]["credential"], event["data"]["self"]) == (None, None)
    assert (await tenant.get(f"/v1/learners/{await tenant.learner(ADA)}/credentials"))["credentials"] == []


async def test_whoever_waits_is_answered_when_something_happens_or_when_the_time_is_over(tenant: Tenant) -> None:
    empty = await tenant.get(EVENTS)
    started = time.monotonic()
    nothing = await tenant.get(EVENTS, after=empty["next"], wait=1)
    assert (nothing["events"], 0.9 < time.monotonic() - started < 10) == ([], True)

    waiting = asyncio.create_task(tenant.get(EVENTS, after=empty["next"], wait=20))
    await publish(tenant, rule())
    [event] = (await waiting)["events"]
    assert event["type"] == "rule.published"


@pytest.mark.parametrize("query", [
    "after=x", "after=-1", "after=1.5", "type=credential.lost", "wait=long", "wait=-1", "limit=many", "since=1", "after=1&after=2"])
async def test_what_cannot_be_asked_is_refused(tenant: Tenant, query: str) -> None:
    assert (await tenant.client.get(f"{EVENTS}?{query}")).status_code == 400


async def test_events_need_lrs_read_and_are_those_of_ones_own_tenant(tenant: Tenant) -> None:
    await publish(tenant, rule())
    await told(tenant, 1)
    assert (await (await tenant.with_scopes("lrs:manage")).get(EVENTS)).status_code == 403
    answer = await (await tenant.with_scopes("lrs:read")).get(EVENTS)
    assert (answer.status_code, "LRS-Consistent-Through" in answer.headers) == (200, True)
    stranger = await tenant.service.tenant()
    assert await events(stranger) == []
