"""What an explanation says in sentences: whether something was given, whether the rule is met, until when, and what the ledger's reasons mean."""
from typing import Any, NamedTuple

from services.core.rules.lacking import number
from services.core.rules.tree import Programme

_REASONS = {
    "input_voided": "a statement it rests on was taken back", "input_revoked": "a credential it rests on does not count any more",
    "lapsed": "time passed, and what it rests on does not count any more", "rule_changed": "the rule was changed, and the new one is not met",
}
_ENTRIES = {
    "issued": "given", "updated": "renewed or corrected", "expiring": "reminded that it ends", "suspended": "suspended", "reinstated": "in force again",
    "expired": "expired", "revoked": "revoked",
}
_IN_FORCE = frozenset({"issued", "updated", "reinstated"})
_FEW = 1e-6


class Headline(NamedTuple):
    """The first that a page says."""

    text: str
    good: bool
    until: str | None = None
    """Until when what is in force is good."""


def headline(said: dict[str, Any], programme: Programme) -> Headline:
    """Return whether an award is held; of a programme without an award, whether its rule is met."""
    met, awards = said["state"] == "satisfied", said["awards"]
    if programme.award is None and not awards:
        return Headline("Met" if met else "Not met", met)
    best = next((award for award in awards if award["state"] in _IN_FORCE), None)
    if best is not None:
        ends = [entry["valid_until"] for entry in best["history"] if entry["state"] in _IN_FORCE]
        return Headline("Awarded, in force", good=True, until=day(ends[-1]))
    if not awards:
        return Headline("Met, not awarded yet" if met else "Not awarded", good=False)
    state, history = awards[-1]["state"], awards[-1]["history"]
    return Headline(f"Awarded, but {state} on {day(history[-1]['since'])}", good=False)


def about_rule(said: dict[str, Any]) -> str:
    """Return in a sentence whether the rule is met, since when and until when."""
    if said["state"] == "unsatisfied":
        kept = " What was given stands all the same." if any(award["state"] in _IN_FORCE for award in said["awards"]) else ""
        how_far = f": {so_far(said['tree'])} so far" if is_counted(said["tree"]) else ""
        return f"What the rule asks for is not met{how_far}.{kept}"
    ends = f", but was good until {day(said['valid_until'])} only" if said["state"] == "expired" else ""
    lapses = f"; if nothing new comes, until {day(said['lapses_at'])}" if said["lapses_at"] else ""
    return f"What the rule asks for is met since {day(said['since'])}{ends}{lapses}."


def so_far(node: dict[str, Any]) -> str:
    """Return how much a clause has of what it wants."""
    amount = node["amount"]
    unit = amount["unit"].removesuffix("s") if amount["wanted"] == 1 else amount["unit"]
    return f"{number(amount['got'])} of {number(amount['wanted'])} {unit}"


def more(node: dict[str, Any]) -> str:
    """Return how much more a clause wants."""
    return number(max(node["amount"]["wanted"] - node["amount"]["got"], _FEW))


def share(node: dict[str, Any]) -> float:
    """Return what part of what it wants a clause has, at most 1."""
    return min(1.0, float(node["amount"]["got"] / node["amount"]["wanted"]))


def latest(node: dict[str, Any]) -> str | None:
    """Return when the last of what a clause rests on came, None where it rests on none itself."""
    times = [each["timestamp"] for each in node["statements"]] + [each["since"] for each in node.get("credentials") or []]
    return max(times, default=None)


def is_several(node: dict[str, Any]) -> bool:
    """Return whether more than one thing has to come for a clause, each of them."""
    return _lines(node) > 1


def _lines(node: dict[str, Any]) -> int:
    open_ = [child for child in node["of"] if child["again"] or not child["met"]] if node["op"] == "all" else []
    return sum(1 if child["again"] else _lines(child) for child in open_) if open_ else 1


def is_counted(node: dict[str, Any]) -> bool:
    """Return whether a clause wants more than one of something."""
    return bool(node["amount"]["wanted"] != 1 or node["amount"]["unit"] == "hours")


def reason(text: str | None) -> str:
    """Return why an entry was made: in words where the rule did it, as it was given where somebody did."""
    return _REASONS.get(text or "", text or "")


def entry(state: str) -> str:
    """Return what an entry of the ledger says."""
    return _ENTRIES[state]


def day(text: str | None) -> str:
    """Return a time as people read it: to the minute, in UTC."""
    return "no end date" if text is None else f"{text[:10]} {text[11:16]} UTC"


def agent(identified: dict[str, Any]) -> str:
    """Return how an agent is identified."""
    if "account" in identified:
        return f"{identified['account']['name']} at {identified['account']['homePage']}"
    return str(next((identified[member] for member in ("mbox", "openid", "mbox_sha1sum") if member in identified), "")).removeprefix("mailto:")
