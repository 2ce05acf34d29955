"""Credentials through HTTP: what was given and what became of it, revoked by hand, shown or not."""
import asyncio
from typing import Any

import pytest
import pytest_asyncio

from schemas.api_programmes import Credential, Credentials
from tests.integration.api_service import Service, Tenant, api_service, served
from tests.integration.programmes import ADA, BOB, awarded, graduate, passed, publish, rule, until, void

service = served(api_service, partitions=2)


@pytest_asyncio.fixture
async def tenant(service: Service) -> Tenant:
    return await service.tenant()


async def revoke(tenant: Tenant, id_: str, reason: str = "copied") -> dict[str, Any]:
    answer = await tenant.client.post(f"/v1/credentials/{id_}/revoke", json={"reason": reason})
    assert (answer.status_code, answer.headers["LRS-Outcome"]) == (200, "stored"), answer.text
    found: dict[str, Any] = await tenant.get(f"/v1/credentials/{id_}", position=answer.headers.get("LRS-Position"))
    return found


async def test_a_credential_says_whose_it_is_by_which_rule_since_when_and_why(tenant: Tenant) -> None:
    await publish(tenant, rule())
    algebra, logic = passed("algebra", timestamp="2025-01-01T00:00:00Z"), passed("logic", timestamp="2025-02-01T00:00:00Z")
    await tenant.learner(ADA, await tenant.post(algebra, logic))

    held = await awarded(tenant)

    Credential.model_validate(held)
    assert (held["learner"], held["programme"], held["version"], held["state"]) == (
        await tenant.learner(ADA), "https://lrs.example.org/programmes/maths", 1, "issued")
    assert (held["awarded_at"], held["valid_until"], held["reason"]) == ("2025-02-01T00:00:00.000000Z", None, None)
    assert held["url"] == f"https://lrs.example.org/credentials/{held['id']}"
    [entry] = held["history"]
    assert {each["statement"] for each in entry["inputs"]} == {algebra["id"], logic["id"]}
    assert await tenant.get(f"/v1/credentials/{held['id']}") == held


async def test_an_award_is_revoked_by_hand_for_good_and_the_next_has_another_id(tenant: Tenant) -> None:
    await publish(tenant, rule())
    held = await graduate(tenant)

    revoked = await revoke(tenant, held["id"])

    assert (revoked["state"], revoked["reason"], [entry["state"] for entry in revoked["history"]]) == ("revoked", "copied", ["issued", "revoked"])
    assert [entry["by"] and entry["by"]["objectType"] for entry in revoked["history"]] == [None, "Agent"], "whoever did it is named"
    again = await tenant.client.post(f"/v1/credentials/{held['id']}/revoke", json={"reason": "once more"})
    assert (again.status_code, "LRS-Position" in again.headers, again.json()["reason"]) == (200, False, "copied")
    await tenant.learner(ADA, await tenant.post(passed("algebra"), passed("logic")))
    anew = await awarded(tenant)
    assert anew["id"] != held["id"]
    listed = await tenant.get(f"/v1/learners/{await tenant.learner(ADA)}/credentials")
    Credentials.model_validate(listed)
    assert [(each["id"], each["state"]) for each in listed["credentials"]] == [(held["id"], "revoked"), (anew["id"], "issued")]


async def test_the_explanation_says_that_what_was_shown_before_a_revocation_by_hand_counts_no_more(tenant: Tenant) -> None:
    await publish(tenant, rule())
    held = await graduate(tenant)

    await revoke(tenant, held["id"])

    explained = await tenant.get(f"/v1/learners/{await tenant.learner(ADA)}/programmes/maths/explain")
    algebra, elective = explained["tree"]["of"]
    logic, geometry = elective["of"]
    assert algebra["passed_over"] == logic["passed_over"] == ["1 from before an award was revoked by hand"]
    assert geometry["passed_over"] == []


async def test_a_suspended_credential_comes_back_and_its_programme_says_so_meanwhile(tenant: Tenant) -> None:
    await publish(tenant, rule(more="on: {input_voided: suspend}"))
    algebra = passed("algebra", timestamp="2025-01-01T00:00:00Z")
    await tenant.learner(ADA, await tenant.post(algebra, passed("logic", timestamp="2025-02-01T00:00:00Z")))
    held = await awarded(tenant)
    programmes = f"/v1/learners/{held['learner']}/programmes"

    await void(tenant, algebra["id"])
    suspended = await awarded(tenant, state="suspended")

    assert (suspended["id"], suspended["reason"], suspended["awarded_at"]) == (held["id"], "input_voided", held["awarded_at"])
    assert [each["state"] for each in (await tenant.get(programmes))["programmes"]] == ["suspended"]
    await tenant.post(passed("algebra", timestamp="2025-01-02T00:00:00Z"))
    again = await awarded(tenant, state="reinstated")
    assert (again["id"], again["reason"], [entry["state"] for entry in again["history"]]) == (held["id"], None, ["issued", "suspended", "reinstated"])
    assert [each["state"] for each in (await tenant.get(programmes))["programmes"]] == ["satisfied"]
    events = (await tenant.get("/v1/events", type="credential.suspended,credential.reinstated"))["events"]
    assert [(each["data"]["k"], each["data"]["previous"]) for each in events] in ([(2, "issued"), (3, "suspended")], [(2, "issued")])


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "application/json"}])
async def test_a_reason_may_be_left_out_and_the_body_with_it(tenant: Tenant, headers: dict[str, str]) -> None:
    await publish(tenant, rule())
    held = await graduate(tenant)
    answer = await tenant.client.post(f"/v1/credentials/{held['id']}/revoke", headers=headers)
    assert answer.status_code == 200, answer.text
    shown = await tenant.get(f"/v1/credentials/{held['id']}", position=answer.headers["LRS-Position"])
    assert (shown["state"], shown["reason"]) == ("revoked", "")


async def test_revocations_at_once_are_one(tenant: Tenant) -> None:
    await publish(tenant, rule())
    held = await graduate(tenant)
    await asyncio.gather(*(revoke(tenant, held["id"], reason=str(number)) for number in range(4)))
    assert [entry["state"] for entry in (await tenant.get(f"/v1/credentials/{held['id']}"))["history"]] == ["issued", "revoked"]


async def test_credentials_of_a_moment_are_those_known_then(tenant: Tenant) -> None:
    await publish(tenant, rule())
    algebra = passed("algebra", timestamp="2025-01-01T00:00:00Z")
    await tenant.learner(ADA, await tenant.post(algebra, passed("logic", timestamp="2025-02-01T00:00:00Z")))
    held = await awarded(tenant)
    issued = held["history"][0]["stored"]
    await void(tenant, algebra["id"])
    await awarded(tenant, state="revoked")
    path = f"/v1/learners/{await tenant.learner(ADA)}/credentials"

    assert [each["state"] for each in (await tenant.get(path))["credentials"]] == ["revoked"]
    assert [each["state"] for each in (await tenant.get(path, known_at=issued))["credentials"]] == ["issued"]
    assert (await tenant.get(path, known_at="2025-03-01T00:00:00Z"))["credentials"] == []
    assert (await tenant.get(path, as_of="2025-01-31T00:00:00Z"))["credentials"] == []
    assert [each["state"] for each in (await tenant.get(path, as_of="2025-02-01T00:00:00Z"))["credentials"]] == ["issued"]


async def test_since_when_an_award_was_held_is_for_all_that_is_known_to_say(tenant: Tenant) -> None:
    await publish(tenant, rule())
    await tenant.learner(ADA, await tenant.post(passed("algebra", timestamp="2025-01-01T00:00:00Z"), passed("logic", timestamp="2025-02-10T00:00:00Z")))
    before = (await awarded(tenant))["history"][0]["stored"]
    earlier = passed("geometry", timestamp="2025-02-05T00:00:00Z")
    await tenant.post(earlier)
    await awarded(tenant, state="updated")
    learner = f"/v1/learners/{await tenant.learner(ADA)}"

    async def held(**moment: Any) -> tuple[list[str], list[str], list[str]]:
        """Return since when the certificate is held by its own list, by that of programmes, and by the explanation."""
        shown, awards = await tenant.get(f"{learner}/credentials", **moment), await tenant.get(f"{learner}/programmes/maths/explain", **moment)
        [line] = (await tenant.get(f"{learner}/programmes", **moment))["programmes"]
        return ([each["awarded_at"][:10] for each in shown["credentials"]], [line["since"][:10]] if line["state"] == "satisfied" else [],
                [each["history"][-1]["since"][:10] for each in awards["awards"]])

    for day, since in (("04", []), ("05", ["2025-02-05"]), ("07", ["2025-02-05"]), ("10", ["2025-02-05"])):
        assert await held(as_of=f"2025-02-{day}T00:00:00Z") == (since, since, since), day
    assert await held(as_of="2025-02-07T00:00:00Z", known_at=before) == ([], [], [])

    await void(tenant, earlier["id"])

    async def moved() -> bool:
        return len((await tenant.get(f"{learner}/credentials"))["credentials"][0]["history"]) == 3

    await until(moved)
    for day, since in (("07", []), ("10", ["2025-02-10"])):
        assert await held(as_of=f"2025-02-{day}T00:00:00Z") == (since, since, since), day


async def test_credentials_page_to_the_end(tenant: Tenant) -> None:
    for slug in ("a", "b", "c"):
        await publish(tenant, rule(slug))
    await tenant.learner(ADA, await tenant.post(passed("algebra"), passed("logic")))
    for slug in ("a", "b", "c"):
        await awarded(tenant, slug=slug)
    seen, page = [], await tenant.get(f"/v1/learners/{await tenant.learner(ADA)}/credentials", limit=2)
    while True:
        seen += [each["id"] for each in page["credentials"]]
        if page["next"] is None:
            break
        page = await tenant.get(page["next"])
    assert len(seen) == len(set(seen)) == 3


async def test_after_a_link_both_learners_credentials_are_listed_together(tenant: Tenant) -> None:
    await publish(tenant, rule())
    one, other = await graduate(tenant, ADA), await graduate(tenant, BOB)
    await tenant.client.post("/v1/identity/links", json={"agents": [ADA, BOB]})

    async def joined() -> Any:
        return (await tenant.get(f"/v1/learners/{await tenant.learner(ADA)}/credentials"))["credentials"]

    listed = await until(joined)
    assert {each["id"] for each in listed} == {one["id"], other["id"]}
    assert len({each["learner"] for each in listed}) == 1


async def test_who_may_see_it_listed_is_a_row_that_can_be_said_again(tenant: Tenant) -> None:
    await publish(tenant, rule())
    held = await graduate(tenant)
    for public in (True, False, True):
        answer = await tenant.client.put(f"/v1/credentials/{held['id']}/visibility", json={"public": public})
        assert (answer.status_code, answer.headers["LRS-Outcome"]) == (204, "stored")
        kept = await tenant.service.web.state.pool.fetchval("select public from testamur.credential_visibility where credential = $1", held["id"])
        assert kept is public
    assert (await tenant.client.put(f"/v1/credentials/{held['id']}/visibility", json={"public": "yes"})).status_code == 400


@pytest.mark.parametrize("id_", ["3a29649b-4037-47e3-81e8-de8a7caadd68", "x", "%00"])
async def test_a_credential_that_nobody_was_given_is_404(tenant: Tenant, id_: str) -> None:
    for method, path, body in (("GET", "", None), ("POST", "/revoke", {"reason": "x"}), ("PUT", "/visibility", {"public": True})):
        assert (await tenant.client.request(method, f"/v1/credentials/{id_}{path}", json=body)).status_code == 404


async def test_credentials_of_other_tenants_are_404_and_untouched(tenant: Tenant) -> None:
    await publish(tenant, rule())
    held = await graduate(tenant)
    stranger = await tenant.service.tenant()
    assert (await stranger.client.post(f"/v1/credentials/{held['id']}/revoke", json={})).status_code == 404
    await stranger.get(f"/v1/credentials/{held['id']}", 404)
    assert (await tenant.get(f"/v1/credentials/{held['id']}"))["state"] == "issued"


async def test_revoking_needs_lrs_manage_and_a_reason_that_is_a_text(tenant: Tenant) -> None:
    await publish(tenant, rule())
    held = await graduate(tenant)
    path = f"/v1/credentials/{held['id']}/revoke"
    assert (await (await tenant.with_scopes("lrs:read", "all")).post(path, json={})).status_code == 403
    for body, pointer in (({"reason": 7}, "/reason"), ({"reason": "x" * 4001}, "/reason"), ({"why": "x"}, "/why")):
        answer = await tenant.client.post(path, json=body)
        assert (answer.status_code, answer.json()["pointer"]) == (400, pointer)
    assert (await (await tenant.with_scopes("lrs:manage")).post(path, json={})).status_code == 200
