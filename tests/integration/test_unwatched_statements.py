"""Rules of xAPI Data that the conformance suite never looks at: what a statement may hold in each place, told over HTTP, by POST and PUT, in both versions."""
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.factories import activity, actor, verb
from tests.integration.api_service import STATEMENTS, Tenant, api_service, served
from tests.servers.in_process import statement
from tests.servers.multipart import attachment

ELSEWHERE = "https://files.example.org/essay.txt"
GROUP = {"objectType": "Group", "member": [actor("ada"), actor("linus")]}
NO_IRIS = ("example.org/no/scheme", "should fail", "ab=c://should.fail.com", "//example.org", "")


service = served(api_service)


def whole() -> dict[str, Any]:
    """Return a statement with something in every place where IRIs, objects and numbers may be."""
    choice = {
        "type": "http://adlnet.gov/expapi/activities/cmi.interaction", "moreInfo": "https://example.org/more", "interactionType": "choice",
        "choices": [{"id": "a", "description": {"en": "A"}}], "correctResponsesPattern": ["a"], "extensions": {"https://example.org/x": 1},
    }
    inner = {"objectType": "SubStatement", "actor": actor("linus"), "verb": verb("read"), "object": activity(definition=deepcopy(choice))}
    return statement(
        actor={"objectType": "Group", "account": {"homePage": "https://example.org", "name": "team"}, "member": [actor(openid="https://ada.example.org/")]},
        verb=verb(), object=inner, authority=actor("tool"),
        result={"score": {"scaled": 0.5, "raw": 5, "min": 0, "max": 10}, "extensions": {"https://example.org/x": None}},
        context={
            "instructor": actor("grace"), "team": deepcopy(GROUP), "statement": {"objectType": "StatementRef", "id": str(uuid4())},
            "contextActivities": {"parent": [activity("course/2", definition=deepcopy(choice))]}, "extensions": {"https://example.org/x": 1},
        },
        attachments=[attachment(b"essay", fileUrl=ELSEWHERE)],
    )


def place(value: Any, path: str) -> Any:
    """Return what is at a JSON pointer."""
    for step in path.split("/")[1:]:
        value = value[int(step) if isinstance(value, list) else step]
    return value


async def refused(tenant: Tenant, sent: dict[str, Any], pointer: str) -> None:
    """Send a statement by POST and PUT in both versions; each is a 400 with this pointer (or that of a member of it), and nothing is stored."""
    for version in ("1.0.3", "2.0.0"):
        headers = {"X-Experience-API-Version": version}
        for answer in (await tenant.client.post(STATEMENTS, json=sent, headers=headers),
                       await tenant.client.put(STATEMENTS, params={"statementId": sent["id"]}, json=sent, headers=headers)):
            assert answer.status_code == 400, (pointer, answer.text)
            assert answer.json()["pointer"].startswith(pointer), answer.text
    await tenant.get(STATEMENTS, 404, statementId=sent["id"])


async def test_a_statement_with_something_in_every_place_is_taken_and_comes_back_whole(tenant: Tenant) -> None:
    for version in ("1.0.3", "2.0.0"):
        tenant.client.headers["X-Experience-API-Version"] = version
        sent = whole()
        await tenant.post(sent)
        found = await tenant.get(STATEMENTS, statementId=sent["id"])
        assert {name: found[name] for name in sent if name != "authority"} == {name: sent[name] for name in sent if name != "authority"}


@pytest.mark.parametrize("path", [
    "", "/actor", "/actor/account", "/actor/member/0", "/verb", "/object", "/object/actor", "/object/verb", "/object/object", "/object/object/definition",
    "/object/object/definition/choices/0", "/authority", "/result", "/result/score", "/context", "/context/instructor", "/context/team",
    "/context/team/member/0", "/context/statement", "/context/contextActivities", "/context/contextActivities/parent/0",
    "/context/contextActivities/parent/0/definition", "/attachments/0",
])
async def test_an_unknown_key_is_refused_wherever_it_is_and_so_is_a_known_one_in_another_case(tenant: Tenant, path: str) -> None:
    for unknown in (True, False):
        sent = whole()
        changed = place(sent, path)
        first = next(iter(changed))
        changed.update({"dummy": 1} if unknown else {first.capitalize(): changed.pop(first)})
        await refused(tenant, {"id": str(uuid4()), **sent}, path)


@pytest.mark.parametrize("path", [
    "/verb/id", "/object/verb/id", "/object/object/id", "/object/object/definition/type", "/object/object/definition/moreInfo", "/actor/account/homePage",
    "/actor/member/0/openid", "/attachments/0/usageType", "/attachments/0/fileUrl", "/context/contextActivities/parent/0/id",
    "/context/contextActivities/parent/0/definition/type",
])
async def test_what_has_no_scheme_is_no_iri_in_any_place_for_one(tenant: Tenant, path: str) -> None:
    for wrong in NO_IRIS:
        sent = whole()
        above, _, name = path.rpartition("/")
        place(sent, above)[name] = wrong
        await refused(tenant, sent, path)


@pytest.mark.parametrize("path", ["/result/extensions", "/context/extensions", "/object/object/definition/extensions"])
async def test_keys_of_extensions_are_iris_and_their_values_anything(tenant: Tenant, path: str) -> None:
    for wrong in NO_IRIS[:-1]:
        sent = whole()
        place(sent, path)[wrong] = 1
        await refused(tenant, sent, path)
    sent, values = whole(), [None, "", {}, [], 0, -0.0, False, {"a b": None}, [[None]]]
    place(sent, path).update({f"https://example.org/{number}": value for number, value in enumerate(values)})
    await tenant.post(sent)
    assert place(await tenant.get(STATEMENTS, statementId=sent["id"]), path) == place(sent, path)


@pytest.mark.parametrize("path", [
    "/actor/name", "/actor/member", "/verb/display", "/object/object/definition", "/object/object/definition/choices", "/result/score", "/result/score/raw",
    "/result/response", "/context/team/member/0/name", "/context/contextActivities/parent", "/context/registration", "/attachments/0/description", "/timestamp",
    "/attachments", "/authority", "/version", "/stored",
])
async def test_null_is_refused_in_every_place_but_extensions(tenant: Tenant, path: str) -> None:
    sent = whole()
    above, _, name = path.rpartition("/")
    place(sent, above)[name] = None
    await refused(tenant, sent, path)


@pytest.mark.parametrize("name", ["usageType", "display", "contentType", "length", "sha2"])
async def test_an_attachment_lacks_none_of_its_required_members(tenant: Tenant, name: str) -> None:
    sent = whole()
    del sent["attachments"][0][name]
    await refused(tenant, sent, "/attachments/0")


@pytest.mark.parametrize("value", ["a" * 39, "a" * 41, "g" * 40, "", " " + "a" * 40, 1, None])
async def test_a_sum_of_a_mailbox_is_forty_hexadecimal_digits(tenant: Tenant, value: Any) -> None:
    await refused(tenant, statement(actor={"mbox_sha1sum": value}), "/actor")


@pytest.mark.parametrize(("members", "pointer"), [
    ({"correctResponsesPattern": "a"}, "/correctResponsesPattern"), ({"correctResponsesPattern": [1]}, "/correctResponsesPattern"),
    ({"choices": {"id": "a"}}, "/choices"), ({"choices": [{"description": {"en": "A"}}]}, "/choices"), ({"choices": [{"id": 1}]}, "/choices"),
    ({"choices": [{"id": "a", "description": "A"}]}, "/choices"),
])
async def test_the_parts_of_an_interaction_have_their_types(tenant: Tenant, members: dict[str, Any], pointer: str) -> None:
    await refused(tenant, statement(object=activity(definition={"interactionType": "choice", **members})), f"/object/definition{pointer}")


@pytest.mark.parametrize("members", [{"source": [{"id": "1"}]}, {"target": [{"id": "1"}]}, {"correctResponsesPattern": []}, {}])
async def test_an_interaction_may_lack_some_of_its_parts(tenant: Tenant, members: dict[str, Any]) -> None:
    await tenant.post(statement(object=activity(definition={"interactionType": "matching", **members})))


@pytest.mark.parametrize("score", [{"min": 5, "max": 5}, {"min": 6, "max": 5}, {"raw": -1, "min": 0}, {"raw": 11, "max": 10}, {"scaled": 1.0000001}])
async def test_a_score_is_within_its_bounds(tenant: Tenant, score: dict[str, float]) -> None:
    await refused(tenant, statement(result={"score": score}), "/result/score")


@pytest.mark.parametrize("change", [
    lambda sent: sent["actor"].update(mbox="mailto:a@b.c"), lambda sent: sent["actor"]["member"][0].update(mbox="mailto:a@b.c"),
    lambda sent: sent["context"]["team"].update(mbox="mailto:a@b.c", openid="https://a.b/"),
    lambda sent: sent["actor"]["member"].append({"objectType": "Group", "mbox": "mailto:a@b.c"}),
    lambda sent: sent["object"].update(actor={"objectType": "Agent", "name": "nobody"}),
])
async def test_nobody_has_two_identifiers_or_none_and_no_group_is_in_a_group(tenant: Tenant, change: Callable[[dict[str, Any]], None]) -> None:
    sent = whole()
    change(sent)
    await refused(tenant, sent, "/")


async def test_each_of_hundreds_of_members_finds_the_statement_of_a_group(tenant: Tenant) -> None:
    members = [actor(f"member{number}") for number in range(700)]
    sent = statement(actor={"objectType": "Group", "name": "everybody", "member": members})
    await tenant.post(sent, statement())
    for member in (members[0], members[350], members[-1]):
        assert await tenant.ids(agent=orjson.dumps(member).decode()) == [sent["id"]]
    assert (await tenant.get(STATEMENTS, statementId=sent["id"]))["actor"]["member"] == members


@pytest.mark.parametrize("version", ["1.0", "1.0.0", "1.0.3", "1.0.17"])
async def test_the_version_of_a_statement_is_what_was_sent(tenant: Tenant, version: str) -> None:
    for spoken in ("1.0.3", "2.0.0"):
        tenant.client.headers["X-Experience-API-Version"] = spoken
        sent = statement(version=version)
        await tenant.post(sent)
        assert (await tenant.get(STATEMENTS, statementId=sent["id"]))["version"] == version


async def test_a_statement_sent_without_a_version_has_that_of_its_request_in_whatever_version_it_is_read(tenant: Tenant) -> None:
    ids = {}
    for spoken, expected in (("1.0.3", "1.0.0"), ("2.0.0", "2.0.0")):
        tenant.client.headers["X-Experience-API-Version"] = spoken
        sent = statement()
        await tenant.post(sent)
        ids[sent["id"]] = expected
    for spoken in ("1.0.3", "2.0.0"):
        tenant.client.headers["X-Experience-API-Version"] = spoken
        assert {each["id"]: each["version"] for each in (await tenant.get(STATEMENTS))["statements"]} == ids
