"""GET /xapi/statements?format=…: over HTTP, one by id and lists, with what the LRS knows of activities and the languages a reader prefers."""
from typing import Any

import pytest

from services.api.xapi import activities
from tests.factories import activity, actor, verb
from tests.integration.api_service import STATEMENTS, THROUGH, Tenant, api_service, served
from tests.servers.in_process import statement

MAP = {"en-GB": "colour", "en-US": "color"}
GROUP = {"objectType": "Group", "name": "Team", "mbox": "mailto:team@example.org", "member": [actor("ada", name="Ada")]}
FORMATS = ("exact", "ids", "canonical")


service = served(api_service, partitions=2)


def defined(path: str, **definition: Any) -> dict[str, Any]:
    return activity(path, definition={"type": "https://example.org/t", "name": MAP, "description": MAP, **definition})


def full() -> dict[str, Any]:
    """Return a statement with an activity and a group wherever there can be one; a context activity of each statement stands alone."""
    inner = {
        "objectType": "SubStatement", "actor": GROUP, "verb": verb(display=MAP), "object": defined("inner"),
        "context": {"contextActivities": {"parent": defined("inner/parent")}}}
    return statement(
        actor=GROUP, verb=verb(display=MAP), object=inner, result={"score": {"scaled": 0.5}},
        context={"team": GROUP, "contextActivities": {"grouping": defined("grouping"), "other": [defined("other/1"), activity("other/2")]}})


async def both_ways(tenant: Tenant, sent: dict[str, Any], wanted: str, **headers: str) -> Any:
    """Return a statement in a format, which it has by id and in a list alike."""
    one = await tenant.client.get(STATEMENTS, params={"statementId": sent["id"], "format": wanted}, headers=headers)
    page = await tenant.client.get(STATEMENTS, params={"limit": 1, "format": wanted}, headers=headers)
    assert (one.status_code, page.status_code) == (200, 200), (one.text, page.text)
    assert one.headers["Content-Type"] == page.headers["Content-Type"] == "application/json"
    assert THROUGH in one.headers
    assert THROUGH in page.headers
    assert page.json()["statements"] == [one.json()]
    return one.json()


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
async def test_ids_gives_one_key_of_activities_and_verbs_and_two_of_groups(tenant: Tenant, version: str) -> None:
    tenant.client.headers["X-Experience-API-Version"] = version
    sent = full()
    await tenant.post(sent)
    ids = await both_ways(tenant, sent, "ids")

    inner, team = ids["object"], {"objectType": "Group", "mbox": "mailto:team@example.org"}
    assert ids["actor"] == inner["actor"] == ids["context"]["team"] == team
    assert ids["verb"] == inner["verb"] == {"id": sent["verb"]["id"]}
    assert inner["object"] == {"id": "https://example.org/inner"}
    assert inner["context"]["contextActivities"] == {"parent": [{"id": "https://example.org/inner/parent"}]}
    assert ids["context"]["contextActivities"] == {
        "grouping": [{"id": "https://example.org/grouping"}], "other": [{"id": "https://example.org/other/1"}, {"id": "https://example.org/other/2"}]}
    assert ids["authority"].keys() <= {"objectType", "account"}
    exact = await both_ways(tenant, sent, "exact")
    assert {name: ids[name] for name in ("id", "result", "stored", "timestamp", "version")} == {
        name: exact[name] for name in ("id", "result", "stored", "timestamp", "version")}


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
async def test_canonical_reduces_every_map_of_activities_and_verbs_to_one_language(tenant: Tenant, version: str) -> None:
    tenant.client.headers["X-Experience-API-Version"] = version
    sent = full()
    await tenant.post(sent)
    seen = await both_ways(tenant, sent, "canonical", **{"Accept-Language": "en-GB"})

    only = {"en-GB": "colour"}
    inner = seen["object"]
    assert seen["verb"] == inner["verb"] == verb(display=only)
    assert inner["object"] == defined("inner", name=only, description=only)
    assert inner["context"]["contextActivities"] == {"parent": [defined("inner/parent", name=only, description=only)]}
    assert seen["context"]["contextActivities"] == {
        "grouping": [defined("grouping", name=only, description=only)], "other": [defined("other/1", name=only, description=only), activity("other/2")]}
    assert seen["actor"] == inner["actor"] == seen["context"]["team"] == GROUP
    assert seen["result"] == sent["result"]
    american = await both_ways(tenant, sent, "canonical", **{"Accept-Language": "fr;q=0.9, en-US;q=0.8"})
    assert american["verb"] == verb(display={"en-US": "color"})


async def test_without_a_format_a_language_changes_nothing_and_lone_context_activities_are_arrays(tenant: Tenant) -> None:
    sent = full()
    await tenant.post(sent)
    plain = await tenant.client.get(STATEMENTS, params={"statementId": sent["id"]})
    for params in ({}, {"format": "exact"}):
        spoken = await tenant.client.get(STATEMENTS, params={"statementId": sent["id"], **params}, headers={"Accept-Language": "en-GB"})
        assert spoken.content == plain.content
    found = plain.json()
    assert found["verb"] == sent["verb"]
    assert found["context"]["contextActivities"]["grouping"] == [defined("grouping")]
    assert found["object"]["context"]["contextActivities"]["parent"] == [defined("inner/parent")]


@pytest.mark.parametrize("header", ["", ";q=", "*", "*;q=0", "x" * 3000, "en-GB;q=2", "%00", "en,,,;;;q=1", "\u00e5".encode("latin-1").decode("latin-1")])
async def test_no_accept_language_is_an_error_and_every_map_has_one_language(tenant: Tenant, header: str) -> None:
    sent = statement(object=defined("a"))
    await tenant.post(sent)
    answer = await tenant.client.get(STATEMENTS, params={"format": "canonical"}, headers=[("Accept-Language", header.encode("latin-1"))])  # type: ignore[arg-type]
    assert answer.status_code == 200
    [found] = answer.json()["statements"]
    assert len(found["object"]["definition"]["name"]) == 1


async def test_canonical_gives_the_definition_of_all_who_may_define_even_to_statements_sent_without(tenant: Tenant) -> None:
    bare, late = statement(object=activity("shared")), statement(object=activity("shared", definition={"name": {"fr": "couleur"}}))
    stranger = await tenant.with_scopes("statements/write")
    await tenant.post(bare)
    await tenant.post(statement(object=defined("shared")))
    await tenant.post(late, client=stranger)
    for sent in (bare, late):
        one = await tenant.client.get(STATEMENTS, params={"statementId": sent["id"], "format": "canonical"}, headers={"Accept-Language": "fr, en-GB"})
        assert one.json()["object"] == defined("shared", name={"en-GB": "colour"}, description={"en-GB": "colour"})
    exact = await tenant.get(STATEMENTS, statementId=late["id"])
    assert exact["object"] == late["object"]


async def test_an_activity_nobody_may_define_keeps_what_was_sent_with_one_language(tenant: Tenant) -> None:
    stranger = await tenant.with_scopes("statements/write")
    sent = statement(object=defined("unknown"))
    await tenant.post(sent, client=stranger)
    found = await both_ways(tenant, sent, "canonical", **{"Accept-Language": "en-US"})
    assert found["object"] == defined("unknown", name={"en-US": "color"}, description={"en-US": "color"})


async def test_a_voided_statement_and_the_pages_after_the_first_have_the_format_too(tenant: Tenant) -> None:
    sent = [statement(object=defined(f"a/{number}")) for number in range(3)]
    await tenant.post(*sent)
    page = await tenant.get(STATEMENTS, limit=1, format="ids")
    seen = []
    while page["more"]:
        page = await tenant.get(page["more"])
        seen += page["statements"]
    assert [each["object"].keys() for each in seen] == [{"id"}] * 2
    await tenant.post(statement(verb={"id": "http://adlnet.gov/expapi/verbs/voided"}, object={"objectType": "StatementRef", "id": sent[0]["id"]}))
    assert (await tenant.get(STATEMENTS, voidedStatementId=sent[0]["id"], format="ids"))["object"] == {"id": "https://example.org/a/0"}
    assert (await tenant.get(STATEMENTS, limit=1, format="ids"))["statements"][0]["object"] == {"objectType": "StatementRef", "id": sent[0]["id"]}


async def test_a_format_that_is_none_is_a_400(tenant: Tenant) -> None:
    for value in ("", "IDS", "full", "canonical,ids"):
        for more in ({}, {"statementId": "00000000-0000-4000-8000-000000000000"}):
            answer = await tenant.client.get(STATEMENTS, params={"format": value, **more})
            assert (answer.status_code, "exact, ids and canonical" in answer.json()["detail"]) == (400, True)
            assert THROUGH in answer.headers


async def test_a_page_of_very_many_activities_is_answered_in_bounded_memory(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [defined(f"many/{number}") for number in range(300)]
    sent = statement(context={"contextActivities": {"other": others}})
    await tenant.post(sent)

    async def known(header: str) -> int:
        found = await tenant.client.get(STATEMENTS, params={"statementId": sent["id"], "format": "canonical"}, headers={"Accept-Language": header})
        return sum(each["definition"]["name"] == {"en-US": "color"} for each in found.json()["context"]["contextActivities"]["other"])

    assert await known("en-US") == 300
    monkeypatch.setattr(activities, "_MOST_BYTES", 1000)
    assert await known("en-US") == 300  # what is left out keeps its own definition
