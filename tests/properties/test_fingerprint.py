"""A fingerprint sees what a statement says and not how it is written."""

from copy import deepcopy
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.fingerprint import canonical, fingerprint
from tests.factories import activity, actor, rich_statement, statement

EXCEPTED = {"id", "authority", "stored", "version", "display", "definition"}


def shuffled(node: Any, order: Any) -> Any:
    """Return the same JSON with the members of every object in another order."""
    if isinstance(node, dict):
        items = list(node.items())
        order.shuffle(items)
        return {key: shuffled(value, order) for key, value in items}
    return [shuffled(value, order) for value in node] if isinstance(node, list) else node


def leaves(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(node, dict | list):
        pairs = node.items() if isinstance(node, dict) else enumerate(node)
        return [leaf for key, value in pairs for leaf in leaves(value, (*path, key))]
    return [path] if path[-1] != "objectType" else []


def whole() -> dict[str, Any]:
    sub = {"objectType": "SubStatement", **rich_statement(2, id=None, version=None)}
    return rich_statement(
        object=sub,
        context={"contextActivities": {"parent": [activity("p")]}, "team": {"objectType": "Group", "mbox": "mailto:team@example.org", "member": [actor()]}},
        stored="2026-05-01T12:00:00Z",
        authority=actor("lrs"),
    )


@settings(max_examples=60, deadline=None)
@given(order=st.randoms(use_true_random=False))
def test_the_order_of_keys_and_group_members_does_not_count(order: Any) -> None:
    there = whole()
    order.shuffle(there["object"]["context"]["team"]["member"])
    assert fingerprint(shuffled(there, order)) == fingerprint(whole())


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_another_value_of_one_leaf_counts_unless_it_is_excepted(data: st.DataObject) -> None:
    there = whole()
    path = data.draw(st.sampled_from(leaves(there)))
    node: Any = there
    for step in path[:-1]:
        node = node[step]
    old = node[path[-1]]
    node[path[-1]] = (not old) if isinstance(old, bool) else old + 0.125 if isinstance(old, int | float) else _other(path[-1], old)
    changed = fingerprint(there) != fingerprint(whole())
    inside = [step for step in path if isinstance(step, str)]
    excepted = inside[0] in ("id", "authority", "stored", "version") or "definition" in inside or (inside[-2:-1] == ["display"] and "verb" in inside)
    assert changed != excepted, path


def _other(key: Any, old: str) -> str:
    return "2001-01-01T00:00:00Z" if key == "timestamp" else old + "x"


@settings(max_examples=100, deadline=None)
@given(number=st.one_of(st.integers(-(2**53) + 1, 2**53 - 2), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_number_counts_by_its_value(number: float) -> None:
    def of(value: float) -> bytes:
        return fingerprint(statement(result={"extensions": {"https://e.org/x": [value]}}))

    assert of(number) == of(float(number))
    assert (of(number) == of(number + 1)) == (float(number) == float(number + 1))


@settings(max_examples=60, deadline=None)
@given(order=st.randoms(use_true_random=False))
def test_the_canonical_form_is_its_own_canonical_form_but_for_the_timestamp(order: Any) -> None:
    first = canonical({key: value for key, value in shuffled(whole(), order).items() if key not in ("timestamp", "object")} | {"object": activity()})
    assert canonical(deepcopy(first)) == first
    assert orjson.loads(orjson.dumps(first)) == first
