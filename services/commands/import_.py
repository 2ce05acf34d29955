"""`testamur import`: files into the system of the data directory, running or not, or into a server elsewhere."""
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import orjson
import typer

from services.commands.options import DataDir, settings_from
from services.commands.target import Key, Secret, Target, To, server_of, target_of
from services.core.errors import BadRequest
from services.core.rules.cmi5_file import course_of
from services.importer.display import shown
from services.importer.run import import_file
from services.importer.server import Server, refusal_of
from services.runtime.settings import Settings

COURSES_AT_ONCE = 500


def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="NDJSON or JSON arrays, gzipped or not.", exists=True, dir_okay=False, readable=True)],
    courses: Annotated[bool, typer.Option("--courses", help="The files describe courses: as PUT /v1/courses takes them, or as a cmi5.xml.")] = False,
    to: To = None, key: Key = None, secret: Secret = None,
    data_dir: DataDir = None,
) -> None:
    """Import statements; a killed import goes on where it was. Ends with 1 if lines were refused, which are listed."""
    target = target_of(to, key, secret)
    refused = asyncio.run(_import(settings_from(data_dir=data_dir), files, target, courses=courses))
    if refused:
        raise typer.Exit(1)


async def _import(settings: Settings, files: list[Path], target: Target, *, courses: bool) -> int:
    refused = 0
    async with server_of(settings, target) as server:
        for file in files:
            refused += await (_import_courses(server, file) if courses else _import_statements(server, file, settings.data_dir, target.url or "here"))
    return refused


async def _import_statements(server: Server, file: Path, data_dir: Path, destination: str) -> int:
    with shown(file.name, file.stat().st_size) as report:
        done = await import_file(server, file, data_dir, report, destination=destination)
    for refusal in done.refusals:
        typer.echo(f"{file}:{refusal}")
    kept = done.lines - len(done.refusals)
    typer.echo(f"{file}: {kept} {'line' if kept == 1 else 'lines'} stored or there already, {len(done.refusals)} refused")
    return len(done.refusals)


async def _import_courses(server: Server, file: Path) -> int:
    try:
        bodies = list(_bodies(file.read_bytes()))
    except BadRequest as refusal:
        typer.echo(f"{file}: {refusal.detail}")
        return 1
    for body in bodies:
        answer = await server.request("PUT", "/v1/courses", content=body)
        if not answer.is_success:
            typer.echo(f"{file}: {refusal_of(answer)}")
            return 1
    typer.echo(f"{file}: courses stored")
    return 0


def _bodies(content: bytes) -> Iterator[bytes]:
    """Yield the bodies of requests that describe what is in a file. Raises BadRequest for a cmi5.xml that is none."""
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        yield orjson.dumps({"courses": [course_of(content)]})
    else:
        yield from _in_parts(content)


def _in_parts(body: bytes) -> Iterator[bytes]:
    """Yield bodies that the server takes, for a file may describe more courses than one request; what cannot be read is the server's to refuse."""
    try:
        courses = orjson.loads(body)["courses"]
        several = [courses[first:first + COURSES_AT_ONCE] for first in range(0, len(courses), COURSES_AT_ONCE)]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        several = []
    if len(several) < 2:
        yield body
        return
    for part in several:
        yield orjson.dumps({"courses": part})
