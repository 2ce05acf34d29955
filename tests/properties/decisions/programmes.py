"""The programmes that histories publish: each operator, each policy that issues and takes back by itself, windows of seconds so that log time crosses them."""
from typing import Any

HOME = "https://programmes.example.org/"
ACTIVITIES = {name: f"https://activities.example.org/{name}" for name in ("algebra", "logic", "proofs", "workshop", "talk", "exam")}
COURSE = "https://activities.example.org/course"
AUTHORITIES = ("https://assessors.example.org/one", "https://assessors.example.org/two")
HOURS = "https://w3id.org/testamur/ext/pd-hours"


def _programme(slug: str, version: int, requires: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "programme": HOME + slug, "version": version, "title": slug, "award": {"type": "Certificate", "id": f"{HOME}achievements/{slug}"},
        "requires": requires, **more,
    }


def _passed(activity: str, **more: Any) -> dict[str, Any]:
    return {"statement": {"verb": "passed", "activity": ACTIVITIES[activity], **more}}


def _badge(slug: str, **more: Any) -> dict[str, Any]:
    return {"credential": {"achievement": f"{HOME}achievements/{slug}", **more}}


PROGRAMMES: dict[str, list[dict[str, Any]]] = {
    "plain": [
        _programme("plain", 1, _passed("algebra")),
        _programme("plain", 2, _passed("algebra", score_gte=0.8), on={"rule_changed": "reevaluate"}),
        _programme("plain", 3, {"any": [_passed("algebra"), _passed("logic")]}, on={"rule_changed": "reevaluate"}),
    ],
    "verified": [
        _programme("verified", 1, {"all": [_passed("algebra", identity="verified"), _passed("logic")]}),
        _programme("verified", 2, {"at_least": {"n": 2, "of": [_passed("algebra", identity="verified"), _passed("logic"), _passed("proofs")]}},
                   on={"rule_changed": "reevaluate"}),
    ],
    "ordered": [_programme("ordered", 1, {"all": [_passed("algebra"), _passed("logic"), _passed("proofs")], "sequence": True, "within": "PT20S"})],
    "built": [_programme("built", 1, {"all": [_badge("plain"), _passed("exam")]}), _programme("built", 2, _badge("plain"), on={"rule_changed": "reevaluate"})],
    "tower": [_programme("tower", 1, {"any": [_badge("built"), {"credential": {"achievement": f"{HOME}achievements/hours"}}]})],
    "hours": [
        _programme("hours", 1, {"sum": {"of": HOURS, "at_least": 5, "window": {"last": "PT12S"}, "cap_each": 3, "distinct": "activity"}},
                   validity={"until": "lapse"}),
    ],
    "term": [
        _programme("term", 1, _passed("exam"), validity={"for": "PT9S"}, renewal={"open": "PT3S", "grace": "PT2S"}),
    ],
    "leaning": [_programme("leaning", 1, {"any": [_badge("term"), _passed("proofs")]}, validity={"until": "lapse"})],
    "once": [_programme("once", 1, {"all": [_badge("term", status="issued"), _passed("logic")]}, on={"input_voided": "suspend"})],
    "held": [
        _programme("held", 1, {"statement": {"verb": "assessed", "activity": ACTIVITIES["workshop"], "count": 2, "distinct": "authority"}},
                   on={"input_voided": "suspend"}),
    ],
    "satisfied": [{key: value for key, value in _programme("satisfied", 1, {"statement": {"verb": "passed", "count": 2, "distinct": "activity"}}).items()
                   if key != "award"}],
}
