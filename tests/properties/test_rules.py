"""The rules say what a naive reading of the language says, at every instant, of small programmes and histories; and keep what they promise of themselves."""
import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import orjson
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings

from services.core import vocabulary
from services.core.rules import language
from services.core.rules.calendar import FIRST, LAST
from services.core.rules.evaluate import evaluate
from services.core.rules.facts import NOTHING, Evidence
from services.core.rules.outcome import Explained, Outcome
from services.core.rules.wake_keys import key_of_programme, keys_of, keys_of_award, keys_of_fact
from tests.properties.rules_bugs import AWARDS, BUGS, FOR, PLAIN, SEQUENCE, SUM, UNITS, WINDOW
from tests.properties.rules_programmes import Focus
from tests.properties.rules_world import World, worlds

SOAK = bool(os.environ.get("TESTAMUR_SOAK"))
pytestmark = pytest.mark.timeout(3600 if SOAK else 300)
CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
MANY, FEWER = (settings(max_examples=10_000 if SOAK else many, deadline=None, suppress_health_check=CHECKS) for many in (200, 60))
UNTIL_FOUND = settings(max_examples=2_000, deadline=None, phases=[Phase.generate], derandomize=True, database=None, suppress_health_check=CHECKS)
"""The same examples each time, as many as it takes."""


class Broken(Exception):
    """A promise is broken."""


def agree(world: World) -> None:
    """Raise Broken if there is an instant of which the services say another thing, or a change that they do not foresee."""
    reading = world.reading()
    for as_of in world.instants():
        found, expected = world.outcome(as_of), reading.answer(as_of)
        if (found.met, found.since, found.valid_until, found.expired) != (expected.met, expected.since, expected.valid_until, expected.expired):
            raise Broken(f"at {as_of}: {found} is not {expected}")
        change, foreseen = reading.next_change(as_of), found.next_change_at
        if (foreseen is not None and foreseen <= as_of) or (change is not None and (foreseen is None or foreseen > change)):
            raise Broken(f"at {as_of}: the next change is at {change}, not at {foreseen}")


def is_monotone(world: World) -> None:
    """Raise Broken if the rule is unmet with all evidence where it is met with some of it."""
    ids = [each["id"] for each in (*world.facts, *world.awards)]
    some = world.without(random.Random(world.pick).sample(ids, len(ids) // 2))
    for as_of in world.instants():
        if some.outcome(as_of).met and not world.outcome(as_of).met:
            raise Broken(f"at {as_of}: more evidence unmeets it")


def rests_on_its_inputs(world: World) -> None:
    """Raise Broken if the inputs are not enough to be met, since the same instant where time alone takes nothing away."""
    lasting = not world.read.has_window and all(award["ended"] is None and award["valid_until"] is None for award in world.awards)
    for as_of in world.instants():
        found = world.outcome(as_of)
        inputs = {str(each.id) for each in found.inputs}
        only = world.without([each["id"] for each in (*world.facts, *world.awards) if each["id"] not in inputs]).outcome(as_of)
        if only.met != found.met or (lasting and only.since != found.since) or bool(inputs) != found.met:
            raise Broken(f"at {as_of}: {found.inputs} are not what {found} rests on")
        if any(each.at > as_of for each in found.inputs) or found.tipping != max(found.inputs, key=lambda each: (each.at, each.seq), default=None):
            raise Broken(f"at {as_of}: {found.tipping} of {found.inputs}")


def wakes_for_what_it_reads(world: World) -> None:
    """Raise Broken if a fact or an award changes the outcome of a programme that none of its keys wakes."""
    ours = set(keys_of(world.read, world.structures))
    facts, awards = world.known
    keys = {str(fact.statement): set(keys_of_fact(fact.said, fact.activity, vocabulary.verb(fact.said.verb))) for fact in facts}
    keys |= {str(award.credential): set(keys_of_award(award)) for award in awards}
    rest = world.without([id_ for id_, answered in keys.items() if ours.isdisjoint(answered)])
    for as_of in world.instants() if rest != world else ():
        if rest.outcome(as_of) != world.outcome(as_of):
            raise Broken(f"at {as_of}: {world.programme} was not woken")


def look(promise: Callable[[World], None], focus: Focus) -> None:
    """Look for a world in which a promise is broken."""
    UNTIL_FOUND(given(worlds(focus))(promise))()


@MANY
@given(worlds())
def test_rules_say_what_the_naive_reading_says(world: World) -> None:
    agree(world)


@MANY
@given(worlds())
def test_the_inputs_are_enough_and_the_last_of_them_tips(world: World) -> None:
    rests_on_its_inputs(world)


@MANY
@given(worlds())
def test_more_evidence_never_unmeets(world: World) -> None:
    is_monotone(world)


@MANY
@given(worlds())
def test_what_shares_no_key_with_a_programme_changes_nothing_of_it(world: World) -> None:
    wakes_for_what_it_reads(world)


@MANY
@given(worlds())
def test_nobody_of_whom_nothing_is_known_meets_a_rule(world: World) -> None:
    assert not any(evaluate(world.read, NOTHING, world.structures, as_of).met for as_of in (FIRST, 0, LAST))


@FEWER
@given(worlds())
def test_the_order_in_which_evidence_comes_does_not_matter(world: World) -> None:
    facts, awards = list(world.known[0]), list(world.known[1])
    for as_of in world.instants(4):
        expected = world.outcome(as_of)
        for seed in (1, 2):
            random.Random(seed).shuffle(facts)
            random.Random(seed).shuffle(awards)
            assert evaluate(world.read, Evidence(facts, awards), world.structures, as_of, world.last_end) == expected


@FEWER
@given(worlds())
def test_progress_is_whole_and_nothing_lacking_if_and_only_if_a_node_is_met(world: World) -> None:
    for as_of in world.instants(4):
        found = world.outcome(as_of)
        assert (found.met, found.progress) == (found.tree.met, found.tree.progress)
        for node in _within(found.worded):
            assert 0 <= node.progress <= 1
            assert (node.progress == 1) is node.met
            assert (node.lacks is None) is node.met
            assert node.of or (node.amount.got >= node.amount.wanted) is node.met


@FEWER
@given(worlds())
def test_a_programme_in_yaml_is_the_same_in_json(world: World) -> None:
    text = yaml.safe_dump(world.programme, sort_keys=False)
    unquoted = re.sub(r"'(\d{4}-\d\d-\d\d[^']*)'", r"\1", text)
    assert language.parse(text) == language.parse(unquoted) == language.parse(orjson.dumps(world.programme))


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_in_an_operator_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS[bug].plant(monkeypatch)
    with pytest.raises(Broken):
        look(agree, BUGS[bug].focus)


@pytest.mark.parametrize(("focus", "said"), [
    (WINDOW, lambda _: None), (WINDOW, lambda found: found.next_change_at and found.next_change_at + 1), (FOR, lambda found: found.valid_until),
    (FOR, lambda found: found.lapse), (replace(WINDOW, nodes=("sequence",)), lambda found: found.next_change_at if found.met else None),
], ids=["none", "late", "validity alone", "lapse alone", "of what is met alone"])
def test_a_change_that_is_not_foreseen_is_found(focus: Focus, said: Callable[[Outcome], int | None], monkeypatch: pytest.MonkeyPatch) -> None:
    right = World.outcome
    monkeypatch.setattr(World, "outcome", lambda self, as_of: replace(found := right(self, as_of), next_change_at=said(found)))
    with pytest.raises(Broken):
        look(agree, focus)


@pytest.mark.parametrize("focus", [PLAIN, SEQUENCE, SUM, AWARDS, UNITS], ids=["statement", "sequence", "sum", "credential", "cmi5"])
def test_an_input_that_is_left_out_is_found(focus: Focus, monkeypatch: pytest.MonkeyPatch) -> None:
    right = World.outcome
    monkeypatch.setattr(World, "outcome", lambda self, as_of: replace(found := right(self, as_of), rest=lambda: found.inputs[1:]))
    with pytest.raises(Broken):
        look(rests_on_its_inputs, focus)


@pytest.mark.parametrize("focus", [PLAIN, SUM, AWARDS, UNITS], ids=["statement", "sum", "credential", "cmi5"])
def test_keys_that_are_left_out_are_found(focus: Focus, monkeypatch: pytest.MonkeyPatch) -> None:
    right = keys_of
    monkeypatch.setitem(globals(), "keys_of", lambda programme, courses: sorted(right(programme, courses) - {key_of_programme(programme.iri)})[1::2])
    with pytest.raises(Broken):
        look(wakes_for_what_it_reads, focus)


def _within(node: Explained) -> Iterator[Explained]:
    yield node
    for child in node.of:
        yield from _within(child)
