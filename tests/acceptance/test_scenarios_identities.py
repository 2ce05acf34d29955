"""One person under four names on three platforms: nobody until they are linked, awarded when they are, and each alone again when they are not."""
from tests.servers.campus import Campus, account, clause, mailbox, said, states

TOUR = """
programme: https://tour.example.org/programmes/grand-tour
version: 1
title: The grand tour
award: {type: Certificate}
requires:
  all:
    - {label: on the first platform, statement: {verb: passed, activity: https://one.example.org/course}}
    - {label: on the first platform after a new sign-up, statement: {verb: passed, activity: https://one.example.org/advanced}}
    - {label: on the second platform, statement: {verb: passed, activity: https://two.example.org/course}}
    - {label: on the third platform, statement: {verb: passed, activity: https://three.example.org/course}}
"""
ALONE = """
programme: https://tour.example.org/programmes/day-trip
version: 1
title: A day trip
award: {type: Badge}
requires: {label: one course, statement: {verb: passed, activity: https://tour.example.org/course}}
"""


def test_four_identities_on_three_platforms_are_awarded_when_linked_and_not_when_unlinked(campus: Campus) -> None:
    old, new = account("https://one.example.org", "zoe77"), account("https://one.example.org", "zoe-lopez")
    second, third = mailbox("zoe.lopez"), {"objectType": "Agent", "openid": "https://id.example.org/zoe"}
    campus.publish_by_command(TOUR)
    campus.send(
        said(old, "passed", "https://one.example.org/course", "2025-01-01T12:00:00Z"),
        said(new, "passed", "https://one.example.org/advanced", "2025-02-01T12:00:00Z"),
        said(second, "passed", "https://two.example.org/course", "2025-04-01T12:00:00Z"),
        said(third, "passed", "https://three.example.org/course", "2025-03-01T12:00:00Z"))
    assert len({campus.learner(who) for who in (old, new, second, third)}) == 4
    quarter = campus.explain(new, "grand-tour")
    assert (quarter["tree"]["met"], quarter["tree"]["progress"]) == (False, 0.25)

    links = [campus.link(who, second) for who in (old, new)]
    three = campus.explain(old, "grand-tour")
    assert [child["met"] for child in three["tree"]["of"]] == [True, True, True, False]
    assert campus.credentials(old, "grand-tour") == []
    links.append(campus.link(third, second))
    certificate = campus.awarded(third, "grand-tour")
    assert certificate["awarded_at"].startswith("2025-04-01"), "the mailbox's course came last"
    assert [campus.credentials(who, "grand-tour")[0]["id"] for who in (old, new, second)] == [certificate["id"]] * 3
    why = campus.explain(old, "grand-tour")
    assert why["tree"]["met"]
    assert {link["id"] for link in why["links"]} == set(links)

    campus.ask("DELETE", f"/v1/identity/links/{links[0]}", expect=204)
    revoked = campus.awarded(second, "grand-tour", "revoked")
    assert (revoked["id"], revoked["reason"]) == (certificate["id"], "input_voided")
    assert campus.credentials(old, "grand-tour") == [], "it belongs to the identity that tipped it"
    assert not clause(campus.explain(second, "grand-tour"), "on the first platform")["met"]

    campus.link(old, second)
    again = campus.awarded(old, "grand-tour", of=2)
    assert again["id"] != certificate["id"], "what was revoked stays revoked"
    assert states(campus.credential(certificate["id"])) == ["issued", "revoked"]
    assert campus.types_of(certificate["id"], 2) == ["credential.issued", "credential.revoked"]


def test_two_credentials_of_one_programme_both_stay_valid_when_their_learners_are_linked(campus: Campus) -> None:
    campus.publish(ALONE)
    one, other = mailbox("vera.one"), account("https://two.example.org", "vera")
    campus.send(*(said(who, "passed", "https://tour.example.org/course", "2025-05-01T12:00:00Z") for who in (one, other)))
    held = {campus.awarded(who, "day-trip")["id"] for who in (one, other)}
    assert len(held) == 2

    link = campus.link(one, other)
    assert {each["id"] for each in campus.credentials(one, "day-trip")} == held
    campus.ask("DELETE", f"/v1/identity/links/{link}", expect=204)
    assert len({each["id"] for who in (one, other) for each in campus.credentials(who, "day-trip")}) == 2
    assert {each["state"] for who in (one, other) for each in campus.credentials(who, "day-trip")} == {"issued"}
