"""GET /v1/learners: who is found, by what, and who is not."""
from uuid import UUID, uuid4

import orjson
import pytest

from schemas.api import Learner, Learners
from tests.integration.api_service import Service, Tenant, api_service, generic_plan, served
from tests.servers.in_process import statement

ADA = {"mbox": "mailto:Ada@Example.org", "name": "Ada Lovelace"}
SET_ASIDE = """
    insert into dead_letter (name, version, partition, "offset", idx, tenant_id, seq, ifi, reason, code_hash)
    values ('learners', 1, 0, 10 ^ 9, 0, $1, 1, $2, 'why', 'x')
"""


service = served(api_service)


async def test_a_learner_is_found_by_an_agent_in_any_form_of_its_identity(tenant: Tenant) -> None:
    position = await tenant.post(statement(actor=ADA))
    sha1 = {"mbox_sha1sum": "cb4a6ee85feb9573c4f0e9e7e1ae86b7e4f8e0d6"}

    id_ = await tenant.learner(ADA, position)

    assert await tenant.learner({"mbox": "mailto:Ada@EXAMPLE.ORG"}) == id_
    found = Learner.model_validate(await tenant.get(f"/v1/learners/{id_}"))
    assert (str(found.id), found.name, found.links, found.incomplete) == (id_, "Ada Lovelace", [], False)
    assert [each["mbox"] for each in found.agents] == ["mailto:Ada@example.org"]
    assert (await tenant.get("/v1/learners", agent=orjson.dumps(sha1).decode()))["learners"] == []


@pytest.mark.parametrize("q", ["zoë", "ZOE", "lopez", "LÓP", "zl77", "Zoe zl77", "oë", "7"])
async def test_a_search_finds_any_part_of_a_name_or_identifier_without_case_and_accents(service: Service, q: str) -> None:
    tenant = await service.tenant()
    zoe = {"account": {"homePage": "https://lms.example.com", "name": "zl77"}, "name": "Zoë López", "objectType": "Agent"}
    position = await tenant.post(statement(actor=ADA), statement(actor=zoe))

    page = Learners.model_validate(await tenant.get("/v1/learners", q=q, position=position))

    assert [each.name for each in page.learners] == ["Zoë López"]
    assert (await tenant.get("/v1/learners", q=q + "%"))["learners"] == []


async def test_a_search_for_wildcards_finds_them_as_they_are(tenant: Tenant) -> None:
    position = await tenant.post(statement(actor={**ADA, "name": "100% _real_"}), statement(actor={"mbox": "mailto:b@example.org", "name": "1000 unreal"}))
    for q in ("0%", "_r", "100% _real"):
        assert [each["name"] for each in (await tenant.get("/v1/learners", q=q, position=position))["learners"]] == ["100% _real_"], q


async def test_learners_page_to_the_end_each_once(tenant: Tenant) -> None:
    people = [statement(actor={"mbox": f"mailto:person{number}@example.org"}) for number in range(9)]
    position = await tenant.post(*people)

    for params in ({"limit": 4}, {"limit": 4, "q": "person"}, {"limit": 9}):
        seen, page = [], await tenant.get("/v1/learners", position=position, **params)
        while True:
            seen += [each["id"] for each in page["learners"]]
            if page["next"] is None:
                break
            page = await tenant.get(page["next"])
        assert len(seen) == len(set(seen)) == 9, params


async def test_placeholders_and_groups_are_no_learners(tenant: Tenant) -> None:
    unknown = {"mbox": "mailto:unknown@example.com"}
    position = await tenant.post(
        statement(actor=unknown), statement(actor={"objectType": "Group", "member": [ADA]}),
        statement(actor={"account": {"homePage": "https://lms.example.com", "name": "anonymous"}}))
    assert (await tenant.get("/v1/learners", position=position))["learners"] == []
    assert (await tenant.get("/v1/learners", agent=orjson.dumps(unknown).decode()))["learners"] == []


async def test_who_has_neither_evidence_nor_a_link_is_not_listed(tenant: Tenant) -> None:
    position = await tenant.post(statement(actor=ADA, object={"objectType": "Agent", "mbox": "mailto:bob@example.org"}))
    assert (await tenant.get("/v1/learners", position=position))["learners"] == []


async def test_unknown_learners_are_404_and_what_cannot_be_read_is_400(tenant: Tenant) -> None:
    for path in (f"/v1/learners/{uuid4()}", "/v1/learners/nobody", f"/v1/learners/{uuid4()}/transcript", f"/v1/learners/{uuid4()}/evidence"):
        assert (await tenant.client.get(path)).status_code == 404, path
    for params in ({"agent": "{"}, {"agent": '{"name":"x"}'}, {"limit": "many"}, {"Q": "x"}, {"q": "x", "agent": "{}"}, {"after": "x"}):
        answer = await tenant.client.get("/v1/learners", params=params)
        assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json"), params


async def test_reading_learners_needs_lrs_read_and_stays_within_the_tenant(tenant: Tenant) -> None:
    position = await tenant.post(statement(actor=ADA))
    id_ = await tenant.learner(ADA, position)
    xapi = await tenant.with_scopes("all")
    reader = await tenant.with_scopes("lrs:read")
    other = await tenant.service.tenant()
    for path in ("/v1/learners", f"/v1/learners/{id_}", f"/v1/learners/{id_}/transcript", f"/v1/learners/{id_}/evidence", "/v1/courses"):
        assert (await xapi.get(path)).status_code == 403, path
        assert (await reader.get(path)).status_code == 200, path
        assert (await tenant.service.web.client(None).get(path)).status_code == 401, path
    assert (await other.client.get(f"/v1/learners/{id_}")).status_code == 404
    assert await other.get("/v1/learners") == {"learners": [], "next": None}


async def test_answers_say_how_far_they_are_folded(tenant: Tenant) -> None:
    position = await tenant.post(statement(actor=ADA))
    id_ = await tenant.learner(ADA, position)
    stored = (await tenant.get("/xapi/statements"))["statements"][0]["stored"]
    for path in ("/v1/learners", f"/v1/learners/{id_}", f"/v1/learners/{id_}/transcript", f"/v1/learners/{id_}/evidence", "/v1/courses"):
        answer = await tenant.client.get(path)
        assert answer.headers["LRS-Consistent-Through"] >= stored, path


async def test_answers_of_someone_with_a_statement_set_aside_are_incomplete_and_no_one_else_s(tenant: Tenant) -> None:
    position = await tenant.post(statement(actor=ADA), statement(actor={"mbox": "mailto:bob@example.org"}))
    ada, bob = await tenant.learner(ADA, position), await tenant.learner({"mbox": "mailto:bob@example.org"})
    pool = tenant.service.web.state.pool
    tenant_id = await pool.fetchval("select id from tenant where name = $1", tenant.name)
    await pool.execute(SET_ASIDE, tenant_id, UUID(ada))

    for id_, incomplete in ((ada, True), (bob, False)):
        assert (await tenant.get(f"/v1/learners/{id_}"))["incomplete"] is incomplete
        for moment in ("", "?known_at=2099-01-01T00:00:00Z", "?as_of=2099-01-01T00:00:00Z"):
            assert (await tenant.get(f"/v1/learners/{id_}/transcript{moment}"))["incomplete"] is incomplete


async def test_a_transcript_and_a_search_are_read_by_index(service: Service) -> None:
    from services.api import learners, transcripts

    values = {
        "tenant": 1, "key": learners.NOBODY, "after": learners.NOBODY, "limit": 101, "patterns": "{%ada%}", "grams": "{1,2}", "types": "{}",
    }
    texts = (
        transcripts.SQL.compose("transcript", after=(), of_activity=(), courses=()), learners.SQL.compose("learner"),
        learners.SQL.compose("page", who=("searched",), grams=("grams",)),
    )
    async with service.web.state.rows.of(1).acquire() as connection, connection.transaction():
        await connection.execute("set local enable_seqscan = off")
        for sql in texts:
            plan = await generic_plan(connection, sql.text, sql.args(values))
            for table in ("entry", "evidence", "ifi"):
                assert f"Seq Scan on {table} " not in plan, plan
