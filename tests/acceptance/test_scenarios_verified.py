"""Whatever the scenarios before this one had decided is decided again, and must say the same."""
from tests.servers.campus import Campus, mailbox, said

RULE = """
programme: https://example.org/programmes/last-steps
version: 1
title: Last steps
award: {type: Badge}
requires:
  all:
    - {label: the first course, statement: {verb: completed, activity: https://example.org/course/first}}
    - {label: the last course, statement: {verb: completed, activity: https://example.org/course/last}}
"""


def test_every_decision_of_the_scenarios_evaluated_again_says_the_same(campus: Campus) -> None:
    campus.publish(RULE)
    who = mailbox("una.last")
    campus.send(said(who, "completed", "https://example.org/course/last"), said(who, "completed", "https://example.org/course/first"))
    campus.awarded(who, "last-steps")

    ended = campus.system.command("doctor", "--decisions", "all")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "decisions evaluated again say the same" in ended.stdout
