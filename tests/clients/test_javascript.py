"""The clients for JavaScript, under Node."""
import pytest

from tests.clients.conftest import Account, Play


def test_tincanjs_works_unchanged(play: Play, account: Account) -> None:
    seen = play("tincanjs.cjs", endpoint=account.endpoint, key=account.key, secret=account.secret, marker=account.marker)

    assert seen["versions"] == ["1.0.3"]
    assert (seen["saved"], seen["batch"], seen["pages"], seen["filtered"]) == (True, 3, [2, 2], 1)
    assert (seen["attachment"], seen["voided"]) == (True, True)
    assert seen["state"] == [{"page": 1}, "application/json", True]
    assert seen["merged"] == {"page": 1, "seen": True}
    assert (seen["staleState"], seen["states"], seen["dropped"]) == (412, ["bookmark"], None)
    for kind in ("ActivityProfile", "AgentProfile"):
        assert seen[kind] == {"text": "first", "unseen": 412, "ids": ["notes"], "changed": "second", "dropped": None}
    assert seen["activity"] == {"en-US": "Compilers"}


@pytest.mark.parametrize("adapter", ["axios", "fetch"])
@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
def test_xapi_js_works_unchanged_in_both_versions(play: Play, account: Account, version: str, adapter: str) -> None:
    seen = play("xapi.cjs", endpoint=account.endpoint, key=account.key, secret=account.secret, marker=account.marker, version=version, adapter=adapter)

    assert seen["about"] == [200, True, version]
    assert seen["saved"] == [True, version]
    assert (seen["batch"], seen["pages"], seen["filtered"]) == (2, [2, 1], 1)
    assert seen.get("attachment") == ([True, "a certificate"] if adapter == "fetch" else None)
    assert (_says(seen["gone"], 404), seen["voided"]) == (True, True)
    assert seen["state"] == [{"page": 1}, True]
    assert (seen["changed"], _says(seen["stale"], 412), seen["states"], _says(seen["deleted"], 404)) == ({"page": 2}, True, ["bookmark"], True)
    for kind in ("ActivityProfile", "AgentProfile"):
        document, ids, refused, gone = seen[kind]
        assert (document, ids, _says(refused, 412), _says(gone, 404)) == ({"colour": "red", "size": 1}, ["notes"], True, True)
    assert seen["agent"] == [f"mailto:{account.marker}@example.org"]
    assert seen["activity"] == {"en": "Logic"}


def _says(refused: object, status: int) -> bool:
    """Whether a client was refused with a status: it gives the number, or the problem it was sent."""
    return refused == status or (isinstance(refused, dict) and refused.get("status") == status)
