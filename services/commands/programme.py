"""`testamur programme`: rules checked where they are written, tried on everybody, and published."""
import asyncio
import csv
from collections.abc import Iterable
from pathlib import Path
from textwrap import indent
from typing import Annotated, Any
from uuid import uuid4

import httpx
import orjson
import typer

from services.commands.options import DataDir, Json, settings_from, settings_of_a_store
from services.commands.progress import shown
from services.commands.target import Key, Secret, To, server_of, target_of
from services.core.errors import InvalidProgramme
from services.core.rules.language import parse
from services.core.rules.narrative import narrative
from services.core.rules.wake_keys import keys_of
from services.data_dir import Refused
from services.importer.server import Answered, Server, problem_of

app = typer.Typer(help="Programmes: rules that decide what a learner's statements are worth.", no_args_is_help=True)
PATH = "/v1/programmes"
SHOWN = 50
"""Learners of a list that are printed; `--csv` and `--json` give all."""
_YAML, _LINES = "application/yaml", "application/x-ndjson"
_File = Annotated[Path, typer.Argument(metavar="FILE", help="A programme, in YAML or JSON.", exists=True, dir_okay=False, readable=True)]
_Learner = dict[str, Any]


@app.command()
def check(file: _File, data_dir: DataDir = None) -> None:  # noqa: ARG001 - every command takes it
    """Read a programme and say what it asks for, or line by line what is wrong with it, which ends with 1. Nothing needs to run."""
    try:
        programme = parse(file.read_bytes())
    except InvalidProgramme as refusal:
        _complain(file, {"detail": refusal.detail, "pointer": refusal.pointer, **refusal.members})
        raise typer.Exit(1) from refusal
    keys = len(keys_of(programme, {}))
    lines = [f"{programme.title}, version {programme.version} ({programme.iri})"]
    lines += [f"  awards    {programme.award.type}" if programme.award else "  awards    nothing: it is satisfied or not"]
    lines += [f"  wakes     for what answers to {keys} {'key' if keys == 1 else 'keys'}", "  asks for", indent(narrative(programme), "    ")]
    typer.echo("\n".join(lines))


@app.command()
def preview(  # noqa: PLR0913, PLR0917 - one argument for each option
    file: _File,
    as_json: Json = False,
    table: Annotated[Path | None, typer.Option("--csv", help="Write everybody who gains or loses into this file.", dir_okay=False, show_default=False)] = None,
    to: To = None, key: Key = None, secret: Secret = None,
    data_dir: DataDir = None,
) -> None:
    """Say who would gain a programme and who would lose it if it were published now. Nothing is published."""
    target = target_of(to, key, secret)
    settings = settings_from(data_dir=data_dir) if to else settings_of_a_store(data_dir=data_dir)

    async def ask() -> dict[str, Any]:
        async with server_of(settings, target) as server:
            return await _preview(server, file)

    found = asyncio.run(ask())
    if table is not None:
        _write(table, found)
    typer.echo(orjson.dumps(found).decode() if as_json else _as_text(found))


@app.command()
def publish(
    file: _File,
    as_json: Json = False,
    to: To = None, key: Key = None, secret: Secret = None,
    data_dir: DataDir = None,
) -> None:
    """Publish a programme; from then on everybody is decided by it. Ends with 1 if it is refused."""
    target, settings = target_of(to, key, secret), settings_from(data_dir=data_dir)

    async def send() -> httpx.Response:
        async with server_of(settings, target) as server:
            headers = {"Content-Type": _YAML, "Idempotency-Key": str(uuid4())}
            return await server.request("POST", PATH, content=file.read_bytes(), headers=headers)

    published = _taken(file, asyncio.run(send()))
    typer.echo(orjson.dumps(published).decode() if as_json else f"{published['slug']}, version {published['version']}, is published.")


async def _preview(server: Server, file: Path) -> dict[str, Any]:
    """Return what the preview comes to, having shown how far it is. Raises Refused, or Exit for a rule that is refused."""
    headers, last = {"Content-Type": _YAML, "Accept": _LINES}, {}
    with shown(file.name, "learners") as tell:
        try:
            async for line in server.stream("POST", f"{PATH}/preview", content=file.read_bytes(), headers=headers):
                last = orjson.loads(line)
                if progress := last.get("progress"):
                    tell("previewed", progress["done"], progress["of"])
        except Answered as refusal:
            return _taken(file, refusal.answer)
    if "gain" not in last:
        raise Refused(f"{server.address} broke the preview off: {last.get('detail', 'without a word')}")
    return last


def _taken(file: Path, answer: httpx.Response) -> dict[str, Any]:
    """Return what was answered. Raises Exit, having said what is wrong with the file, or Refused."""
    if answer.is_success:
        taken: dict[str, Any] = answer.json()
        return taken
    problem = problem_of(answer)
    if answer.status_code in {400, 409}:
        _complain(file, problem)
        raise typer.Exit(1)
    raise Refused(f"{answer.url} answered {answer.status_code}: {problem.get('detail', answer.text[:500])}")


def _complain(file: Path, problem: dict[str, Any]) -> None:
    """Say what is wrong with a file, and where."""
    for fault in problem.get("faults") or problem.get("errors") or [problem]:
        line = f":{fault['line']}" if fault.get("line") else ""
        where = f" ({fault['pointer']})" if fault.get("pointer") else ""
        typer.echo(f"{file}{line}: {fault['detail']}{where}")


def _as_text(found: dict[str, Any]) -> str:
    lines: list[str] = []
    policy = found.get("policy", "reevaluate")
    for change in ("gain", "lose"):
        learners, count = found[change], len(found[change])
        would = f"would {change} it" if change == "gain" or policy == "reevaluate" else f"would no longer meet it (`rule_changed: {policy}`)"
        lines.append(f"{count:,} {'learner' if count == 1 else 'learners'} {would}{':' if count else '.'}")
        lines += [f"  {learner['id']}  {_called(learner)}" for learner in map(_learner, learners[:SHOWN])]
        lines += [f"  and {count - SHOWN:,} more: --csv or --json name all"] * (count > SHOWN)
    return "\n".join([*lines, f"{found['same']:,} would stay as they are."])


def _write(table: Path, found: dict[str, Any]) -> None:
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("change", "learner", "name"))
        writer.writerows(_rows(found))


def _rows(found: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    for change in ("gain", "lose"):
        for learner in map(_learner, found[change]):
            yield change, learner["id"], _plain(_called(learner))


def _learner(listed: _Learner | str) -> _Learner:
    return {"id": listed} if isinstance(listed, str) else listed


def _called(learner: _Learner) -> str:
    return learner.get("name") or ""


def _plain(text: str) -> str:
    """Return a text that a spreadsheet takes for no formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
