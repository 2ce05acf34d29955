"""From a document that keeps to the schema to the tree of its rule, with the checks that a schema cannot say."""
from decimal import Decimal
from typing import Any

from services.core import vocabulary
from services.core.evidence import LEVELS
from services.core.keys import key64, key128
from services.core.rules import narrative, schema
from services.core.rules.calendar import Span, span
from services.core.rules.tree import All, AnyOf, AtLeast, Cmi5, Credentials, Match, Node, Statements, Sum, Window

MAX_DEPTH = 8
MAX_NODES = 500

_MILLIONTH_OF_AN_HOUR_US = 3600
_REPLACES = {"verb": "verb_in", "verb_in": "verb", "activity": "activity_in", "activity_in": "activity"}


class Reading:
    """Reads one document; what is wrong gathers in `faults`, as paths and sentences."""

    def __init__(self, document: dict[str, Any]) -> None:
        """`document` keeps to the schema."""
        self.faults: list[schema.Fault] = []
        self._document = document
        self._defaults: dict[str, Any] = document.get("defaults", {}).get("match", {})
        self._nodes = 0
        if "renewal" in document:
            self._renewal(document["renewal"], document.get("validity", {}))

    def slug(self) -> str:
        """Return the last segment of the programme's IRI."""
        path: str = self._document["programme"].partition("#")[0].partition("?")[0]
        slug = path.rpartition("/")[2]
        if "/" not in path.partition("://")[2] or not schema.is_slug(slug):
            self._fault(["programme"], "must end in a segment of at most 80 letters, digits, dots, hyphens and underlines: that names it in addresses")
        return slug

    def rule(self) -> Node:
        """Return what the programme requires."""
        return self._node(self._document["requires"], ["requires"], 1)

    def _fault(self, path: schema.Path, sentence: str) -> None:
        self.faults.append((path, sentence))

    def _renewal(self, renewal: dict[str, Any], validity: dict[str, Any]) -> None:
        for name in renewal:
            if name == "remind" and not validity:
                self._fault(["renewal", name], "needs validity: without it an award has no end to remind of")
            elif name != "remind" and "for" not in validity:
                self._fault(["renewal", name], "needs validity with for: otherwise no award follows upon another")

    def _node(self, node: dict[str, Any], path: schema.Path, depth: int) -> Node:
        self._nodes += 1
        if self._nodes == MAX_NODES + 1:
            self._fault(path, f"is one node too many: a rule has at most {MAX_NODES}")
        if depth > MAX_DEPTH:
            self._fault(path, f"is too deep: nodes are nested at most {MAX_DEPTH} deep")
            return AnyOf(())
        op = next(name for name in narrative.OPERATORS if name in node)
        clause, place = node[op], [*path, op]
        named: dict[str, Any] = {"label": node.get("label"), "asks": narrative.text_of(node, self._defaults)}
        if op in {"all", "any"}:
            of = tuple(self._node(child, [*place, index], depth + 1) for index, child in enumerate(clause))
            return AnyOf(of, **named) if op == "any" else All(of, bool(node.get("sequence")), span(node["within"]) if "within" in node else None, **named)
        if op == "at_least":
            return self._at_least(clause, place, depth, named)
        if op == "statement":
            return Statements(
                self._match(clause), int(clause.get("count", 1)), _distinct(clause), self._window(clause), **named)
        if op == "sum":
            return self._sum(clause, place, named)
        return _credentials(clause, named) if op == "credential" else Cmi5(clause["course"], **named)

    def _at_least(self, clause: dict[str, Any], path: schema.Path, depth: int, named: dict[str, Any]) -> Node:
        of = tuple(self._node(child, [*path, "of", index], depth + 1) for index, child in enumerate(clause["of"]))
        by_issuer = "distinct" in clause
        if clause["n"] > len(of):
            self._fault([*path, "n"], f"is more than the {len(of)} that there are to choose from")
        for index, child in enumerate(of):
            if by_issuer and not (isinstance(child, Credentials) and child.count == 1 and child.distinct is None):
                self._fault([*path, "of", index], "must be a credential without count and distinct, for at_least wants them of different issuers")
        return AtLeast(int(clause["n"]), of, by_issuer, **named)

    def _sum(self, clause: dict[str, Any], path: schema.Path, named: dict[str, Any]) -> Sum:
        of = clause["of"]
        measure = "hours" if of != "duration" and vocabulary.extension({of: of}, "pd-hours") is not None else of
        unit = _MILLIONTH_OF_AN_HOUR_US if of == "duration" else 1
        return Sum(
            measure, key64(of), self._amount(clause["at_least"], [*path, "at_least"]) * unit, self._match(clause.get("match", {})),
            self._window(clause), self._amount(clause["cap_each"], [*path, "cap_each"]) * unit if "cap_each" in clause else None, "distinct" in clause, **named,
        )

    def _amount(self, number: float, path: schema.Path) -> int:
        """Return a number in millionths."""
        millionths = Decimal(repr(number)) * 1_000_000
        if millionths != millionths.to_integral_value():
            self._fault(path, "has more than six decimals")
        return int(millionths)

    def _match(self, clause: dict[str, Any]) -> Match:
        given = {name: value for name, value in self._defaults.items() if name not in clause and _REPLACES.get(name) not in clause} | clause
        competency, kind = given.get("competency"), given.get("type")
        activities = _both([given.get("activity")], given.get("activity_in"))
        verbs = _both([given.get("verb")], given.get("verb_in"), vocabulary.verb)
        return Match(
            activities=None if activities is None else frozenset(map(key128, activities)), verbs=verbs,
            under=_key(given.get("under")), category=_key(given.get("category")), competency=_key(competency),
            competency_activity=None if competency is None else key128(competency), kind=None if kind is None else vocabulary.activity_type(kind),
            success=given.get("success"), score_gte=given.get("score_gte"),
            authorities=frozenset(given["authority_in"]) if "authority_in" in given else None, level=LEVELS.index(given.get("identity", "none")),
            evidence=int(given.get("evidence", 0)), since=_instant(given.get("since")), until=_instant(given.get("until")),
            registration=given["registration"].lower() if "registration" in given else None,
        )

    def _window(self, clause: dict[str, Any]) -> Window | None:
        if "window" not in clause:
            return None
        window = clause["window"]
        length: Span | None = span(window.get("last") or window["cycle"])
        assert length is not None
        return Window(length, "cycle" in window, schema.instant(window["anchor"]) if window.get("anchor", "awarded") != "awarded" else None)


def _credentials(clause: dict[str, Any], named: dict[str, Any]) -> Credentials:
    return Credentials(
        clause.get("achievement"), clause.get("alignment"), frozenset(clause["issuer_in"]) if "issuer_in" in clause else None, clause.get("issuer"),
        clause.get("status", "active") == "active", int(clause.get("count", 1)), clause.get("distinct"),
        _instant(clause.get("since")), _instant(clause.get("until")), **named,
    )


def _distinct(clause: dict[str, Any]) -> str | None:
    distinct = clause.get("distinct")
    return "authority" if distinct == "issuer" else distinct


def _both(one: list[str | None], several: list[str] | None, canonical: Any = str) -> frozenset[str] | None:
    """Return what both of them name, by its canonical text; None if neither is given."""
    sets = [frozenset(map(canonical, given)) for given in (one, several) if given is not None and given != [None]]
    return frozenset.intersection(*sets) if sets else None


def _key(iri: str | None) -> int | None:
    return None if iri is None else key64(iri)


def _instant(text: str | None) -> int | None:
    return None if text is None else schema.instant(text)
