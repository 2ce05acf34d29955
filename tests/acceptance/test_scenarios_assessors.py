"""Mastery certified from outside: two accredited assessors and an artifact of a portfolio, however it was learned."""
from tests.servers.campus import Campus, clause, course, mailbox, said, states

COMPETENCY = "https://case.example.org/items/mig-welding"
MASTERY = """
programme: https://guild.example.org/programmes/welding-mastery
version: 1
title: Welding mastery
award: {type: Certification, alignment: [{targetType: CFItem, targetName: MIG welding, targetUrl: https://case.example.org/items/mig-welding}]}
requires:
  all:
    - label: a piece of work
      statement:
        {verb: completed, type: https://guild.example.org/types/portfolio-artifact, competency: https://case.example.org/items/mig-welding, evidence: 1}
    - label: two accredited assessors
      statement:
        verb: asserted
        competency: https://case.example.org/items/mig-welding
        success: true
        count: 2
        distinct: authority
        authority_in: [https://assessors.example.org/a, https://assessors.example.org/b, https://assessors.example.org/c]
validity: {for: P3Y}
on: {input_voided: suspend, rule_changed: reevaluate}
"""
ARTIFACT = {
    "usageType": "https://guild.example.org/usage/photograph", "display": {"en": "a lap joint"}, "contentType": "image/jpeg", "length": 48_000,
    "sha2": "1" * 64, "fileUrl": "https://portfolios.example.org/wanda/lap-joint.jpg"}


def test_two_assessors_and_a_piece_of_work_certify_mastery_which_is_suspended_and_reinstated_with_their_words(campus: Campus) -> None:
    assessor = {name: campus.assessor(name) for name in "abcx"}
    wanda, about = mailbox("wanda.welder"), {"contextActivities": {"other": [{"id": COMPETENCY}]}}
    skill = course(COMPETENCY, "http://adlnet.gov/expapi/activities/objective")
    asserted = "https://w3id.org/xapi/tla/verbs/asserted"
    campus.publish_by_command(MASTERY)

    work = course("https://portfolios.example.org/wanda/lap-joint", "https://guild.example.org/types/portfolio-artifact")
    campus.send(said(wanda, "completed", work, "2026-01-05T10:00:00Z", attachments=[ARTIFACT], context=about))
    campus.send(said(wanda, asserted, skill, "2026-02-01T10:00:00Z", result={"success": True}), by=assessor["a"])
    campus.send(said(wanda, asserted, skill, "2026-02-02T10:00:00Z", result={"success": True}), by=assessor["a"])
    campus.send(said(wanda, asserted, skill, "2026-02-03T10:00:00Z", result={"success": True}), by=assessor["x"])
    campus.send(said(wanda, asserted, skill, "2026-02-04T10:00:00Z", result={"success": False}), by=assessor["b"])
    why_not = campus.explain(wanda, "welding-mastery")
    assert clause(why_not, "a piece of work")["met"]
    lacking = clause(why_not, "two accredited assessors")
    assert (lacking["met"], lacking["progress"]) == (False, 0.5), "one twice, one not accredited, one who denies it"
    assert {each["authority"] for each in lacking["statements"]} == {"https://assessors.example.org/a"}

    [second] = campus.send(said(wanda, asserted, skill, "2026-03-01T10:00:00Z", result={"success": True}), by=assessor["b"])
    certified = campus.awarded(wanda, "welding-mastery")
    assert certified["awarded_at"].startswith("2026-03-01T10:00:00")
    assert certified["valid_until"].startswith("2029-03-01T10:00:00")

    campus.void(second, by=assessor["b"])
    suspended = campus.awarded(wanda, "welding-mastery", "suspended")
    assert (suspended["id"], suspended["reason"]) == (certified["id"], "input_voided")

    campus.send(said(wanda, asserted, skill, "2026-04-01T10:00:00Z", result={"success": True}), by=assessor["c"])
    assert campus.types_of(certified["id"], 3)[:3] == ["credential.issued", "credential.suspended", "credential.reinstated"]
    [held] = campus.credentials(wanda, "welding-mastery")
    assert held["id"] == certified["id"]
    assert states(campus.credential(certified["id"]))[:3] == ["issued", "suspended", "reinstated"]
