"""docs/benchmarks.md is made from results.json: `python -m tests.bench.report`, and after each run of the benchmarks."""
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.bench import goals
from tests.bench.causes import CAUSES
from tests.bench.recipe import RESULTS, Goal

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_HEAD = """# Benchmarks

Made by `make bench` from `tests/bench/results.json`. Every goal is a ratio against a limit measured in the same run, for wall clocks of different machines
and hours cannot be compared: both sides take turns over several rounds, and the median of the rounds' ratios counts. A round in which the limit itself moved
more than twofold from its median is left out. At soak size a whole system is sustained in one round of five minutes.
The statements are synthetic, about 2 KB each, with context, results and five related activities.
"good" is what the design aims at; "must" is what a release is held to.
"""
_SYSTEMS = """## Whole systems

`testamur up` in its processes (one web process, one projector, Postgres), loaded over HTTP from the same machine, so that the load generator, and on Kafka
the broker, take their share of the same cores. "Visible" waits until the statement can be read back, "durable" (`Prefer: respond-async`) until it is safe in
the log.
"Sustained" posts batches of 50 from 8 clients that wait for visibility, and counts the time until both projections have folded all of it.
"""
_NAMES = {"postgres": "log in Postgres", "kafka": "log in Kafka, one broker, 12 partitions"}
_BURSTS = ("1 a request, durable", "1 a request, visible", "50 a request, durable", "50 a request, visible")
_CLIENTS = {"1": "64 clients, ", "50": "8 clients, "}


def page(results: dict[str, dict[str, Any]]) -> str:
    """Return the whole page."""
    known, systems = results.get("goals", {}), results.get("systems", {})
    moods = sorted({each["mood"]["machine"] for each in (*known.values(), *systems.values())})
    special = *_reads(systems.get("reads")), *_decisions(systems.get("decisions"))
    lines = [_HEAD, *(f"Machine: {machine}." for machine in moods), "", *_goals(known), "", *special, _SYSTEMS, *_table(systems)]
    return "\n".join(lines) + "\n"


def _goals(known: dict[str, dict[str, Any]]) -> Iterable[str]:
    yield "## Goals\n"
    yield "| | what is compared | limit | system | ratio (least–most) | good / must | verdict |\n|---|---|---|---|---|---|---|"
    for goal in goals.ALL:
        if goal.id in known:
            yield _row(goal, known[goal.id])
    yield "\n### Conditions\n"
    yield "| | when | load average before | cores others used | fdatasync before, after | rounds left out |\n|---|---|---|---|---|---|"
    for goal in goals.ALL:
        if goal.id in known:
            each = known[goal.id]
            yield f"| {goal.id} | {_mood(each['mood'])} | {each['left_out']} |"
    missed = [goal for goal in goals.ALL if goal.id in known and known[goal.id]["verdict"] != "good"]
    if missed:
        yield "\n### Where a goal is not good\n"
        causes: dict[str, list[Goal]] = {}
        for goal in missed:
            causes.setdefault(CAUSES.get(goal.id, "Not looked into yet."), []).append(goal)
        for cause, together in causes.items():
            named = ", ".join(f"**{goal.id}** ({known[goal.id]['verdict']})" for goal in together)
            yield f"- {named}: {cause}{_notes({**known[together[0].id], 'notes': {**known[together[0].id]['notes'], **known[together[-1].id]['notes']}})}"


def _row(goal: Goal, each: dict[str, Any]) -> str:
    way = "≤" if goal.less_is_better else "≥"
    spread = f"{min(each['ratios']):.2f}–{max(each['ratios']):.2f}, {len(each['ratios'])} rounds" if len(each["ratios"]) > 1 else "1 round"
    return (f"| {goal.id} | {goal.what} | {_number(each['floor'])} | {_number(each['system'])} {each['unit']} | **{each['ratio']:.2f}** ({spread}) "
            f"| {way} {goal.good} / {way} {goal.must} | {each['verdict']} |")


def _notes(each: dict[str, Any]) -> str:
    return f" Measured beside it: {', '.join(f'{what} {_number(value)}' for what, value in each['notes'].items())}." if each["notes"] else ""


def _mood(mood: dict[str, Any]) -> str:
    before, after = mood["fdatasync_us"]
    return f"{mood['at']} | {mood['load_before']} | {mood['foreign_cores']} | {before} µs, {after} µs"


def _reads(found: dict[str, Any] | None) -> Iterable[str]:
    if found is None:
        return
    yield f"## Filters of GET /xapi/statements\n\nPages of 100, in a store of {found['statements']:,} statements; query, plan and rows, without HTTP.\n"
    yield "| filter | p50 | p99 | CPU of Postgres, each |\n|---|---|---|---|"
    for name, each in found["filters"].items():
        yield f"| {name} | {_ms(each['p50_ms'])} | {_ms(each['p99_ms'])} | {_ms(each['cpu_ms'])} |"
    yield f"\nWhen; load average before; cores others used; fdatasync: {_mood(found['mood']).replace(' | ', '; ')}.\n"


def _decisions(found: dict[str, Any] | None) -> Iterable[str]:
    if found is None:
        return
    yield "## Decisions\n\n`testamur up`, log in Postgres; events heard by long polls of `/v1/events`.\n"
    yield "| | |\n|---|---|"
    for name, each in found.items():
        if not name.startswith("mood"):
            figures = (f"{what.removesuffix('_ms').removesuffix('_s').replace('_', ' ')} {_unit(what, value)}" for what, value in each.items())
            yield f"| {name} | {', '.join(figures)} |"
    for what, mood in ("rates", found["mood"]), ("the rest", found["mood_of_the_rest"]):
        yield f"\nOf {what}: when; load average before; cores others used; fdatasync: {_mood(mood).replace(' | ', '; ')}.\n"


def _unit(what: str, value: float | str) -> str:
    """Return a figure with the unit that its name ends with."""
    if isinstance(value, str):
        return value
    if what.endswith("_ms"):
        return _ms(value)
    return f"{value:.2f} s" if what.endswith("late_s") or what == "seconds" else f"{_number(value)}/s" if what.endswith("_s") else _number(value)


def _table(systems: dict[str, dict[str, Any]]) -> Iterable[str]:
    logs = [log for log in _NAMES if log in systems]
    if not logs:
        return
    yield "| | " + " | ".join(_NAMES[log] for log in logs) + " |\n|---|" + "---|" * len(logs)
    rows = [_cells(systems[log]) for log in logs]
    for name in dict.fromkeys(name for cells in rows for name in cells):
        yield f"| {name} | " + " | ".join(cells.get(name, "") for cells in rows) + " |"


def _cells(found: dict[str, Any]) -> dict[str, str]:
    cells = {"statements loaded at the end": _number(found["statements"])}
    for name in _BURSTS:
        each = found[name]
        cells[_CLIENTS[name.split()[0]] + name] = (
            f"**{_number(each['statements_s'])}/s**, answers p50 {_ms(each['p50_ms'])}, p99 {_ms(each['p99_ms'])}; "
            f"lag at the end {_lag(each['lag_records'])}, folded {each['drained_s']:.1f} s later")
    cells |= _sustained(found["sustained"])
    for name in ("50 a request at half the rate", "1 a request at half the rate"):
        each = found[name]
        cells[f"request to visible, {name}"] = f"**p50 {_ms(each['p50_ms'])}, p99 {_ms(each['p99_ms'])}** at {_number(each['statements_s'])} statements/s"
    transcript, sizes, rss = found["transcript"], found["bytes_a_statement"], found["rss_mib"]
    cells["transcript, one reader at rest"] = f"**p50 {_ms(transcript['p50_ms'])}, p99 {_ms(transcript['p99_ms'])}**, {transcript['entries']:.0f} entries each"
    for name in ("statements", "learners"):
        cells[f"replay of {name}, compared and put in use"] = f"**{_number(found[f'replay of {name}']['statements_s'])} statements/s**"
    cells["bytes a statement"] = ", ".join(f"{name} {_number(size)}" for name, size in sizes.items())
    cells["memory at most, MiB; of Postgres, at the end"] = ", ".join(f"{role} {size:.0f}" for role, size in rss.items())
    cells["when; load average before; cores others used; fdatasync"] = _mood(found["mood"]).replace(" | ", "; ")
    return cells


def _sustained(each: dict[str, Any]) -> dict[str, str]:
    cpu = ", ".join(f"{role} {used:.0f}" for role, used in each["cpu_us"].items())
    return {
        "sustained, ingested and folded by both projections":
            f"**{_number(each['statements_s'])}/s** over {each['seconds']:.0f} s; pushed back {each['pushed_back']}×, "
            f"folded {each['drained_s']:.1f} s after the end",
        "lag meanwhile in records, first third → last third": _thirds(each["lag_records"]),
        **({"memory meanwhile, MiB, first third → last third": _thirds(each["memory_mib"])} if "memory_mib" in each else {}),
        "CPU µs a statement": f"{cpu}: **{sum(each['cpu_us'].values()):.0f}**; besides load {each['load_cpu_us']:.0f}, broker {each['broker_cpu_us']:.0f}",
    }


def _thirds(found: dict[str, dict[str, float]]) -> str:
    return "; ".join(f"{name} {thirds['first third']:.0f} → {thirds['last third']:.0f} (most {thirds['most']:.0f})" for name, thirds in found.items())


def _lag(lag: dict[str, float]) -> str:
    return ", ".join(f"{name} {records:.0f}" for name, records in lag.items())


def _ms(value: float) -> str:
    return f"{value:.2g} ms" if value < 10 else f"{value:.0f} ms"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
