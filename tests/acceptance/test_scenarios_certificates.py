"""Certificates of one platform: a statement of accomplishment beside a verified certificate, and a specialization with a capstone that peers assess."""
from tests.servers.campus import PASSPORT, Campus, account, clause, course, mailbox, said, scored, slug_of, statements_in, states

COURSE = "https://mooc.example.org/course/calculus"
ACCOMPLISHMENT = """
programme: https://mooc.example.org/programmes/calculus-accomplishment
version: 1
title: "Calculus One: statement of accomplishment"
award: {type: CertificateOfCompletion, description: Passed at a distance; nobody checked who it was}
requires: {label: passed the course, statement: {verb: passed, activity: https://mooc.example.org/course/calculus}}
"""
VERIFIED = """
programme: https://mooc.example.org/programmes/calculus-verified
version: 1
title: "Calculus One: verified certificate"
award: {type: Certificate, description: Passed by the person named}
requires:
  label: passed by a person whose identity was verified
  statement: {verb: passed, activity: https://mooc.example.org/course/calculus, identity: verified}
on: {input_voided: revoke}
"""


def test_one_pass_is_an_accomplishment_at_once_and_a_certificate_only_while_its_verification_stands(campus: Campus) -> None:
    ada, proctor = mailbox("ada.accomplished"), campus.sender("proctor", "statements/write", "lrs:assure")
    campus.publish_by_command(ACCOMPLISHMENT)
    assert campus.publish(VERIFIED) == {"slug": "calculus-verified", "version": 1}

    [passed] = campus.send(said(ada, "passed", COURSE, "2024-05-01T10:00:00Z", result=scored(0.9)))
    accomplishment = campus.awarded(ada, "calculus-accomplishment")
    [recorded] = campus.told(1, lambda event: event["data"]["course"] == COURSE, type="completion.recorded")
    completion = recorded["data"]
    assert (completion["status"], completion["awarded_at"][:10], completion["n"], completion["k"]) == ("passed", "2024-05-01", 1, 1)
    assert accomplishment["awarded_at"].startswith("2024-05-01T10:00:00")
    assert accomplishment["learner"] == campus.learner(ada)

    # whoever may not assure identities may say so as often as they like
    reference = {"objectType": "StatementRef", "id": passed}
    campus.send(said(mailbox("somebody"), "verified", reference), by=campus.assessor("x"))
    why_not = campus.explain(ada, "calculus-verified")
    lacking = clause(why_not, "passed by a person whose identity was verified")
    assert not lacking["met"]
    assert lacking["progress"] < 1
    assert campus.credentials(ada, "calculus-verified") == []

    [verification] = campus.send(said(mailbox("proctor"), "verified", reference, context={"extensions": PASSPORT}), by=proctor)
    certificate = campus.awarded(ada, "calculus-verified")
    met = campus.explain(ada, "calculus-verified")
    [named] = clause(met, "passed by a person whose identity was verified")["statements"]
    assert (named["id"], named["authority"]) == (passed, f"{campus.system.url}/office")
    assert met["tree"]["met"]
    known_then = named_moment(campus)

    void = campus.void(verification, by=proctor)
    revoked = campus.awarded(ada, "calculus-verified", "revoked")
    assert revoked["id"] == certificate["id"]
    assert revoked["reason"] == "input_voided"
    assert states(campus.credential(certificate["id"])) == ["issued", "revoked"]
    assert campus.types_of(certificate["id"], 2) == ["credential.issued", "credential.revoked"]
    assert campus.types_of(accomplishment["id"], 1) == ["credential.issued"]
    assert [each["state"] for each in campus.credentials(ada, "calculus-accomplishment")] == ["issued"]

    after = campus.explain(ada, "calculus-verified")
    assert not after["tree"]["met"]
    assert void in str(after["voids"])
    assert campus.explain(ada, "calculus-verified", known_at=known_then)["tree"]["met"], "that we knew otherwise then is not forgotten"
    page = campus.page(ada, "calculus-verified")
    assert "Calculus One: verified certificate" in page
    assert "passed by a person whose identity was verified" in page


def named_moment(campus: Campus) -> str:
    """Return a moment of which everything so far is known."""
    return campus.office.get("/xapi/statements?limit=1").headers["X-Experience-API-Consistent-Through"]


ORIENTATION = """
programme: https://mooc.example.org/programmes/orientation
version: 1
title: Orientation
requires: {label: took the tour, statement: {verb: passed, activity: https://mooc.example.org/course/tour}}
"""


def test_a_programme_that_awards_nothing_is_satisfied_or_not_and_so_is_a_course_completed_or_not(campus: Campus) -> None:
    tour, ben = "https://mooc.example.org/course/tour", mailbox("ben.oriented")
    campus.publish(ORIENTATION)

    def told() -> list[str]:
        data = [(event["type"], event["data"]) for event in campus.events()]
        return [type_ for type_, about in data if tour == about.get("course") or ("credential" in about and slug_of(about["programme"]) == "orientation")]

    [passed] = campus.send(said(ben, "passed", tour))
    campus.wait_until(lambda: len(told()) == 2 or None, "both")
    assert campus.programme_is(ben, "orientation", "satisfied")["title"] == "Orientation"
    campus.void(passed)
    campus.programme_is(ben, "orientation", "unsatisfied")
    campus.wait_until(lambda: len(told()) == 4 or None, "both to be taken back")

    assert sorted(told()[:2]) == ["completion.recorded", "programme.satisfied"]
    assert sorted(told()[2:]) == ["completion.retracted", "programme.unsatisfied"]
    assert campus.credentials(ben) == []


SPECIALIZATION = """
programme: https://mooc.example.org/programmes/data-science
version: 1
title: Data Science Specialization
award: {type: Certificate, description: "Two courses, two electives of three and a capstone, by a person whose identity was verified"}
defaults: {match: {verb: passed, identity: verified}}
requires:
  all:
    - {label: Toolbox, statement: {activity: https://mooc.example.org/course/toolbox}}
    - {label: Programming, statement: {activity: https://mooc.example.org/course/programming}}
    - label: any two electives
      at_least:
        n: 2
        of:
          - {label: Regression, statement: {activity: https://mooc.example.org/course/regression}}
          - {label: Machine learning, statement: {activity: https://mooc.example.org/course/learning}}
          - {label: Data products, statement: {activity: https://mooc.example.org/course/products}}
    - label: capstone, passed after peer review
      all:
        - label: assessed by three peers
          statement: {verb: assessed, identity: none, activity: https://mooc.example.org/capstone/submission, count: 3, distinct: authority}
        - {label: capstone handed in and passed, statement: {activity: https://mooc.example.org/capstone, score_gte: 0.7, evidence: 1}}
"""
WORK = {
    "usageType": "https://mooc.example.org/usage/capstone", "display": {"en": "the work"}, "contentType": "application/pdf", "length": 12,
    "sha2": "0" * 64, "fileUrl": "https://mooc.example.org/works/1.pdf"}


def test_a_specialization_wants_n_of_m_courses_a_capstone_with_three_different_peers_and_a_verified_identity(campus: Campus) -> None:
    platform = campus.sender("platform", "statements/write", "lrs:assure")
    peers = [campus.assessor(name) for name in "abc"]
    ada, eve = account("https://mooc.example.org", "ada-specialized"), account("https://mooc.example.org", "eve-unverified")
    submission = course("https://mooc.example.org/capstone/submission", "assessment")
    campus.publish_by_command(SPECIALIZATION)
    for who, identity in ((ada, {"context": {"extensions": PASSPORT}}), (eve, {})):
        for day, name in enumerate(("toolbox", "programming", "regression", "products"), 1):
            campus.send(said(who, "passed", f"https://mooc.example.org/course/{name}", f"2024-06-0{day}T12:00:00Z", **identity), by=platform)
        capstone = course("https://mooc.example.org/capstone", "assessment")
        campus.send(said(who, "passed", capstone, "2024-07-01T12:00:00Z", result=scored(0.8), attachments=[WORK], **identity), by=platform)
        for at, peer in (("2024-06-20T08:00:00Z", peers[0]), ("2024-06-21T08:00:00Z", peers[1]), ("2024-06-22T08:00:00Z", peers[1])):
            campus.send(said(who, "assessed", submission, at), by=peer)

    why_not = campus.explain(ada, "data-science")
    assert not why_not["tree"]["met"]
    reviewed = clause(why_not, "assessed by three peers")
    assert round(reviewed["progress"], 3) == 0.667, "one peer twice is one peer"
    assert clause(why_not, "any two electives")["met"]
    assert campus.credentials(ada, "data-science") == []

    for who in (ada, eve):
        campus.send(said(who, "assessed", submission, "2024-07-10T08:00:00Z"), by=peers[2])
    certificate = campus.awarded(ada, "data-science")
    assert certificate["awarded_at"].startswith("2024-07-10T08:00:00"), "the last peer's word tipped it"
    assert len(statements_in(campus.explain(ada, "data-science"))) >= 8
    assert campus.types_of(certificate["id"], 1) == ["credential.issued"]

    unverified = campus.explain(eve, "data-science")
    assert not unverified["tree"]["met"]
    assert clause(unverified, "assessed by three peers")["met"]
    assert not clause(unverified, "Toolbox")["met"]
    assert campus.credentials(eve, "data-science") == []
    [event] = campus.told_of(certificate["id"], 1)
    assert (slug_of(event["data"]["programme"]), event["data"]["state"]) == ("data-science", "issued")
    assert event["specversion"] == "1.0"
