"""The importer against servers that push back, refuse without saying what, or forget to answer: real HTTP, answers of our choosing."""
import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.data_dir import Refused
from services.importer.journal import Journal
from services.importer.run import Progress, import_file
from services.importer.server import Server

Answer = tuple[int, dict[str, str], dict[str, Any]]
Handle = Callable[[list[dict[str, Any]]], Awaitable[Answer]]
STORED: Answer = (200, {}, {})


@asynccontextmanager
async def serving(handle: Handle) -> AsyncIterator[Server]:
    """Give a server whose POSTs are answered by `handle`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            sent = json.loads(await reader.readexactly(length))
            status, headers, problem = await handle(sent if isinstance(sent, list) else [sent])
            body = json.dumps(problem).encode()
            extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"HTTP/1.1 {status} .\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening, Server(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", "key", "secret") as server:
        yield server


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def written(folder: Path, *ids: str) -> Path:
    """Write a file with a statement of each id."""
    file = folder / "file.ndjson"
    file.write_text("".join(json.dumps({"id": id_, "n": n}) + "\n" for n, id_ in enumerate(ids)))
    return file


async def imported(server: Server, file: Path) -> Progress:
    """Import a file, its journal beside it."""
    return await import_file(server, file, file.parent, lambda _: None, destination="there")


async def test_push_back_is_waited_out(tmp_path: Path) -> None:
    refusals = [(503, {"Retry-After": "0"}, {"detail": "too much"}), (429, {}, {}), (502, {}, {})]

    async def handle(_: list[dict[str, Any]]) -> Answer:
        return refusals.pop() if refusals else STORED

    async with serving(handle) as server:
        done = await imported(server, written(tmp_path, "a", "b"))

    assert (done.lines, done.refusals, refusals) == (2, [], [])


async def test_a_refusal_that_names_no_line_is_narrowed_down(tmp_path: Path) -> None:
    stored: list[str] = []

    async def handle(sent: list[dict[str, Any]]) -> Answer:
        if any(each["id"] in {"3", "6"} for each in sent):
            return 413, {}, {"detail": "too large"}
        stored.extend(each["id"] for each in sent)
        return STORED

    async with serving(handle) as server:
        done = await imported(server, written(tmp_path, *map(str, range(10))))

    assert [(refusal.number, refusal.status, refusal.reason) for refusal in done.refusals] == [(4, 413, "too large"), (7, 413, "too large")]
    assert sorted(stored) == ["0", "1", "2", "4", "5", "7", "8", "9"]


async def test_two_copies_of_an_id_are_never_in_flight_together_and_arrive_in_order(tmp_path: Path) -> None:
    flying: set[str] = set()
    seen: list[int] = []

    async def handle(sent: list[dict[str, Any]]) -> Answer:
        ids = [each["id"] for each in sent]
        assert len(set(ids)) == len(ids)
        assert not flying & set(ids)
        flying.update(ids)
        await asyncio.sleep(0.02)  # noqa: TID251 - the time of flight
        flying.difference_update(ids)
        seen.extend(each["n"] for each in sent if each["id"] == "twice")
        return STORED

    async with serving(handle) as server:
        await imported(server, written(tmp_path, "twice", "twice", *map(str, range(250)), "twice"))

    assert seen == [0, 1, 252]


async def test_a_refusal_tells_the_place_in_the_line_whatever_else_was_sent_with_it(tmp_path: Path) -> None:
    said = {"2": ("/{}/actor/mbox must be an IRI.", "/actor"), "3": ('/{} lacks "verb".', ""), "4": ("No.", "")}

    async def handle(sent: list[dict[str, Any]]) -> Answer:
        for at, each in enumerate(sent):
            if each["id"] in said:
                detail, where = said[each["id"]]
                return 400, {}, {"detail": detail.format(at), "pointer": f"/{at}{where}"}
        return STORED

    async with serving(handle) as server:
        done = await imported(server, written(tmp_path, *map(str, range(6))))

    assert [(refusal.reason, refusal.pointer) for refusal in done.refusals] == [
        ("/actor/mbox must be an IRI.", "/actor"), ('The statement lacks "verb".', None), ("No.", None)]


async def test_a_journal_is_for_its_owner_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path, written(tmp_path, "0"), "here")
    journal.note(1, [])
    [file] = (tmp_path / "import").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_what_is_settled_is_not_sent_again_and_refusals_are_remembered(tmp_path: Path) -> None:
    stored: list[str] = []
    revoked = True

    async def handle(sent: list[dict[str, Any]]) -> Answer:
        ids = [each["id"] for each in sent]
        if "0" in ids:
            return 400, {}, {"detail": "no", "pointer": f"/{ids.index('0')}/verb"}
        if "450" in ids and revoked:
            async with asyncio.timeout(20):
                while not _is_noted(tmp_path):  # noqa: ASYNC110 - what is waited for is a file
                    await asyncio.sleep(0.01)  # noqa: TID251 - a poll with a deadline
            return 401, {}, {"detail": "the key was revoked"}
        stored.extend(ids)
        return STORED

    file = written(tmp_path, *map(str, range(500)))
    async with serving(handle) as server:
        with pytest.raises(Refused, match="revoked"):
            await imported(server, file)
        revoked = False
        done = await imported(server, file)

    assert stored.count("1") == 1
    assert set(stored) == {str(n) for n in range(1, 500)}
    assert [str(refusal) for refusal in done.refusals] == ["1: 400 no (/verb)"]
    assert not list((tmp_path / "import").iterdir()), "the journal of a whole file is forgotten"


def _is_noted(folder: Path) -> bool:
    """Return whether the journal says that the first batch is through."""
    return any(json.loads(line)["done"] >= 100 for journal in (folder / "import").glob("*") for line in journal.read_text().splitlines())
