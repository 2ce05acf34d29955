"""Credentials built on credentials: seven courses in order, of which one is revoked; and a city's summer of badges from many organisations."""
from typing import Any

from tests.servers.campus import Campus, mailbox, said, states

COURSES = [f"cs-{number}" for number in range(1, 8)]


def of_course(name: str) -> str:
    return f"""
programme: https://institute.example.org/programmes/{name}
version: 1
title: Certificate of {name}
issuer: institute
award: {{type: Certificate, id: https://institute.example.org/achievements/{name}}}
requires: {{label: passed {name}, statement: {{verb: passed, activity: https://institute.example.org/course/{name}}}}}
"""


SEQUENCE = """
programme: https://institute.example.org/programmes/foundations
version: 1
title: Foundations of Computer Science
issuer: institute
award: {type: Certificate}
requires:
  label: seven certificates in order
  sequence: true
  all:
""" + "".join(f"""    - {{label: {name}, credential: {{achievement: https://institute.example.org/achievements/{name}, issuer: institute}}}}
""" for name in COURSES) + """
on: {input_revoked: revoke}
"""


def passes(who: dict[str, Any], order: list[str]) -> list[dict[str, Any]]:
    """Return statements that somebody passed courses, one a month."""
    return [said(who, "passed", f"https://institute.example.org/course/{name}", f"2023-{month:02}-10T09:00:00Z") for month, name in enumerate(order, 1)]


def test_seven_certificates_in_order_make_an_eighth_that_falls_with_any_of_them(campus: Campus) -> None:
    institute = {"name": "The Institute", "url": "https://institute.example.org", "email": "office@institute.example.org"}
    campus.ask("PUT", "/v1/issuers/institute", institute, expect=204)
    for name in COURSES:
        campus.publish(of_course(name))
    campus.publish_by_command(SEQUENCE)
    alan, kurt = mailbox("alan.ordered"), mailbox("kurt.disordered")

    campus.send(*passes(alan, COURSES), *passes(kurt, [*COURSES[:5], COURSES[6], COURSES[5]]))
    foundations = campus.awarded(alan, "foundations")
    certificates = {name: campus.awarded(alan, name) for name in COURSES}
    assert foundations["awarded_at"].startswith("2023-07-10")
    assert [certificates[name]["awarded_at"][:7] for name in COURSES] == [f"2023-0{month}" for month in range(1, 8)]
    met = campus.explain(alan, "foundations")
    assert [child["label"] for child in met["tree"]["of"]] == COURSES

    for name in COURSES:
        campus.awarded(kurt, name)
    out_of_order = campus.explain(kurt, "foundations")
    assert all(child["met"] for child in out_of_order["tree"]["of"])
    assert not out_of_order["tree"]["met"], "each is there, but not one after the other"
    assert campus.credentials(kurt, "foundations") == []

    fourth = certificates["cs-4"]["id"]
    answer = campus.office.post(f"/v1/credentials/{fourth}/revoke", json={"reason": "copied from a neighbour"})
    assert answer.is_success, answer.text
    revoked = campus.awarded(alan, "foundations", "revoked")
    assert (revoked["id"], revoked["reason"]) == (foundations["id"], "input_revoked")
    assert campus.credential(fourth)["reason"] == "copied from a neighbour"
    assert states(campus.credential(fourth)) == ["issued", "revoked"]
    assert campus.credentials(alan, "cs-5")[0]["state"] == "issued"
    both = campus.told(2, lambda event: event["data"]["credential"].endswith((fourth, foundations["id"])), type="credential.revoked")
    assert [event["data"]["credential"].rsplit("/", 1)[-1] for event in both] == [fourth, foundations["id"]], "the cause is told before its effect"

    campus.send(said(alan, "passed", "https://institute.example.org/course/cs-4", "2024-01-10T09:00:00Z"))
    again = campus.awarded(alan, "cs-4", of=2)
    assert again["id"] != fourth
    late = campus.explain(alan, "foundations")
    assert not late["tree"]["met"], "the fifth was earned before this fourth"


ORGANISATIONS = ("museum", "library", "parks", "youthmedia")
BADGES = {"fossils": "museum", "stars": "museum", "robots": "library", "birds": "parks", "radio": "youthmedia"}


def of_badge(name: str, organisation: str) -> str:
    return f"""
programme: https://{organisation}.example.org/programmes/badge-{name}
version: 1
title: Badge of {name}
issuer: {organisation}
award: {{type: Badge, alignment: [{{targetName: STEM, targetUrl: https://city.example.org/framework/stem}}]}}
requires: {{label: took part in {name}, statement: {{verb: completed, activity: https://{organisation}.example.org/{name}}}}}
"""


SUMMER = """
programme: https://city.example.org/programmes/summer-2013
version: 1
title: City explorer, summer 2013
award: {type: Badge}
requires:
  label: three badges of the city's framework from three organisations
  credential:
    alignment: https://city.example.org/framework/stem
    issuer_in: [https://museum.example.org, https://library.example.org, https://parks.example.org, https://youthmedia.example.org]
    since: 2013-06-01
    until: 2013-09-01
    count: 3
    distinct: issuer
on: {input_revoked: keep}
"""


def took_part(who: dict[str, Any], name: str, day: str) -> dict[str, Any]:
    return said(who, "completed", f"https://{BADGES[name]}.example.org/{name}", f"{day}T15:00:00Z")


def test_a_city_s_summer_is_any_three_badges_of_three_organisations_and_is_kept(campus: Campus) -> None:
    for name in ORGANISATIONS:
        campus.ask("PUT", f"/v1/issuers/{name}", {"name": f"The {name}", "url": f"https://{name}.example.org"}, expect=204)
    campus.publish_by_command(SUMMER)
    for name, organisation in BADGES.items():
        campus.publish(of_badge(name, organisation))
    maya, leo = mailbox("maya.summer"), mailbox("leo.autumn")

    campus.send(took_part(maya, "fossils", "2013-06-10"), took_part(maya, "stars", "2013-06-20"), took_part(maya, "robots", "2013-07-01"),
                took_part(leo, "fossils", "2013-06-10"), took_part(leo, "robots", "2013-07-01"), took_part(leo, "birds", "2013-10-01"))
    for who, badge in ((maya, "fossils"), (maya, "stars"), (maya, "robots"), (leo, "birds")):
        campus.awarded(who, f"badge-{badge}")
    two_of_three = campus.explain(maya, "summer-2013")
    assert not two_of_three["tree"]["met"]
    assert round(two_of_three["tree"]["progress"], 3) == 0.667, "two badges of one museum are one organisation"

    campus.send(took_part(maya, "radio", "2013-08-20"))
    explorer = campus.awarded(maya, "summer-2013")
    assert explorer["awarded_at"].startswith("2013-08-20")
    assert campus.credentials(leo, "summer-2013") == [], "October is no summer"

    robots = campus.awarded(maya, "badge-robots")["id"]
    assert campus.office.post(f"/v1/credentials/{robots}/revoke", json={"reason": "the library made a mistake"}).is_success
    campus.awarded(maya, "badge-robots", "revoked")
    assert not campus.explain(maya, "summer-2013")["tree"]["met"]
    assert [each["state"] for each in campus.credentials(maya, "summer-2013")] == ["issued"], "the rule says: keep"
    assert campus.types_of(explorer["id"], 1) == ["credential.issued"]
