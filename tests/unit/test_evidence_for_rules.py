"""The facts of a statement that only rules ask for: kind, context activities, artifacts, measures, mastery."""
from typing import Any

import pytest

from services.core.evidence import Facts, evidence_of, pack, unpack
from services.core.keys import key64
from services.core.related import MOST_RELATED
from services.core.result import MOST_MEASURES
from services.core.vocabulary import SIGNATURE

ADL = "http://adlnet.gov/expapi/"
MASTERY = "https://w3id.org/xapi/cmi5/context/extensions/masteryscore"


def facts(**members: Any) -> Facts:
    statement = {"actor": {"openid": "https://o.example/a"}, "verb": {"id": ADL + "verbs/passed"}, "object": {"id": "https://a.example/x"}, **members}
    found = evidence_of(statement, ifi="openid:https://o.example/a", stored=10**12, authority="mbox:mailto:a@b.example", scopes=())
    assert found is not None
    assert unpack(pack(found.facts)) == found.facts
    return found.facts


def context(**activities: Any) -> dict[str, Any]:
    return {"contextActivities": activities}


def named(*names: str) -> list[dict[str, str]]:
    return [{"id": f"https://a.example/{name}"} for name in names]


def keys(*names: str) -> tuple[int, ...]:
    return tuple(key64(f"https://a.example/{name}") for name in names)


def test_a_statement_that_says_no_more_has_none_of_them() -> None:
    said = facts()
    assert (said.kind, said.under, said.category, said.other, said.artifacts, said.measures, said.mastery) == (None, (), (), (), 0, None, None)


@pytest.mark.parametrize(("type_", "kind"), [(ADL + "activities/course", "course"), ("https://x.example/odd", "https://x.example/odd")])
def test_the_kind_is_that_of_its_own_definition(type_: str, kind: str) -> None:
    assert facts(object={"id": "https://a.example/x", "definition": {"type": type_}}).kind == kind


def test_context_activities_are_kept_by_what_they_are_to_the_statement_each_once() -> None:
    said = facts(context=context(parent=named("p", "q"), grouping=named("g", "p"), category=named("c", "c"), other=named("o")))
    assert (said.under, said.category, said.other) == (keys("p", "q", "g"), keys("c"), keys("o"))
    assert facts(context=context(grouping=named("g"))).under == keys("g")
    assert facts(context=context(parent=[], category={"id": "https://a.example/lone"})).category == keys("lone")


def test_of_very_many_context_activities_the_first_are_kept() -> None:
    many = [f"{number}" for number in range(300)]
    said = facts(context=context(parent=named(*many[:200]), category=named(*many[:40]), other=named(*many)))
    assert (len(said.under), len(said.category), len(said.other)) == (200, 40, MOST_RELATED - 240)
    said = facts(context=context(parent=named(*many), category=named("c"), other=named("o")))
    assert (said.under, said.category, said.other) == (keys(*many[:MOST_RELATED]), (), ())


def test_artifacts_are_attachments_that_are_no_signature() -> None:
    attached = [{"usageType": SIGNATURE}, {"usageType": "https://a.example/photo"}, {"usageType": "https://a.example/photo"}]
    assert facts(attachments=attached).artifacts == 2
    assert facts(attachments=attached[:1]).artifacts == 0
    assert facts(attachments=attached[:1]).attachments


def test_measures_are_the_numbers_among_extensions_in_exact_millionths() -> None:
    result = {"extensions": {"https://a.example/ects": 7.5, "https://a.example/tiny": 0.0000014, "https://a.example/text": "3", "https://a.example/flag": True}}
    said = facts(result=result, context={"extensions": {"https://a.example/ects": 99, "https://a.example/steps": -3, "https://a.example/vast": 10**13}})
    assert said.measures == {
        key64("https://a.example/ects"): 7_500_000, key64("https://a.example/tiny"): 1, key64("https://a.example/steps"): -3_000_000}


def test_of_very_many_measures_the_first_are_kept() -> None:
    many = {f"https://a.example/{number}": number for number in range(50)}
    said = facts(result={"extensions": many})
    assert said.measures == {key64(f"https://a.example/{number}"): number * 10**6 for number in range(MOST_MEASURES)}


@pytest.mark.parametrize(("sent", "kept"), [(0.8, 0.8), (1, 1.0), (0, 0.0), (1.2, None), ("0.8", None), (True, None), (None, None)])
def test_the_mastery_score_of_a_launch_is_kept_if_it_is_one(sent: Any, kept: float | None) -> None:
    assert facts(context={"extensions": {MASTERY: sent}}).mastery == kept
