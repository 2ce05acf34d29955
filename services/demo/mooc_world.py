"""A deterministic MOOC world as xAPI 1.0.3 statements, made from a real data set (data/ATTRIBUTION.md).

The people, enrolments, withdrawals, submission days, marks and final results are the real, anonymised ones of OULAD; names, e-mail addresses, platforms,
clicks (but for AAA 2013J), verified tracks and all troubles (duplicates, late arrivals, voidings, conflicts, invalid statements) are made up from a seed.

    python -m services.demo.mooc_world --out world [--statements 100000] [--seed 1] [--density 12] [--multi .5] [--clean] [--modules AAA,BBB]

writes into --out:
    statements.ndjson   one statement a line, in order of ARRIVAL (not of timestamp)
    expect.ndjson       what a store does with the lines that are not a plain "store it": {line, id, arrives, kind, expect, …}
    links.ndjson        identity evidence a product may use: {a, b, by, at}; people without a link must stay apart
    courses.json        the catalogue as `PUT /v1/courses` takes it
    truth/persons.ndjson   who is who: every identifier of every person, and which of them the links connect
    truth/results.ndjson   what a correct transcript says for each person and course run after all voidings
    stats.json          counts and the sha256 of statements.ndjson
The same seed and arguments give the same bytes.
"""
import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.demo.enrolment import Enrolment
from services.demo.oulad import Oulad
from services.demo.people import Person, groups, linked, person, truth
from services.demo.script import Arrival, Script
from services.demo.troubles import make_trouble
from services.demo.words import iso

DATA = Path(__file__).parent / "data"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which world: `statements` at least, `density` made-up visits per enrolment, a share `several` of people with several OULAD identities."""

    statements: int = 100_000
    seed: int = 1
    density: float = 12
    several: float = 0.5
    modules: frozenset[str] | None = None
    clean: bool = False
    data: Path = DATA


class World:
    """A world, made when it is constructed."""

    def __init__(self, plan: Plan) -> None:
        """Play person after person until there are enough statements; then let things go wrong."""
        oulad = Oulad(plan.data, set(plan.modules) if plan.modules else None)
        who = groups(oulad, plan.seed, plan.several)
        self.seed = plan.seed
        self.script = Script(oulad, plan.seed, {student: group[0] for group in who for student in group})
        self.links: list[Json] = []
        self.persons: list[Json] = []
        self.results: list[Json] = []
        for group in who:
            if len(self.script.arrivals) >= plan.statements:
                break
            self._live(group, plan.density)
        make_trouble(self.script, clean=plan.clean)
        self.script.arrivals.sort(key=lambda arrival: (arrival.at, arrival.statement["id"]))

    def write(self, folder: Path) -> Json:
        """Write everything into a folder; return its statistics."""
        (folder / "truth").mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(arrival.statement, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for arrival in self.script.arrivals]
        (folder / "statements.ndjson").write_bytes(b"".join(lines))
        notes = [_expected(number, arrival) for number, arrival in enumerate(self.script.arrivals, 1) if arrival.note]
        (folder / "expect.ndjson").write_text("".join(json.dumps(note) + "\n" for note in notes), encoding="utf-8")
        for name, rows in (("links", self.links), ("truth/persons", self.persons), ("truth/results", self.results)):
            (folder / f"{name}.ndjson").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        (folder / "courses.json").write_text(json.dumps(self.script.catalogue.described(), indent=1, ensure_ascii=False), encoding="utf-8")
        statistics = self._statistics(lines)
        (folder / "stats.json").write_text(json.dumps(statistics, indent=1), encoding="utf-8")
        return statistics

    def _live(self, group: list[str], density: float) -> None:
        somebody: Person = person(self.seed, group[0])
        for student in group:
            for row in self.script.oulad.enrolments[student]:
                self.results.append(Enrolment(self.script, somebody, row).play(density))
        links = linked(somebody)
        self.links += links
        self.persons.append(truth(somebody, self.seed, group, links))

    def _statistics(self, lines: Iterable[bytes]) -> Json:
        arrivals = self.script.arrivals
        digest = hashlib.sha256()
        for line in lines:
            digest.update(line)
        verbs = Counter(arrival.statement.get("verb", {}).get("id", "-") for arrival in arrivals)
        troubles = Counter(arrival.note["kind"] for arrival in arrivals if arrival.note)
        return {
            "seed": self.seed, "statements": len(arrivals), "persons": len(self.persons), "course_results": len(self.results), "links": len(self.links),
            "sha256": digest.hexdigest(), "troubles": dict(sorted(troubles.items())), "verbs": dict(verbs.most_common()),
        }


def _expected(number: int, arrival: Arrival) -> Json:
    return {"line": number, "id": arrival.statement.get("id"), "arrives": iso(arrival.at), **(arrival.note or {})}


def main() -> None:
    """Make a world as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("world"))
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--statements", type=int, default=100_000, help="stop adding people once this many are made")
    parser.add_argument("--density", type=float, default=12, help="mean made-up visits per enrolment")
    parser.add_argument("--multi", type=float, default=0.5, help="share of people who study under several OULAD identities (several courses and platforms)")
    parser.add_argument("--modules", type=lambda text: frozenset(text.split(",")), help="only these OULAD modules")
    parser.add_argument("--clean", action="store_true", help="no troubles: no duplicates, late arrivals, conflicts or invalid statements")
    given = parser.parse_args()
    plan = Plan(
        statements=given.statements, seed=given.seed, density=given.density, several=given.multi, modules=given.modules, clean=given.clean, data=given.data)
    statistics = World(plan).write(given.out)
    print(json.dumps({name: value for name, value in statistics.items() if name != "verbs"}))  # noqa: T201 - what the command says


if __name__ == "__main__":
    main()
