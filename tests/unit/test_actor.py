"""Actors by their canonical IFI, and who they are."""

import hashlib

import pytest

from services.core.actor import agent_of, authority_text, identity, ifi
from tests.factories import actor


def sha1(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("agent", "text"),
    [
        (actor(mbox="mailto:Ada.L@Example.ORG"), "mbox:mailto:Ada.L@example.org"),
        (actor(mbox_sha1sum="AB" * 20), "sha1:" + "ab" * 20),
        (actor(openid="https://ada.example.org/"), "openid:https://ada.example.org/"),
        (actor(account={"homePage": "https://e.org", "name": "ada l"}), "account:https://e.org ada l"),
        ({"objectType": "Group", "mbox": "mailto:a@b.c", "member": [actor()]}, "mbox:mailto:a@b.c"),
    ],
)
def test_an_ifi_has_one_canonical_text_and_a_way_back(agent: dict[str, object], text: str) -> None:
    assert ifi(agent) == text
    assert ifi(agent_of(text)) == text


def test_a_group_without_an_ifi_has_none() -> None:
    assert ifi({"objectType": "Group", "member": [actor()]}) is None


def test_a_mailbox_and_its_sha1_sum_are_one_identity() -> None:
    one, other = ifi(actor(mbox="mailto:ada@EXAMPLE.org")), ifi(actor(mbox_sha1sum=sha1("mailto:ada@example.org").upper()))
    assert one is not None
    assert other is not None
    assert one != other
    assert identity(one) == identity(other) == "sha1:" + sha1("mailto:ada@example.org")


def test_other_ifis_are_their_own_identity() -> None:
    for text in ("openid:https://ada.example.org/", "account:https://e.org ada", "sha1:" + "ab" * 20):
        assert identity(text) == text


@pytest.mark.parametrize(
    "agent",
    [
        actor(mbox="mailto:unknown@example.com"),
        actor(mbox="mailto:unknown@EXAMPLE.com"),
        actor(mbox_sha1sum=sha1("mailto:unknown@example.com")),
        actor(mbox_sha1sum=sha1("unknown@example.com")),
        actor(account={"homePage": "https://e.org", "name": "anonymous"}),
        actor(account={"homePage": "https://e.org", "name": ""}),
        actor(account={"homePage": "https://e.org", "name": "Anonymous"}),
    ],
)
def test_a_placeholder_for_many_people_has_no_identity(agent: dict[str, object]) -> None:
    text = ifi(agent)
    assert text is not None
    assert identity(text) is None


def test_accounts_whose_parts_join_alike_differ() -> None:
    first, second = actor(account={"homePage": "https://e.org", "name": "a b"}), actor(account={"homePage": "https://e.org", "name": " a b"})
    assert ifi(first) != ifi(second)
    assert agent_of(ifi(second) or "")["account"]["name"] == " a b"


@pytest.mark.parametrize("text", ["", "nobody", "mail:x", "mbox"])
def test_what_is_no_canonical_ifi_has_no_agent(text: str) -> None:
    with pytest.raises(ValueError, match="canonical IFI"):
        agent_of(text)


def test_an_authority_is_its_ifi_or_its_two_members_in_any_order() -> None:
    assert authority_text(actor()) == ifi(actor())
    one, two = actor("ada"), actor(account={"homePage": "https://e.org", "name": "app"})
    group = {"objectType": "Group", "member": [one, two]}
    assert authority_text(group) == authority_text({**group, "member": [two, one]})
    assert authority_text(group).startswith("group:[")
