"""Fairness of deciders: who is quick, of another tenant, or behind a sweep waits for nobody who is slow, and nothing grows with what others have done."""
import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.core.rules.wake_keys import ANY, NO_ACTIVITY
from services.projector.decider import batch, judging, pace, sweeps
from services.projector.decider.batch import decide
from services.projector.decider.decider import Decider
from services.projector.decider.deciding import Deciding
from services.projector.decider.matters import Waking, matters_of
from services.projector.decider.pace import Pace
from services.projector.decider.turn import Turn
from services.projector.turns import Turns
from services.runtime.evaluation.judge import judge_programme
from services.runtime.evaluation.load import load_facts
from services.runtime.log import NewRecord
from services.runtime.log.memory_log import MemoryLog
from tests.integration.deciding import (
    FINGERPRINT,
    HASHES,
    decider_connection,
    describe,
    did,
    fold_all,
    ifi_of,
    link,
    make,
    passes,
    post,
    programme,
    publish,
    ready,
)
from tests.integration.projecting import append, until

UNREAD = 77
"""A key that no programme reads: rows with it wake learners for nothing."""


class Pressed:
    """A Turn while folds are pressed as hard as can be, by a clock that goes on only when it is told to."""

    def __init__(self, stack: ExitStack, *, really: bool) -> None:
        """Rest `really`, or only note it."""
        self.now, self.rests, self._really = 0.0, list[float](), really
        turns = Turns(lambda: self.now)
        stack.enter_context(turns.folding())
        self.now += 60
        self.turn = Turn(turns, self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.rests.append(seconds)
        await asyncio.sleep(seconds if self._really else 0)  # noqa: TID251 - the rest itself is what must not count

    def deciding(self, log: MemoryLog) -> Deciding:
        """Return what a decider keeps in mind that gives way by this."""
        self.turn.begin()
        return Deciding(HASHES, log.partitions, FINGERPRINT, self.turn)


def costly(monkeypatch: pytest.MonkeyPatch, slow: Sequence[UUID], seconds: float) -> None:
    """Have judging these take so long."""

    def judged(person: Any, *arguments: Any) -> Any:
        if person.members.learner in slow:
            time.sleep(seconds)  # noqa: TID251 - what takes long is what is tested
        return judge_programme(person, *arguments)

    monkeypatch.setattr(judging, "judge_programme", judged)


async def wake(conn: batch.Connection, actors: Sequence[str], key: int = UNREAD, *, due: int = 1, cause: UUID | None = None) -> None:
    """Queue a row of each of these."""
    await conn.execute(
        "insert into wake select 1, ifi, $2, $3, $4, $4, $5 from unnest($1::uuid[]) as n (ifi) on conflict do nothing",
        [ifi_of(actor) for actor in actors], key, NO_ACTIVITY, due, cause)


async def test_a_sweep_whose_pages_wake_nobody_takes_larger_and_larger_ones(database: str) -> None:
    people, log, rounds = 40, MemoryLog(1), 0
    async with ready(database, log, *(did(f"p{n}", "knots") for n in range(people))) as conn:
        await append(log, describe(log, "never-taken"))
        await fold_all(database, log)
        await conn.execute("delete from wake")
        assert await conn.fetchval("select count(*) from sweep") == 1
        decider = Decider("", log, HASHES)
        while await decider.round(conn):
            rounds += 1
        assert not await conn.fetch("select from sweep")
    assert rounds <= people / 2


async def test_a_sweep_that_concerns_every_second_learner_takes_larger_and_larger_pages(database: str) -> None:
    people, log, rounds = 60, MemoryLog(1), 0
    async with ready(database, log, *(did(f"p{n}", "knots" if n % 2 else "taken") for n in range(people))) as conn:
        await append(log, describe(log, "taken"))
        await fold_all(database, log)
        await conn.execute("delete from wake")
        decider = Decider("", log, HASHES)
        while await decider.round(conn):
            rounds += 1
        assert not await conn.fetch("select from sweep")
    assert rounds <= people / 4


async def test_a_tenant_whose_rules_are_slow_does_not_have_others_taken_one_by_one(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.projector.decider.deciding._USUAL_S", 0.05)
    log, slow, quick = MemoryLog(1), [f"p{n}" for n in range(4)], [f"q{n}" for n in range(20)]
    async with ready(database, log, *(did(actor, "rope") for actor in slow)) as conn:
        for each in (post(log, did(actor, "rope"), actor=actor) for actor in quick):
            await append(log, NewRecord(each.partition, each.key, each.value.replace(b'"tenant":"default"', b'"tenant":"other"'), each.count))
        await fold_all(database, log)
        costly(monkeypatch, [ifi_of(actor) for actor in slow], 0.1)
        await Decider("", log, HASHES).round(conn)
        assert await conn.fetch("select from under_way where tenant_id = 1"), "the slow one has its turn first"
        assert not await conn.fetch("select from wake where tenant_id <> 1")


async def test_who_is_quick_is_not_set_apart_because_the_decider_rested(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_LEARNER_S", 0.4)
    log, three = MemoryLog(1), [programme(f"guide{n}", passes("knots")) for n in range(3)]
    await append(log, *(publish(log, each) for each in three))
    with ExitStack() as stack:
        async with ready(database, log, did("ada", "knots")) as conn:
            pressed = Pressed(stack, really=True)

            def judged(*arguments: Any) -> Any:
                pressed.now += 0.1
                return judge_programme(*arguments)

            monkeypatch.setattr(judging, "judge_programme", judged)
            mine = pressed.deciding(log)
            _, decided = await decide(conn, mine, 1, "default")
    assert sum(pressed.rests) > 0.4, "longer than anybody may take"
    assert (len(mine.apart), len(decided)) == (0, len(three))


async def test_completions_of_many_are_asked_for_in_parts_and_all_come_to_their_end(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    people, each, log, asked = 200, 100, MemoryLog(1), list[int]()

    async def counted(conn: Any, tenant_id: int, group: Any, moment: Any, activities: Any, *rest: Any) -> None:
        asked.append(sum(len(one.members.ifis) for one in group) * len(activities))
        await load_facts(conn, tenant_id, group, moment, activities, *rest)

    monkeypatch.setattr(judging, "load_facts", counted)
    async with ready(database, log, *(did(f"p{n}", "knots") for n in range(people))) as conn:
        await conn.execute("delete from wake")
        await conn.execute(
            "insert into wake select 1, ifi, 0, md5(ifi::text || n)::uuid, 1, 1, null from unnest($1::uuid[]) ifi cross join generate_series(1, $2::int) n",
            [ifi_of(f"p{n}") for n in range(people)], each)
        mine = make(log)
        while (await decide(conn, mine, 1, "default"))[0]:
            pass
        assert not await conn.fetch("select from wake")
    assert max(asked) <= 20_000
    assert sum(asked) >= people * each


async def test_a_learner_of_many_rows_whom_another_decider_has_in_hand_keeps_nobody_else_waiting(database: str) -> None:
    log = MemoryLog(1)
    async with ready(database, log, did("ada", "rope"), did("bo", "rope")) as conn, decider_connection(database) as other:
        await conn.execute("insert into wake select 1, $1, $2, md5(n::text)::uuid, 1, 1, null from generate_series(1, 2000) n", ifi_of("ada"), UNREAD)
        decider = Decider("", log, HASHES)

        async def decided(actor: str) -> bool:
            await decider.round(conn)
            return bool(await conn.fetch("select from under_way_ifi where ifi = $1", ifi_of(actor)))

        async with other.transaction():
            assert await other.fetch(batch._sql.lock, 1, [ifi_of("ada")])
            assert [await decided("bo") for _ in range(3)][-1]
            assert not await decided("ada")
        await until(lambda: decided("ada"))


async def test_a_transaction_that_finds_what_rows_concern_does_not_rest_for_long(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log, people = MemoryLog(1), [f"p{n}" for n in range(20)]
    with ExitStack() as stack:
        async with ready(database, log, *(did(actor, "knots") for actor in people)) as conn:
            await conn.execute("delete from wake")
            await wake(conn, people)
            pressed = Pressed(stack, really=False)

            def found(*arguments: Any) -> Any:
                pressed.now += 0.1
                return matters_of(*arguments)

            monkeypatch.setattr(judging, "matters_of", found)
            assert await decide(conn, pressed.deciding(log), 1, "default") == (len(people), [])
            assert not await conn.fetch("select from wake")
    assert sum(pressed.rests) <= 1.0, "Postgres ends a session that asks nothing for 4 s"


async def test_rows_of_many_runs_that_woke_a_learner_for_the_same_are_looked_at_as_one(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log, seen = MemoryLog(1), list[list[Waking]]()

    def found(person: Any, rows: Any, *arguments: Any) -> Any:
        seen.append(sorted(rows))
        return matters_of(person, seen[-1], *arguments)

    monkeypatch.setattr(judging, "matters_of", found)
    async with ready(database, log, did("ada", "knots"), did("bo", "knots")) as conn:
        await conn.execute("delete from wake")
        for due in (5, 3, 4):
            await wake(conn, ["ada", "bo"], due=due)
        await wake(conn, ["ada"], UNREAD + 1, due=6)
        await conn.execute("update wake set at = null where ifi = $1 and due = 4", ifi_of("bo"))
        assert await decide(conn, make(log), 1, "default") == (2, [])
        assert not await conn.fetch("select from wake")
    of = {rows[0].ifi: [(row.key, row.at) for row in rows] for rows in seen}
    assert of == {ifi_of("ada"): [(UNREAD, 3), (UNREAD + 1, 6)], ifi_of("bo"): [(UNREAD, None)]}


async def test_a_portion_grows_again_where_learners_have_several_identities(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.projector.decider.deciding._USUAL_S", 60.0)
    log, people, sizes = MemoryLog(1), 8, list[int]()
    async with ready(database, log, *(did(f"{name}{n}", "rope") for n in range(people) for name in "pq")) as conn:
        await append(log, *(link(log, uuid4(), f"p{n}", f"q{n}") for n in range(people)))
        await fold_all(database, log)
        mine = make(log)
        mine.portions[1].size = 1
        while (await decide(conn, mine, 1, "default"))[0]:
            sizes.append(mine.portions[1].size)
    assert sizes[:3] == [2, 4, 8]


async def test_cheap_work_beside_a_sweep_does_not_have_more_learners_woken_at_once_whose_rules_take_long(
    database: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "PAGE_S", 0.03)
    log, woken, people = MemoryLog(1), list[int](), [f"p{n}" for n in range(8)]
    async with ready(database, log, *(did(actor, "knots") for actor in people)) as conn:
        await append(log, publish(log, programme("guide", passes("mountain"))))
        await fold_all(database, log)
        await conn.execute("delete from wake")
        costly(monkeypatch, [ifi_of(actor) for actor in people], 0.02)
        decider = Decider("", log, HASHES)

        async def over() -> bool:
            await wake(conn, people, cause=uuid4())
            await decider.round(conn)
            woken.append(await conn.fetchval("select count(distinct ifi) from wake where cause is null"))
            return not await conn.fetch("select from sweep")

        await until(over)
    assert max(woken) <= 2, "one takes 0.02 s: more than two never fit"
    assert sum(woken) >= len(people)


@pytest.mark.parametrize("others", [[], ["ada"]])
async def test_a_sweep_rests_alone_for_what_its_page_took_while_folds_are_pressed(
    database: str, monkeypatch: pytest.MonkeyPatch, others: list[str],
) -> None:
    log, people = MemoryLog(1), [f"p{n}" for n in range(4)]
    with ExitStack() as stack:
        async with ready(database, log, *(did(actor, "knots") for actor in [*people, *others])) as conn:
            await append(log, publish(log, programme("guide", passes("knots"))))
            await fold_all(database, log)
            await sweeps.spread(conn, FINGERPRINT, 1, 10)
            await conn.execute("delete from wake where ifi <> all($1::uuid[])", [ifi_of(actor) for actor in people])
            await wake(conn, others, ANY, cause=uuid4())
            pressed = Pressed(stack, really=False)
            began = pressed.now

            def judged(*arguments: Any) -> Any:
                pressed.now += 0.1
                return judge_programme(*arguments)

            monkeypatch.setattr(judging, "judge_programme", judged)
            mine = pressed.deciding(log)
            swept = mine.paces[1] = Pace(lambda: pressed.now)
            swept.woke(len(people))
            _, decided = await decide(conn, mine, 1, "default")
            assert len(decided) == len(people) + len(others)
            assert set(pressed.rests) == {0}, "who stands behind the page waits for its judging alone"
            await mine.turn.end()
    rest, share = (pressed.now - began) * 15, len(people) / len(decided)
    assert sum(pressed.rests) == pytest.approx(rest * (1 - share)), "what others took is rested for as ever"
    pressed.now += rest * share - 0.01
    assert not swept.may_wake(others=False, under_way=0, pressed=True)
    pressed.now += 0.02
    assert swept.may_wake(others=False, under_way=0, pressed=True)


async def test_only_who_was_woken_by_a_sweep_tells_how_fast_it_may_go_on(database: str) -> None:
    log, people, pages = MemoryLog(1), [f"p{n}" for n in range(8)], list[int]()
    async with ready(database, log, *(did(actor, "knots") for actor in people)) as conn:
        await conn.execute("delete from wake")
        mine = make(log)
        mine.paces[1] = Pace()
        mine.paces[1].judged(1, 0)
        for by_sweep in range(3):
            await wake(conn, people, cause=uuid4())
            await wake(conn, people[:by_sweep], UNREAD + 1)
            assert await decide(conn, mine, 1, "default") == (len(people), [])
            pages.append(mine.paces[1].page)
    assert pages == [2, 2, 4]


async def test_a_batch_that_failed_is_followed_by_one_of_half_as_many(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = MemoryLog(1)

    async def broken(*_: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(judging, "load_facts", broken)
    async with ready(database, log, did("ada", "rope")) as conn:
        decider = Decider("", log, HASHES)
        before = decider._deciding.portions[1].size
        await decider.round(conn)
    assert decider._deciding.portions[1].size == before / 2
