"""GET /xapi/activities: the definition that all statements together give an activity, and who may give one; and /xapi/about, which lists versions."""
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.api.xapi import activities
from tests.factories import activity
from tests.integration.api_service import STATEMENTS, Tenant, api_service, generic_plan, served
from tests.servers.in_process import settings_for, statement

ACTIVITIES = "/xapi/activities"
VOIDED = {"id": "http://adlnet.gov/expapi/verbs/voided"}


service = served(api_service, partitions=2, about_versions="1.0.3, 2.0.0")


def named(path: str, **name: str) -> dict[str, Any]:
    return activity(path, definition={"name": {tag.replace("_", "-"): text for tag, text in name.items()}})


async def seen(tenant: Tenant, path: str = "a") -> Any:
    return await tenant.get(ACTIVITIES, activityId=f"https://example.org/{path}")


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
async def test_one_definition_comes_back_as_it_was_sent(tenant: Tenant, version: str) -> None:
    tenant.client.headers["X-Experience-API-Version"] = version
    sent = activity("a", definition={
        "name": {"en-GB": "Maths"}, "description": {"en-GB": ""}, "type": "https://example.org/t", "moreInfo": "https://example.org/m",
        "interactionType": "choice", "correctResponsesPattern": ["a[,]b"], "choices": [{"id": "a", "description": {"en-GB": "A"}}, {"id": "b"}],
        "extensions": {"https://example.org/e": [None, 0.5]}})
    await tenant.post(statement(object=sent))
    answer = await tenant.client.get(ACTIVITIES, params={"activityId": sent["id"]})
    assert answer.json() == sent
    assert (answer.headers["X-Experience-API-Version"], answer.headers["Content-Type"]) == (version, "application/json")
    head = await tenant.client.head(ACTIVITIES, params={"activityId": sent["id"]})
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(answer.content)))


async def test_definitions_of_one_batch_and_of_later_ones_are_merged(tenant: Tenant) -> None:
    await tenant.post(statement(object=named("a", en_GB="colour", en_US="color")), statement(object=named("a", en_GB="colours", fr_FR="couleur")))
    assert await seen(tenant) == named("a", en_GB="colours", en_US="color", fr_FR="couleur")
    await tenant.post(statement(object=activity("a", definition={"type": "https://example.org/t"})))
    assert (await seen(tenant))["definition"] == {**named("a", en_GB="colours", en_US="color", fr_FR="couleur")["definition"], "type": "https://example.org/t"}


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
async def test_an_unknown_activity_is_its_id(tenant: Tenant, version: str) -> None:
    tenant.client.headers["X-Experience-API-Version"] = version
    assert await seen(tenant) == activity("a")
    await tenant.post(statement(object=activity("a")))
    assert await seen(tenant) == activity("a")


async def test_contexts_and_sub_statements_define_too(tenant: Tenant) -> None:
    inner = {"objectType": "SubStatement", **statement(object=named("inner", en="1"), context={"contextActivities": {"other": named("inner/other", en="2")}})}
    del inner["id"]
    await tenant.post(statement(object=inner, context={"contextActivities": {"grouping": [named("grouping", en="3")]}}))
    for path, text in (("inner", "1"), ("inner/other", "2"), ("grouping", "3")):
        assert await seen(tenant, path) == named(path, en=text)


async def test_without_define_statements_are_stored_and_definitions_do_not_change(tenant: Tenant) -> None:
    await tenant.post(statement(object=named("a", en="ours")))
    for scopes in (["statements/write"], ["statements/write", "statements/read", "state", "profile", "all/read"]):
        sent = statement(object=named("a", en="theirs"))
        await tenant.post(sent, client=await tenant.with_scopes(*scopes))
        assert (await tenant.get(STATEMENTS, statementId=sent["id"]))["object"] == named("a", en="theirs")
        assert await seen(tenant) == named("a", en="ours")
    for scopes, text in ((["statements/write", "define"], "defined"), (["all"], "all"), (["lrs:admin"], "admin")):
        await tenant.post(statement(object=named("a", en=text)), client=await tenant.with_scopes(*scopes))
        assert await seen(tenant) == named("a", en=text)


async def test_a_voided_statement_has_still_defined(tenant: Tenant) -> None:
    sent = statement(object=named("a", en="x"))
    await tenant.post(sent)
    await tenant.post(statement(verb=VOIDED, object={"objectType": "StatementRef", "id": sent["id"]}))
    assert await seen(tenant) == named("a", en="x")


async def test_tenants_know_nothing_of_each_other_s_definitions(tenant: Tenant) -> None:
    await tenant.post(statement(object=named("a", en="x")))
    assert await seen(await tenant.service.tenant()) == activity("a")


async def test_very_many_definitions_of_one_activity_are_answered_from_the_latest(tenant: Tenant) -> None:
    for at in range(0, 200, 50):
        await tenant.post(*(statement(object=named("a", **{f"en_x{number}": str(number)})) for number in range(at, at + 50)))
    await tenant.post(statement(object=activity("a", definition={"description": {"en": "x" * 200_000}})))
    found = (await seen(tenant))["definition"]
    assert len(found["description"]["en"]) == 200_000  # the latest counts, however long it is
    await tenant.post(statement(object=named("a", sv="sist")))
    assert (await seen(tenant))["definition"]["name"]["sv"] == "sist"


async def test_definitions_are_found_by_the_index_of_the_latest_whatever_the_planner_knows(tenant: Tenant) -> None:
    sql = activities.SQL.compose("definitions")
    values = {"tenant": 1, "activities": f"{{{uuid4()}}}", "most_bytes": 1}
    async with tenant.service.web.state.rows.of(1).acquire() as connection, connection.transaction():
        plan = await generic_plan(connection, sql.text, sql.args(values))
    assert "Index Scan Backward using definition_latest" in plan


async def test_reading_needs_a_scope_of_xapi(tenant: Tenant) -> None:
    for scope, status in {"statements/write": 403, "lrs:read": 403, "statements/read/mine": 200, "statements/read": 200, "state": 200, "profile": 200,
                          "define": 200, "all/read": 200, "all": 200, "lrs:admin": 200}.items():
        client = await tenant.with_scopes(scope)
        assert (await client.get(ACTIVITIES, params={"activityId": "https://example.org/a"})).status_code == status, scope
    assert (await tenant.service.web.client(None).get(ACTIVITIES, params={"activityId": "https://example.org/a"})).status_code == 401


@pytest.mark.parametrize("params", [
    {}, {"activityId": ""}, {"activityId": "no iri"}, {"activityid": "https://example.org/a"}, {"activityId": "https://example.org/a", "foo": "bar"},
])
async def test_what_cannot_be_understood_is_a_400(tenant: Tenant, params: dict[str, str]) -> None:
    answer = await tenant.client.get(ACTIVITIES, params=params)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert answer.headers["X-Experience-API-Version"] == "2.0.0"


async def test_a_version_is_demanded_and_any_patch_of_it_is_fine(tenant: Tenant) -> None:
    params = {"activityId": "https://example.org/a"}
    for asked, answered in {"1.0": "1.0.3", "1.0.0": "1.0.3", "1.0.1": "1.0.3", "1.0.9": "1.0.3", "2.0": "2.0.0", "2.0.1": "2.0.0"}.items():
        answer = await tenant.client.get(ACTIVITIES, params=params, headers={"X-Experience-API-Version": asked})
        assert (answer.status_code, answer.headers["X-Experience-API-Version"]) == (200, answered)
    for asked in ("", "BAD", "0.95", "1.1.0", "3.0.0"):
        assert (await tenant.client.get(ACTIVITIES, params=params, headers={"X-Experience-API-Version": asked})).status_code == 400
    tenant.client.headers.pop("X-Experience-API-Version")
    assert (await tenant.client.get(ACTIVITIES, params=params)).status_code == 400


async def test_about_lists_the_versions_it_is_set_to(tenant: Tenant) -> None:
    stranger = tenant.service.web.client(None, version=None)
    assert (await stranger.get("/xapi/about")).json() == {"version": ["1.0.3", "2.0.0"]}
    assert (await stranger.get("/xapi/about", params={"foo": "bar"})).status_code == 400


def test_versions_to_list_are_versions(tmp_path: Path) -> None:
    assert settings_for(tmp_path).about_versions == "1.0.0,1.0.1,1.0.2,1.0.3,2.0.0"
    for wrong in ("", "1.0", "latest", "1.0.3;2.0.0"):
        with pytest.raises(ValueError, match="versions of xAPI"):
            settings_for(tmp_path, about_versions=wrong)
