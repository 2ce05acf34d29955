"""Whatever happens to learners, rules, partitions, appends and deciders: at rest the ledger says what a naive reading of the log says, and says it once.

Histories are made from a seed: TESTAMUR_SEED chooses the first of them, and a failure names its own.
"""
import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.properties.decisions import oracle
from tests.properties.decisions.history import TENANT, History
from tests.properties.decisions.house import House, Rows, house
from tests.properties.decisions.oracle import Known, Placed
from tests.properties.decisions.programmes import COURSE, PROGRAMMES
from tests.reference_fold import Identity, Person

SOAK = bool(os.environ.get("TESTAMUR_SOAK"))
HISTORIES = int(os.environ.get("TESTAMUR_HISTORIES") or (10_000 if SOAK else 200))
CHUNKS = 4
FIRST = int(os.environ.get("TESTAMUR_SEED", "1")) * 1_000_000
BEGIN = 200_000_000_000_000
SECOND = 1_000_000
pytestmark = pytest.mark.timeout(14_400 if SOAK else 600)

IRIS = {slug: versions[0]["programme"] for slug, versions in PROGRAMMES.items()}
HAPPENINGS = (("something", 40.0), ("time", 12.0), ("a fold", 40.0), ("a decision", 25.0), ("a race", 2.0), ("something late", 4.0), ("a revocation", 2.5),
              ("a cut-over", 0.3), ("a freeze", 2.0), ("a thaw", 2.0), ("a calm", 0.7))
AWARDING = {slug for slug, versions in PROGRAMMES.items() if "award" in versions[0]}


def complete(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end."""
    with asyncio.Runner() as runner:
        runner.run(work)


async def live(home: House, history: History, steps: int) -> None:
    """Let so many things happen."""
    chance, log = history.chance, home.log
    for slug in chance.sample(list(PROGRAMMES), chance.randint(0, 4)):
        await log.append([history.publish(slug)])
    happenings = [name for name, _ in HAPPENINGS]
    weights = [weight for _, weight in HAPPENINGS]
    for _ in range(steps):
        await happen(chance.choices(happenings, weights)[0], home, history)


async def happen(what: str, home: House, history: History) -> None:
    """Let one thing happen."""
    chance, log = history.chance, home.log
    if what == "something" and (record := history.another()) is not None:
        await log.append([record])
    elif what == "time":
        log.now = history.now = log.now + chance.choice([1, 1000, SECOND // 3, SECOND, 3 * SECOND, 7 * SECOND])
    elif what == "a fold":
        await home.fold.step(chance.randrange(log.partitions), chance.randint(1, 6))
    elif what == "a decision":
        log.next_append = chance.choice(["well"] * 8 + ["lost", "unheard", "late", "refused"])
        await home.decide(chance.randrange(2))
        log.next_append = "well"
    elif what == "a thaw":
        await home.thaw(alive=chance.random() < 0.5)
    elif what == "a calm":  # what stands while deciders run is decided, whatever comes of it later
        await home.rest()
        await assert_held(home)
    elif what == "a revocation":
        await home.revoke_one(history)
    else:
        await {"a race": home.race, "something late": log.land, "a cut-over": home.cut_over, "a freeze": home.freeze, "something": log.land}[what]()


async def one(dsn: str, seed: int, check: Callable[[House], Coroutine[Any, Any, None]]) -> None:
    """Live through one history, come to rest, and check."""
    partitions = 1 + seed % 3
    history = History(seed, partitions, BEGIN)
    async with house(dsn, partitions, BEGIN) as home:
        try:
            await live(home, history, history.chance.randint(20, 250))
            await home.rest()
            home.log.now += history.chance.choice([0, 20 * SECOND, 20 * SECOND])  # windows and terms that are open now end with nothing happening any more
            await home.rest()
            await check(home)
        except Exception as error:
            error.add_note(f"history {seed}")
            raise


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_at_rest_the_ledger_says_what_a_naive_reading_of_the_log_says(database: str, chunk: int) -> None:
    async def work() -> None:
        for number in range(chunk, HISTORIES, CHUNKS):
            await one(database, FIRST + number, assert_whole)

    complete(work())


async def assert_whole(home: House) -> None:
    """Everything that must hold at rest."""
    await assert_held(home)
    assert_no_entry_says_the_same_as_the_one_before(await home.entries())
    assert await home.lacking() == []
    assert [sentence for fine, sentence in await home.evaluated_again() if not fine] == []
    live_rows = await home.ledger()
    assert_same(await home.folded_anew(), live_rows)


async def known(home: House) -> Known:
    """Return what the whole log says, read naively."""
    records: list[Placed] = []
    for partition in range(home.log.partitions):
        records += oracle.placed_in(partition, [(record.timestamp, record.value) for record in home.log.records(partition)])
    entries = {str(row["id"]) for row in await home.entries()}
    return oracle.known(records, await home.through(), lambda placed: placed.said["batch"] in entries)


async def awards_of(home: House, now: Known) -> list[dict[str, Any]]:
    """Return the awards of the ledger as facts of the naive reading."""
    who = {oracle.text_of(each): each for each in now.everybody}
    achievements = {iri: f"{iri.rpartition('/')[0]}/achievements/{slug}" for slug, iri in IRIS.items() if slug in AWARDING}
    return [{
        "id": str(row["credential"]), "kind": row["kind"], "matter": row["matter"], "ifi": who[row["identity"]], "n": row["n"], "state": row["state"],
        "achievement": achievements.get(row["matter"], ""), "issuer": ["did:web:lrs.example.org"], "alignment": [], "since": row["since"],
        "seq": row["issued_seq"], "ended": row["ended"], "revoked": row["state"] == "revoked", "suspended": row["state"] == "suspended",
        "closed": row["closed"], "valid_until": row["valid_until"], "status": row["status"],
    } for row in await home.awards()]


async def assert_held(home: House) -> None:
    """Everybody holds what they should, and only once unless links changed."""
    now = await known(home)
    awards, moved = await awards_of(home, now), now.ever_linked()
    for person in set(now.people().values()):
        theirs = [award for award in awards if award["ifi"] in person]
        for iri in IRIS.values():
            if now.versions(iri):
                assert_programme(now, iri, person, theirs, once=not person & moved)
        open_courses = [award for award in theirs if award["kind"] == "course" and not award["closed"]]
        status = oracle.completed(now, COURSE, person)
        assert {award["status"] for award in open_courses} == ({status} if status else set()), (person, status, open_courses)
        assert len(open_courses) <= 1 or person & moved, open_courses


def assert_programme(now: Known, iri: str, person: Person, theirs: list[dict[str, Any]], *, once: bool) -> None:
    """A person holds an award of a programme if and only if they should."""
    mine = [award for award in theirs if award["matter"] == iri and award["kind"] == "programme"]
    held = [award for award in mine if not award["closed"]]
    active = [award for award in held if not award["suspended"]]
    credentials = [award for award in theirs if award["achievement"]]
    last_end = max((award["ended"] for award in mine if award["state"] == "expired"), default=None)
    due = oracle.due(now, iri, person, credentials, last_end)
    if now.is_retired(iri) and not held:
        return
    assert bool(active) == (due is not None), (iri, person, due, mine)
    if once:
        assert len(held) <= 1, held
        if due is not None:
            assert (active[0]["since"], active[0]["valid_until"]) == (due.since, due.valid_until), (iri, person, due, mine)


def assert_no_entry_says_the_same_as_the_one_before(entries: list[Any]) -> None:
    """Each entry of an award is the next one, and tells something new."""
    last: dict[tuple[str, str, str, int], Any] = {}
    for row in entries:
        place = row["kind"], row["matter"], row["identity"], row["n"]
        before = last.get(place)
        assert row["k"] == (1 if before is None else before["k"] + 1), (before, row)
        told = [None if each is None else (each["state"], each["since"], each["valid_until"], each["version"], each["status"]) for each in (before, row)]
        assert told[0] != told[1] or row["state"] == "expiring", row
        last[place] = row
    assert len({row["id"] for row in entries}) == len(entries), Counter(row["id"] for row in entries).most_common(1)


def assert_same(anew: Rows, live_rows: Rows) -> None:
    """A replay gives the same rows."""
    for table, rows in live_rows.items():
        assert anew[table] == rows, table


def test_a_history_has_everything_in_it_that_it_is_about() -> None:
    records = [record for seed in range(5) for history in [History(seed, 3, BEGIN)] for _ in range(400) if (record := history.another()) is not None]
    kinds = {kind for record in records for kind in ("statements", "identity.linked", "identity.unlinked", "programme.published", "programme.retired",
                                                     "course.described") if f'"kind":"{kind}"'.encode() in record.value}
    assert len(kinds) == 6
    assert TENANT == "default"
    assert len({record.partition for record in records}) == 3


def test_the_naive_reading_knows_identities_as_records_name_them() -> None:
    account: Identity = ("account", "https://lms.example.org", "1")
    assert oracle.text_of(account) == "account:https://lms.example.org 1"
