"""The formats against the same rules said the plain way, on statements parsed whole; on made-up statements and, where they are at hand, on real ones."""
import json
import os
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.check import check
from services.core.errors import LrsError
from services.core.formats import Canonical, Ids, activities_in, rewritten
from services.core.languages import Languages
from tests.properties.test_splice import bracketed, statements

SAMPLES = Path(os.environ.get("TESTAMUR_TEST_SAMPLES") or Path(__file__).parents[2] / ".." / "shared" / "samples")
IFIS = ("mbox", "mbox_sha1sum", "openid", "account")
KNOWN: dict[str, Any] = {"name": {"sv": "Namn", "en-GB": "Name"}, "type": "https://example.org/known"}
SWEDISH = Languages("sv, en-GB;q=0.5")


def agent_ids(agent: dict[str, Any]) -> dict[str, Any]:
    kept = {name: agent[name] for name in ("objectType", *IFIS) if name in agent}
    return kept if any(name in agent for name in IFIS) else kept | {"member": [agent_ids(one) for one in agent["member"]]}


def as_ids(part: dict[str, Any]) -> dict[str, Any]:
    """Return a statement, SubStatement or context with the least that identifies."""
    plain: dict[str, Any] = {}
    for name, value in part.items():
        if name in {"actor", "authority", "instructor", "team", "agent", "group"} or (name == "object" and value.get("objectType") in {"Agent", "Group"}):
            plain[name] = agent_ids(value)
        elif name == "verb" or (name == "object" and value.get("objectType", "Activity") == "Activity"):
            plain[name] = {"id": value["id"]}
        elif name == "contextActivities":
            plain[name] = {relation: [{"id": one["id"]} for one in activities] for relation, activities in value.items()}
        elif name == "context" or (name == "object" and value["objectType"] == "SubStatement"):
            plain[name] = as_ids(value)
        elif name in {"contextAgents", "contextGroups"}:
            plain[name] = [as_ids(one) for one in value]
        else:
            plain[name] = value
    return plain


def one_language(found: dict[str, str]) -> dict[str, str]:
    return {tag: found[tag] for tag in [SWEDISH.best(found)]} if found else found


def as_canonical(part: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """Return a statement, SubStatement or context as those see it who read Swedish, where those activities are known to be `KNOWN`."""
    def activity(value: dict[str, Any]) -> dict[str, Any]:
        definition: dict[str, Any] | None = KNOWN if value["id"] in known else value.get("definition")
        if definition is None:
            return value
        told: dict[str, Any] = {name: one_language(one) if name in {"name", "description"} else one for name, one in definition.items()}
        for name in {"choices", "scale", "source", "target", "steps"} & told.keys():
            told[name] = [{**one, "description": one_language(one["description"])} if "description" in one else one for one in told[name]]
        return {**value, "definition": told}

    plain = dict(part)
    if "display" in plain.get("verb", {}):
        plain["verb"] = {**plain["verb"], "display": one_language(plain["verb"]["display"])}
    if "contextActivities" in plain:
        plain["contextActivities"] = {relation: [activity(one) for one in activities] for relation, activities in plain["contextActivities"].items()}
    if "context" in plain:
        plain["context"] = as_canonical(plain["context"], known)
    if plain.get("object", {}).get("objectType") == "SubStatement":
        plain["object"] = as_canonical(plain["object"], known)
    elif plain.get("object", {"objectType": ""}).get("objectType", "Activity") == "Activity":
        plain["object"] = activity(plain["object"])
    return plain


def compare(raw: bytes) -> None:
    """Compare both formats of a statement with the plain way."""
    whole = bracketed(json.loads(raw))
    ids = rewritten(raw, Ids())
    assert json.loads(ids) == as_ids(whole)
    assert rewritten(ids, Ids()) == ids
    iris = sorted(activities_in([raw]))
    for known in (set(iris), set(iris[:1]), set[str]()):
        form = Canonical({iri: [orjson.dumps(KNOWN)] for iri in known}, SWEDISH)
        seen = rewritten(raw, form)
        assert json.loads(seen) == as_canonical(whole, known)
        assert rewritten(seen, Canonical({iri: [orjson.dumps(KNOWN)] for iri in known}, SWEDISH)) == seen


@settings(max_examples=100, deadline=None)
@given(document=statements(), indent=st.sampled_from([None, 1]))
def test_both_formats_are_what_the_plain_way_gives(document: dict[str, Any], indent: int | None) -> None:
    compare(json.dumps(document, indent=indent).encode())


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample corpus is not here")
def test_both_formats_of_real_statements_are_what_the_plain_way_gives() -> None:
    compared = 0
    for raw in (SAMPLES / "valid.ndjson").read_bytes().splitlines():
        try:
            check(raw.strip(), "2.0.0")
        except LrsError:
            continue
        compare(raw.strip())
        compared += 1
    assert compared > 3000
