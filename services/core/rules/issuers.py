"""Choices of clauses by awards of different issuers: a matching of clauses and issuers, by augmenting paths."""
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from services.core.rules.leaves import Position


class Edge(NamedTuple):
    """An award that a clause counts. No issuer is None."""

    position: Position
    clause: int
    issuer: Hashable


def least_choice(edges: Sequence[Edge], wanted: int) -> list[Edge] | None:
    """Return a choice of `wanted` edges, no clause and no issuer twice, whose last comes earliest; None if there is none."""
    ordered = _earliest(edges)
    if len(_matched(ordered)) < wanted:
        return None
    low, high = wanted, len(ordered)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if len(_matched(ordered[:middle])) >= wanted else (middle + 1, high)
    return sorted(_matched(ordered[:low]).values())[:wanted] if low else []


def most_clauses(edges: Sequence[Edge]) -> int:
    """Return how many clauses may be chosen at most, no clause and no issuer twice."""
    return len(_matched(_earliest(edges)))


def _earliest(edges: Sequence[Edge]) -> list[Edge]:
    """Return the first edge of each clause and issuer, in order."""
    first: dict[tuple[int, Hashable], Edge] = {}
    for edge in sorted(edges, key=lambda edge: (edge.position, edge.clause)):
        first.setdefault((edge.clause, edge.issuer), edge)
    return list(first.values())


def _matched(edges: Sequence[Edge]) -> dict[Hashable, Edge]:
    """Return a greatest matching, by issuer."""
    of_clause: dict[int, list[Edge]] = {}
    for edge in edges:
        of_clause.setdefault(edge.clause, []).append(edge)
    found: dict[Hashable, Edge] = {}
    for clause in sorted(of_clause):
        _augment(clause, of_clause, found)
    return found


def _augment(clause: int, of_clause: dict[int, list[Edge]], found: dict[Hashable, Edge]) -> None:
    """Match one more clause, if others can make room for it: breadth first, for a chain of them may be long."""
    ways: dict[Hashable, tuple[Edge, Hashable]] = {}
    queue: list[tuple[int, Hashable]] = [(clause, None)]
    for each, left in queue:
        for edge in of_clause[each]:
            if edge.issuer in ways:
                continue
            ways[edge.issuer] = edge, left
            if edge.issuer in found:
                queue.append((found[edge.issuer].clause, edge.issuer))
                continue
            taken: Hashable = edge.issuer
            while taken is not None:
                found[taken], taken = ways[taken]
            return
