"""Whatever happens to learners, rules, partitions, appends and deciders: at rest the ledger says what a naive reading of the log says, and says it once.

Histories are made from a seed: TESTAMUR_SEED chooses the first of them, and a failure names its own.
"""
import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.properties.decisions import held, oracle
from tests.properties.decisions.history import TENANT, History
from tests.properties.decisions.house import House, Rows, house
from tests.properties.decisions.issued import assert_issued
from tests.properties.decisions.oracle import Known, Placed
from tests.properties.decisions.programmes import COURSE, PROGRAMMES
from tests.properties.decisions.running import Running
from tests.properties.decisions.simulation import OUTCOMES, Clocks, FaultyLog
from tests.properties.decisions.stood import assert_stood
from tests.reference_fold import Identity

SOAK = bool(os.environ.get("TESTAMUR_SOAK"))
HISTORIES = int(os.environ.get("TESTAMUR_HISTORIES") or (10_000 if SOAK else 200))
CHUNKS = 4
FIRST = int(os.environ.get("TESTAMUR_SEED", "1")) * 1_000_000
BEGIN = 200_000_000_000_000
SECOND = 1_000_000
pytestmark = pytest.mark.timeout(14_400 if SOAK else 600)

HAPPENINGS = {"something": 40.0, "time": 12.0, "a fold": 40.0, "a decision": 25.0, "a race": 2.0, "something late": 4.0, "a revocation": 2.5, "a cut-over": 0.3,
              "a freeze": 2.0, "a thaw": 2.0, "a calm": 0.7, "a shift of clocks": 1.0}
KEPT_UP = HAPPENINGS | {"time": 16.0, "a fold": 0.0, "a decision": 0.0, "a freeze": 0.5, "a thaw": 8.0}
"""How likely things are while deciders keep up with the log."""
KEEP_UP = 1 / 3
WRONG_BY = (*[0] * 5, 2, 1000, SECOND // 4, SECOND, 2 * SECOND)
"""By how much partitions' clocks may be wrong, in microseconds."""


def complete(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end."""
    with asyncio.Runner() as runner:
        runner.run(work)


async def live(home: House, history: History, steps: int, running: Running | None) -> None:
    """Let so many things happen, to deciders that keep up with the log if `running`."""
    chance, log = history.chance, home.log
    for slug in chance.sample(list(PROGRAMMES), chance.randint(0, 4)):
        await log.append([history.publish(slug)])
    happenings = list(HAPPENINGS)
    weights = [(KEPT_UP if running else HAPPENINGS)[name] for name in happenings]
    for _ in range(steps):
        what = chance.choices(happenings, weights)[0]
        if running and (what in {"a calm", "a freeze"} or home.is_frozen):
            running.pause()
        if running and what == "a freeze":  # in what there is to decide: nothing was left
            await happen("something", home, history)
            await home.fold.catch_up()
        if what == "time":
            span = chance.choice([1, 1000, SECOND // 3, SECOND, 3 * SECOND, 7 * SECOND])
            if running and not home.is_frozen:
                await running.pass_time(span)
            else:
                log.now += span
            history.now = log.now
        else:
            await happen(what, home, history)
        if running and not home.is_frozen:
            await running.keep_up()


async def happen(what: str, home: House, history: History) -> None:
    """Let one thing happen."""
    chance, log = history.chance, home.log
    if what == "something" and (record := history.another()) is not None:
        await log.append([record])
    elif what == "a fold":
        await home.fold.step(chance.randrange(log.partitions), chance.randint(1, 6))
    elif what == "a decision":
        log.next_append = chance.choice(OUTCOMES)
        await home.decide(chance.randrange(2))
        log.next_append = "well"
    elif what == "a thaw":
        await home.thaw(alive=chance.random() < 0.5)
    elif what == "a calm":  # what stands while deciders run is decided, whatever comes of it later
        await home.rest()
        await assert_held(home)
    elif what == "a revocation":
        await home.revoke_one(history)
    elif what == "a shift of clocks":
        log.clocks.shift()
    else:
        await {"a race": home.race, "something late": log.land, "a cut-over": home.cut_over, "a freeze": home.freeze, "something": log.land}[what]()


async def one(dsn: str, seed: int, check: Callable[[House], Coroutine[Any, Any, None]], *, likely: float = KEEP_UP) -> int:
    """Live through one history, come to rest, and check; return how many states were seen that had to be decided while they lasted.

    `likely`: how likely it is that deciders keep up with the log.
    """
    partitions = 1 + seed % 3
    history = History(seed, partitions, BEGIN)
    chance = history.chance
    log = FaultyLog(partitions, BEGIN, Clocks(partitions, chance, chance.choice(WRONG_BY), shift=chance.random() < 0.5))
    async with house(dsn, log) as home:
        try:
            running = Running(home, chance) if chance.random() < likely else None
            await live(home, history, chance.randint(20, 150 if running else 250), running)
            stood = 0 if running is None else assert_stood(placed(log), await home.entries(), running.looks, log.clocks.difference)
            await home.rest()
            log.now += chance.choice([0, 20 * SECOND, 20 * SECOND])  # windows and terms that are open now end with nothing happening any more
            await home.rest()
            await check(home)
        except Exception as error:
            error.add_note(f"history {seed}")
            raise
    return stood


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_at_rest_the_ledger_says_what_a_naive_reading_of_the_log_says(database: str, chunk: int) -> None:
    async def work() -> None:
        for number in range(chunk, HISTORIES, CHUNKS):
            await one(database, FIRST + number, assert_whole)

    complete(work())


async def assert_whole(home: House) -> None:
    """Everything that must hold at rest."""
    await assert_held(home)
    assert_issued(placed(home.log), await home.entries())
    assert_no_entry_says_the_same_as_the_one_before(await home.entries())
    assert await home.lacking() == []
    assert [sentence for fine, sentence in await home.evaluated_again() if not fine] == []
    live_rows = await home.ledger()
    assert_same(await home.folded_anew(), live_rows)


def placed(log: FaultyLog) -> list[Placed]:
    """Return all records of a log in their places."""
    each = [(partition, [(record.timestamp, record.value) for record in log.records(partition)]) for partition in range(log.partitions)]
    return [one for partition, records in each for one in oracle.placed_in(partition, records)]


async def known(home: House) -> Known:
    """Return what the whole log says, read naively."""
    entries = {str(row["id"]) for row in await home.entries()}
    return oracle.known(placed(home.log), await home.through(), lambda one: one.said["batch"] in entries)


async def assert_held(home: House) -> None:
    """Everybody holds what they should, and only once unless links changed."""
    now = await known(home)
    who, moved = {oracle.text_of(each): each for each in now.everybody}, now.ever_linked()
    awards = held.awards_by(await home.entries(), who)
    folded = [held.fact_of(row, who) for row in await home.awards()]
    assert sorted(folded, key=repr) == sorted(({name: award[name] for name in award if name != "after"} for award in awards), key=repr)
    for person in set(now.people().values()):
        theirs, once = [award for award in awards if award["ifi"] in person], not person & moved
        for iri in held.IRIS.values():
            if now.versions(iri):
                mine = [award for award in theirs if award["matter"] == iri]
                says = oracle.judged(now, iri, person, [award for award in theirs if award["achievement"]])
                due = held.due(mine, says, now.through)
                held.assert_programme(mine, due, retired=now.is_retired(iri), once=once)
        held.assert_course([award for award in theirs if award["kind"] == "course"], oracle.completed(now, COURSE, person), once=once)


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


def test_partitions_store_by_their_own_clocks_and_ever_later() -> None:
    history = History(1, 3, BEGIN)
    log = FaultyLog(3, BEGIN, Clocks(3, history.chance, 2 * SECOND, shift=True))
    asyncio.run(log.tick([0, 1, 2]))
    assert [log.passed(partition) - BEGIN for partition in range(3)] == log.clocks.wrong_by
    assert log.gap == log.clocks.difference > SECOND
    for _ in range(200):
        log.clocks.shift()
        assert all(-2 * SECOND <= wrong_by <= 2 * SECOND for wrong_by in log.clocks.wrong_by)
        asyncio.run(log.append([history.publish("plain")]))
    stored = [record.timestamp for record in log.records(history.publish("plain").partition)]
    assert stored == sorted(set(stored))
    assert log.gap <= log.clocks.difference + 200 <= 4 * SECOND + 200


def test_the_naive_reading_knows_identities_as_records_name_them() -> None:
    account: Identity = ("account", "https://lms.example.org", "1")
    assert oracle.text_of(account) == "account:https://lms.example.org 1"
