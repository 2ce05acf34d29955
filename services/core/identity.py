"""Who is who: learners are the connected sets of IFIs under the links in force, each named by its member with the least identity.

Keys are whatever stands for an IFI (its 128-bit hash in the tables); nothing here depends on the order in which links came.
"""
from collections.abc import Iterable, Mapping
from typing import TypeVar

Key = TypeVar("Key")


def in_force(linked: int | None, unlinked: int | None, known_at: int | None = None) -> bool:
    """Return whether a link holds, or held by what was known at `known_at` (all are `seq`s). An unlink stored before its link leaves none."""
    if linked is None or (known_at is not None and linked > known_at):
        return False
    return unlinked is None or (known_at is not None and unlinked > known_at)


def components(identities: Mapping[Key, str], links: Iterable[tuple[Key, Key]]) -> dict[Key, Key]:
    """Return the learner of every key: the key with the least identity text among those the links connect it with.

    `links` between keys that are not in `identities` are ignored.
    """
    parent: dict[Key, Key] = {key: key for key in identities}

    def root(key: Key) -> Key:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for a, b in links:
        if a in parent and b in parent:
            first, second = root(a), root(b)
            if identities[second] < identities[first]:
                first, second = second, first
            parent[second] = first
    return {key: root(key) for key in parent}
