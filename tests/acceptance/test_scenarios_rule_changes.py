"""A rule is tightened: who would lose is known before it is published, and what was awarded is kept or judged again, as the rule says."""
import csv
import json
from pathlib import Path

import pytest

from tests.servers.campus import Campus, mailbox, said, scored, states


def rule(policy: str, version: int, least: float) -> str:
    return f"""
programme: https://exams.example.org/programmes/driving-{policy}
version: {version}
title: Driving theory ({policy})
award: {{type: Certificate}}
requires: {{label: at least {least}, statement: {{verb: passed, activity: https://exams.example.org/driving-{policy}, score_gte: {least}}}}}
on: {{rule_changed: {policy}}}
"""


@pytest.mark.parametrize("policy", ["keep", "reevaluate"])
def test_a_tightened_rule_is_previewed_published_and_follows_its_policy(campus: Campus, policy: str, tmp_path: Path) -> None:
    slug, exam = f"driving-{policy}", f"https://exams.example.org/driving-{policy}"
    good, fair, late = (mailbox(f"{name}.{policy}") for name in ("good", "fair", "late"))
    campus.publish(rule(policy, 1, 0.5))
    campus.send(said(good, "passed", exam, "2025-01-01T12:00:00Z", result=scored(0.9)), said(fair, "passed", exam, "2025-01-02T12:00:00Z", result=scored(0.6)))
    held = {campus.awarded(who, slug)["id"]: who for who in (good, fair)}
    loser = campus.learner(fair)

    tightened = campus.written(f"{slug}.yaml", rule(policy, 2, 0.8))
    told, table = campus.preview(rule(policy, 2, 0.8)), tmp_path / "change.csv"
    previewed = campus.run("programme", "preview", tightened, "--json", "--csv", str(table))
    assert previewed.returncode == 0, previewed.stderr
    by_command = json.loads(previewed.stdout)
    assert (told["gain"], told["lose"]) == ([], [loser]), "whoever does not meet it is named, whatever becomes of them"
    assert (by_command["gain"], [each["id"] for each in by_command["lose"]], by_command["policy"]) == ([], [loser], policy)
    assert by_command["same"] == told["same"] > 0
    with table.open(encoding="utf-8", newline="") as file:
        assert [(row["change"], row["learner"], row["name"]) for row in csv.DictReader(file)] == [("lose", loser, fair["name"])]
    assert [each["state"] for each in campus.credentials(fair, slug)] == ["issued"], "a preview changes nothing"

    published = campus.run("programme", "publish", tightened)
    assert published.returncode == 0, published.stdout + published.stderr
    assert campus.publish(rule(policy, 2, 0.8), expect=409)["detail"]
    campus.send(said(late, "passed", exam, "2025-02-01T12:00:00Z", result=scored(0.6)))
    [_, event] = campus.told(2, lambda event: event["data"]["programme"].endswith(slug), type="rule.published")
    assert event["data"]["programme_version"] == 2
    assert event["data"]["programme"] == f"https://exams.example.org/programmes/{slug}"

    if policy == "keep":
        campus.send(said(late, "passed", exam, "2025-02-02T12:00:00Z", result=scored(0.85)))
        assert campus.awarded(late, slug)["version"] == 2
        assert [each["version"] for who in (good, fair) for each in campus.credentials(who, slug)] == [1, 1]
        assert {each["state"] for who in (good, fair) for each in campus.credentials(who, slug)} == {"issued"}
        return
    revoked = campus.awarded(fair, slug, "revoked")
    assert (revoked["reason"], held[revoked["id"]]) == ("rule_changed", fair)
    assert states(campus.credential(revoked["id"])) == ["issued", "revoked"]
    assert campus.types_of(revoked["id"], 2) == ["credential.issued", "credential.revoked"]
    [kept] = campus.credentials(good, slug)
    assert held[kept["id"]] == good
    assert kept["state"] in {"issued", "updated"}
    assert not campus.explain(late, slug)["tree"]["met"]
    assert campus.credentials(late, slug) == []


def test_a_loosened_rule_says_who_would_gain(campus: Campus) -> None:
    exam, wes = "https://exams.example.org/cycling", mailbox("wes.close")
    text = rule("keep", 1, 0.9).replace("driving-keep", "cycling")
    campus.publish(text)
    campus.send(said(wes, "passed", exam, result=scored(0.8)))

    looser = text.replace("version: 1", "version: 2").replace("0.9", "0.75")
    ended = campus.run("programme", "preview", campus.written("cycling.yaml", looser))

    assert ended.returncode == 0, ended.stderr
    assert "1 learner would gain" in ended.stdout
    assert "Wes Close" in ended.stdout
    assert campus.preview(looser)["gain"] == [campus.learner(wes)]
    campus.publish(looser)
    assert campus.awarded(wes, "cycling")["version"] == 2


def test_a_rule_that_cannot_be_read_is_refused_where_it_is_wrong(campus: Campus) -> None:
    text = rule("keep", 1, 0.5).replace("driving-keep", "skating").replace("score_gte", "score_gtr")
    file = campus.written("skating.yaml", text)

    checked = campus.system.command("programme", "check", file)
    published = campus.run("programme", "publish", file)
    refused = campus.publish(text, expect=400)

    line = next(number for number, each in enumerate(text.splitlines(), 1) if "score_gtr" in each)
    assert (checked.returncode, published.returncode) == (1, 1)
    assert checked.stdout.startswith(f"{file}:{line}: ")
    assert "score_gtr" in checked.stdout
    assert "(/requires/statement" in checked.stdout
    assert published.stdout == checked.stdout
    assert refused["pointer"].startswith("/requires/statement")
