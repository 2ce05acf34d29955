"""What an explanation says in sentences: whether something was given, whether the rule is met, until when, and what the ledger's reasons mean."""
from typing import Any, NamedTuple

from services.core.rules.lacking import number
from services.core.rules.tree import Programme

_REASONS = {
    "input_voided": "what it rests on was taken back: a statement was voided, or identities are one person no longer",
    "input_revoked": "a credential it rests on does not count any more",
    "lapsed": "its time was over", "rule_changed": "the rule was changed, and the new one is not met",
}
_ENTRIES = {
    "issued": "given", "updated": "renewed or corrected", "expiring": "reminded that it ends", "suspended": "suspended", "reinstated": "in force again",
    "expired": "expired", "revoked": "revoked",
}
_IN_FORCE = frozenset({"issued", "updated", "reinstated"})


class Headline(NamedTuple):
    """The first that a page says."""

    text: str
    good: bool
    until: str | None = None
    """Until when what is in force is good."""


def headline(said: dict[str, Any], programme: Programme, at: str) -> Headline:
    """Return whether an award is held `at` the moment of the explanation; of a programme without an award, whether its rule is met."""
    awards = said["awards"]
    if programme.award is None and not awards:
        met = said["state"] == "satisfied"
        return Headline("Met, but its time is over" if said["state"] == "expired" else "Met" if met else "Not met", met)
    held = [_end(award) for award in awards if award["state"] in _IN_FORCE]
    if held:
        end = None if None in held else max(filter(None, held))
        if end is not None and end <= at:
            return Headline(f"Awarded; its time was over on {day(end)}", good=False)
        return Headline("Awarded, in force", good=True, until=day(end))
    if not awards:
        return Headline("Met, not awarded yet" if said["state"] == "satisfied" else "Not awarded", good=False)
    state = awards[-1]["state"]
    since = next((entry["since"] for entry in reversed(awards[-1]["history"]) if entry["state"] == state), None)
    return Headline(f"Awarded, but {state}{f' on {day(since)}' if since else ''}", good=False)


def _end(award: dict[str, Any]) -> str | None:
    """Return until when an award that is in force is good."""
    end: str | None = next((entry["valid_until"] for entry in reversed(award["history"]) if entry["state"] in _IN_FORCE), None)
    return end


def about_rule(said: dict[str, Any]) -> str:
    """Return in a sentence whether the rule is met, since when and until when."""
    if said["state"] == "unsatisfied":
        kept = " What was given stands all the same." if any(award["state"] in _IN_FORCE for award in said["awards"]) else ""
        amount = said["tree"]["amount"]
        how_far = f": {so_far(said['tree'])} so far" if is_counted(said["tree"]) and amount["got"] < amount["wanted"] else ""
        return f"What the rule asks for is not met{how_far}.{kept}"
    ends = f", but was good until {day(said['valid_until'])} only" if said["state"] == "expired" else ""
    if not said["awards"] and said["valid_until"] and not ends:
        ends = f", good until {day(said['valid_until'])}"
    lapses = f"; if nothing new comes, until {day(said['lapses_at'])}" if said["lapses_at"] else ""
    return f"What the rule asks for is met since {day(said['since'])}{ends}{lapses}."


def so_far(node: dict[str, Any]) -> str:
    """Return how much a clause has of what it wants."""
    amount = node["amount"]
    unit = amount["unit"].removesuffix("s") if amount["wanted"] == 1 else amount["unit"]
    return f"{number(amount['got'])} of {number(amount['wanted'])} {unit}"


def share(node: dict[str, Any]) -> float:
    """Return what part of what it wants a clause has, at most 1."""
    return min(1.0, float(node["amount"]["got"] / node["amount"]["wanted"]))


def choice(node: dict[str, Any]) -> str:
    """Return how many of its parts a clause wants still, of those that a page lists under it."""
    if node["op"] == "all":
        again = "; what came before may have to come again" if ", within " in node["asks"] else ""
        return f"{node['asks']}{again}"
    amount = node["amount"]
    if amount["unit"] != "parts":
        return f"{number(amount['wanted'])} of these, of {number(amount['wanted'])} different issuers; {number(amount['got'])} so far"
    more = number(amount["wanted"] - amount["got"])
    return f"any {'one' if more == '1' else more} of these"


def open_parts(node: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Return the parts to list under what a clause wants, each with the one before it: those not met or too early; to choose from by issuer, all."""
    before = [None, *node["of"]]
    all_of_them = node["amount"]["unit"] != "parts"
    return [(child, before[place]) for place, child in enumerate(node["of"]) if all_of_them or child["again"] or not child["met"]]


def latest(node: dict[str, Any]) -> str | None:
    """Return when the last of what a clause rests on came, None where it rests on none itself."""
    times = [each["timestamp"] for each in node["statements"]] + [each["since"] for each in node.get("credentials") or []]
    return max(times, default=None)


def is_counted(node: dict[str, Any]) -> bool:
    """Return whether a clause wants more than one of something."""
    return bool(node["amount"]["wanted"] != 1 or node["amount"]["unit"] == "hours")


def standing(state: str) -> str:
    """Return what became of an award."""
    return "in force" if state in _IN_FORCE else state


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
