"""Explanations through HTTP: clause by clause, at any moment, with what was voided and what was linked; and the page for people."""
import re
from typing import Any

import orjson
import pytest
import pytest_asyncio

from schemas.api_programmes import Explained, LearnersProgrammes
from services.api.programmes.explain_page import wants_page
from tests.integration.api_service import Service, Tenant, api_service, served
from tests.integration.programmes import ADA, BOB, awarded, graduate, passed, publish, rule, until, void

service = served(api_service, partitions=2)
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
EVIL = "<script>alert('x')</script>&\"quoted\""


@pytest_asyncio.fixture
async def tenant(service: Service) -> Tenant:
    return await service.tenant()


async def explain(tenant: Tenant, agent: dict[str, Any] = ADA, slug: str = "maths", **moment: Any) -> dict[str, Any]:
    found: dict[str, Any] = await tenant.get(f"/v1/learners/{await tenant.learner(agent)}/programmes/{slug}/explain", **moment)
    Explained.model_validate(found)
    return found


def clause(node: dict[str, Any], label: str) -> dict[str, Any]:
    if node["label"] == label:
        return node
    return next((found for child in node["of"] if (found := clause(child, label))), {})


async def test_every_clause_says_whether_it_is_met_how_far_and_by_which_statements(tenant: Tenant) -> None:
    await publish(tenant, rule())
    algebra = passed("algebra", timestamp="2025-03-01T10:00:00Z")
    position = await tenant.post(algebra)
    await tenant.learner(ADA, position)

    found = await explain(tenant)

    assert (found["programme"], found["version"], found["state"]) == ("https://lrs.example.org/programmes/maths", 1, "unsatisfied")
    met, lacking = clause(found["tree"], "passed algebra"), clause(found["tree"], "one elective")
    assert (met["met"], met["progress"], lacking["met"], lacking["progress"]) == (True, 1.0, False, 0.0)
    [said] = met["statements"]
    assert (said["id"], said["timestamp"]) == (algebra["id"], "2025-03-01T10:00:00.000000Z")
    assert said["stored"] > said["timestamp"]
    assert said["authority"].startswith("https://lrs.example.org/")
    assert (found["since"], found["unmet"], found["tree"]["met"], found["tree"]["progress"]) == (None, ["logic", "geometry"], False, 0.5)
    assert (found["tree"]["amount"], found["tree"]["lacks"]) == ({"got": 1, "wanted": 2, "unit": "parts"}, "one elective")
    assert (met["lacks"], lacking["lacks"]) == (None, "one of these: logic; geometry")
    assert (found["tree"]["op"], [child["op"] for child in found["tree"]["of"]]) == ("all", ["statement", "any"])


async def test_what_is_met_names_its_award_and_what_was_decided(tenant: Tenant) -> None:
    await publish(tenant, rule())
    held = await graduate(tenant)

    found = await explain(tenant)

    assert (found["state"], found["since"]) == ("satisfied", held["awarded_at"])
    [award] = found["awards"]
    assert (award["n"], award["credential"], award["state"]) == (1, held["id"], "issued")
    assert award["history"] == held["history"]


async def test_a_void_is_told_and_known_at_does_not_know_it_yet(tenant: Tenant) -> None:
    await publish(tenant, rule())
    algebra = passed("algebra")
    position = await tenant.post(algebra, passed("logic"))
    await tenant.learner(ADA, position)
    held = await awarded(tenant)
    before = held["history"][0]["stored"]

    voiding = await void(tenant, algebra["id"])

    revoked = await awarded(tenant, state="revoked")
    assert revoked["reason"] == "input_voided"
    now, then = await explain(tenant), await explain(tenant, known_at=before)
    assert (now["state"], then["state"]) == ("unsatisfied", "satisfied")
    assert ([each["statement"] for each in now["voids"]], now["voids"][0]["voided_by"]) == ([algebra["id"]], [voiding])
    assert then["voids"] == []
    assert (then["known_at"], [each["state"] for each in then["awards"]]) == (before, ["issued"])
    assert [entry["state"] for entry in now["awards"][0]["history"]] == ["issued", "revoked"]


async def in_review(tenant: Tenant, learner: str) -> tuple[bool, bool]:
    """Return what the list of programmes and the explanation say of it."""
    [line] = LearnersProgrammes.model_validate(await tenant.get(f"/v1/learners/{learner}/programmes")).programmes
    [award] = (await explain(tenant))["awards"]
    return line.review, award["review"]


async def test_an_award_that_is_left_to_people_says_so_until_its_rule_is_met_again(tenant: Tenant) -> None:
    await publish(tenant, rule(more="on: {input_voided: review}"))
    algebra = passed("algebra")
    learner = await tenant.learner(ADA, await tenant.post(algebra, passed("logic")))
    await awarded(tenant)
    assert await in_review(tenant, learner) == (False, False)

    await void(tenant, algebra["id"])

    async def told() -> bool:
        return await in_review(tenant, learner) == (True, True)

    await until(told)
    assert (await explain(tenant))["awards"][0]["state"] == "issued"
    page = await tenant.client.get(f"/v1/learners/{learner}/programmes/maths/explain", headers=HTML)
    assert "somebody has to look at it" in page.text
    await tenant.learner(ADA, await tenant.post(passed("algebra")))
    assert await in_review(tenant, learner) == (False, False)


async def test_an_award_that_a_new_version_leaves_to_people_says_so(tenant: Tenant) -> None:
    await publish(tenant, rule())
    held = await graduate(tenant)
    await publish(tenant, rule(version=2, score=0.95, more="on: {rule_changed: review}"))
    assert await in_review(tenant, held["learner"]) == (True, True)
    await publish(tenant, rule(version=3, score=0.95))
    assert await in_review(tenant, held["learner"]) == (False, False)


async def test_as_of_counts_only_what_had_happened(tenant: Tenant) -> None:
    await publish(tenant, rule())
    await tenant.learner(ADA, await tenant.post(passed("algebra", timestamp="2024-01-01T00:00:00Z"), passed("logic", timestamp="2024-06-01T00:00:00Z")))
    assert [(await explain(tenant, as_of=day))["tree"]["met"] for day in ("2024-05-31T00:00:00Z", "2024-06-01T00:00:00Z")] == [False, True]
    assert (await explain(tenant))["since"] == "2024-06-01T00:00:00.000000Z"


async def test_links_that_made_the_learner_are_told(tenant: Tenant) -> None:
    await publish(tenant, rule())
    await tenant.learner(BOB, await tenant.post(passed("algebra", ADA), passed("logic", BOB)))
    assert not (await explain(tenant))["tree"]["met"]

    made = await tenant.client.post("/v1/identity/links", json={"agents": [ADA, BOB], "reason": "one person"})

    found = await explain(tenant)
    assert (found["tree"]["met"], [(each["id"], each["reason"]) for each in found["links"]]) == (True, [(made.json()["id"], "one person")])


async def test_the_version_is_the_one_known_then_and_the_first_where_none_was(tenant: Tenant) -> None:
    await publish(tenant, rule(score=0.5))
    algebra = passed("algebra", score=0.6)
    await tenant.learner(ADA, await tenant.post(algebra))
    between = (await tenant.get("/xapi/statements", statementId=algebra["id"]))["stored"]
    await publish(tenant, rule(version=2, score=0.8))
    now, then = await explain(tenant), await explain(tenant, known_at=between)
    before_all = await explain(tenant, known_at="2020-01-01T00:00:00Z")
    assert [(each["version"], clause(each["tree"], "passed algebra")["met"]) for each in (now, then, before_all)] == [(2, False), (1, True), (1, False)]
    for extreme in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        await explain(tenant, known_at=extreme, as_of=extreme)


async def test_unknown_learners_and_programmes_are_404(tenant: Tenant) -> None:
    await publish(tenant, rule())
    await tenant.learner(ADA, await tenant.post(passed("algebra")))
    id_ = await tenant.learner(ADA)
    for path in (f"/v1/learners/{id_}/programmes/other/explain", "/v1/learners/00000000-0000-4000-8000-000000000000/programmes/maths/explain",
                 "/v1/learners/ada/programmes/maths/explain", f"/v1/learners/{id_}/programmes/%00/explain"):
        assert (await tenant.client.get(path)).status_code == 404, path
    assert (await tenant.client.get(f"/v1/learners/{id_}/programmes/maths/explain?at=1")).status_code == 400


async def test_people_get_a_page_in_which_nothing_of_others_is_markup(tenant: Tenant) -> None:
    agent = {"mbox": "mailto:eve@example.org", "name": EVIL}
    await publish(tenant, rule(title="Maths <b>bold</b>"))
    await graduate(tenant, agent)
    learner = await tenant.learner(agent)
    await tenant.client.post("/v1/identity/links", json={"agents": [agent, BOB], "reason": EVIL})

    answer = await tenant.client.get(f"/v1/learners/{learner}/programmes/maths/explain", headers=HTML)

    assert (answer.status_code, answer.headers["Content-Type"], answer.headers["Vary"]) == (200, "text/html; charset=utf-8", "Accept")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script" not in answer.text
    assert "<b>" not in answer.text
    assert "&lt;script&gt;" in answer.text
    assert re.search(r'style="', answer.text) is None
    for shown in ("Maths &lt;b&gt;bold", "passed algebra", "What was given", "Identities taken as one person", "Awarded, in force", "no end date"):
        assert shown in answer.text


async def test_the_page_names_who_took_an_award_back_and_why(tenant: Tenant) -> None:
    await publish(tenant, rule())
    await graduate(tenant)
    held = await awarded(tenant)
    await tenant.client.post(f"/v1/credentials/{held['id']}/revoke", json={"reason": "<i>copied</i>"})
    await awarded(tenant, state="revoked")

    page = (await tenant.client.get(f"/v1/learners/{held['learner']}/programmes/maths/explain", headers=HTML)).text

    assert re.search(r"&lt;i&gt;copied&lt;/i&gt; <span[^>]*>\(by [^)]+ at https://lrs.example.org\)", page)


async def test_the_page_says_what_would_meet_the_rule(tenant: Tenant) -> None:
    await publish(tenant, rule())
    learner = await tenant.learner(ADA, await tenant.post(passed("algebra")))

    page = (await tenant.client.get(f"/v1/learners/{learner}/programmes/maths/explain", headers=HTML)).text

    for shown in ("Not awarded", "1 of 2 parts", "What would meet it", "<strong>one elective</strong>: any one of these", "Nothing has been given"):
        assert shown in page


A, B, C = (f"{{label: {name}, statement: {{activity: https://courses.example.org/{name}}}}}" for name in ("algebra", "logic", "rhetoric"))
BADGES = ", ".join(f"{{label: badge {name}, credential: {{achievement: https://e.example.org/{name}}}}}" for name in "xy")


@pytest.mark.parametrize(("requires", "shown"), [
    (f"{{any: [{{label: both, all: [{A}, {B}]}}, {C}]}}", ["any one of these", "<strong>both</strong>: all of these", "<strong>rhetoric</strong>"]),
    (f"{{sequence: true, all: [{B}, {A}]}}", ["All of these in this order:", "once more, after “logic”", "↻ too early", "it counts once it comes again"]),
    (f"{{within: P1M, all: [{A}, {B}]}}", ["All of these, within 1 month; what came before may have to come again:"]),
    (f"{{at_least: {{n: 2, distinct: issuer, of: [{BADGES}]}}}}", ["2 of these, of 2 different issuers; 0 so far", "badge y"]),
    (f"{{at_least: {{n: 2, of: [{A}, {B}, {C}]}}}}", ["any one of these", "1 of 2 parts so far"]),
    (f"{{all: [{{any: [{A}, {B}]}}, {C}]}}", ["not needed", "<strong>rhetoric</strong>: any statement about"]),
    ("{sum: {of: duration, at_least: 3, match: {verb: passed}}}", ["3 hours more; 0 of 3 so far", "On record, but not counted: 1 without an amount"]),
    ("{cmi5: {course: https://courses.example.org/nobody-described-it}}", ["its units are not known", "Nothing counts towards it so far"]),
])
async def test_the_page_says_of_each_kind_of_clause_what_would_meet_it(tenant: Tenant, requires: str, shown: list[str]) -> None:
    text = "".join(rule().partition("requires:")[:2])
    await publish(tenant, f"{text} {requires}\n")
    learner = await tenant.learner(ADA, await tenant.post(passed("algebra")))

    answer = await tenant.client.get(f"/v1/learners/{learner}/programmes/maths/explain", headers=HTML)

    assert answer.status_code == 200, answer.text
    for words in shown:
        assert words in answer.text, words


@pytest.mark.parametrize(("accept", "page"), [
    (None, False), ("", False), ("*/*", False), ("application/json", False), ("text/html", True), (HTML["Accept"], True), ("text/*", True),
    ("text/html;q=0.5, application/json", False), ("text/html;q=0, */*", False), ("application/json;q=0.3, text/html;q=0.4", True), ("text/html;q=x", True),
])
def test_a_page_is_given_where_html_is_preferred(accept: str | None, page: bool) -> None:
    assert wants_page(accept) is page


async def test_a_learners_programmes_tell_how_far_each_is(tenant: Tenant) -> None:
    await publish(tenant, rule())
    await publish(tenant, rule("other", title="Other", score=0.95))
    await publish(tenant, rule("gone"))
    held = await graduate(tenant)
    await awarded(tenant, slug="gone")
    assert (await tenant.client.post("/v1/programmes/gone/retire")).status_code == 204
    ada = await tenant.learner(ADA)

    page = await tenant.get(f"/v1/learners/{ada}/programmes")

    LearnersProgrammes.model_validate(page)
    lines = {each["slug"]: each for each in page["programmes"]}
    assert list(lines) == ["gone", "maths", "other"]
    assert (lines["maths"]["state"], lines["maths"]["since"], lines["maths"]["progress"]) == ("satisfied", held["awarded_at"], 1.0)
    assert (lines["other"]["state"], lines["other"]["since"], lines["other"]["title"]) == ("unsatisfied", None, "Other")
    assert 0 < lines["other"]["progress"] < 1
    await tenant.post(passed("algebra", BOB))
    bob = await tenant.learner(BOB, await tenant.post(passed("geometry", BOB)))
    of_bob = (await tenant.get(f"/v1/learners/{bob}/programmes"))["programmes"]
    assert [each["slug"] for each in of_bob] == ["maths", "other"], "of the retired he holds nothing"
    first = await tenant.get(f"/v1/learners/{ada}/programmes", limit=2)
    assert [each["slug"] for each in (*first["programmes"], *(await tenant.get(first["next"]))["programmes"])] == list(lines)
    assert orjson.dumps(first["programmes"][0]) == orjson.dumps(page["programmes"][0])
