"""How many learners are taken at once, and how fast a sweep goes on: nobody waits long for what concerns everybody, and the sweep comes to its end."""
import time
from collections.abc import Callable, Collection

MOST = 100
"""So many learners are woken at once, at most."""
PAGE_S = 0.25
"""What is woken at once is to be judged within this time: whoever is woken after it stands behind it in the queue."""
ENOUGH_UNDER_WAY = 200
"""While more decisions are on their way, a sweep adds to them only now and then: they are folded before what is decided next."""
_PATIENCE_S = 2.0
_SHARE = 4
"""While others are woken all the time, a sweep has one part of the time in so many."""


class Portion:
    """How many learners are to be taken at once, by what judging them took."""

    def __init__(self, size: int, most: int, within_s: float) -> None:
        """Begin with `size`, and never take more than `most`; a portion is to be judged within so many seconds."""
        self.size = size
        self._most, self._within_s = most, within_s

    def judged(self, learners: int, seconds: float) -> None:
        """Note how long it took to judge so many."""
        if seconds > self._within_s:
            self.size = max(1, min(self.size, int(learners * self._within_s / seconds)))
        elif learners >= self.size:
            self.size = min(self._most, 2 * self.size)

    def failed(self) -> None:
        """Note that a portion could not be judged at all: the next is smaller."""
        self.size = max(1, self.size // 2)


class Pace:
    """The pace of the sweeps of one tenant, by what judging its learners took. Begins with a single one, for nobody knows what the rules cost."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody was woken yet. `clock` gives seconds."""
        self._clock = clock
        self._portion = Portion(1, MOST, PAGE_S)
        self._took = 0.0
        self._woke = self._rests_until = -float("inf")
        self._waiting = False
        self._each = 1.0
        """Of so many learners of the last page one was woken."""

    @property
    def page(self) -> int:
        """How many learners are to be woken at once."""
        return self._portion.size

    @property
    def awaits_its_page(self) -> bool:
        """Whether the page that was woken last is still to be judged, as far as this decider knows: another may have done so."""
        return self._waiting

    @property
    def is_over(self) -> bool:
        """Whether nothing is left of it, if there is no sweep: no page that may still be judged here, and no rest that is owed."""
        now = self._clock()
        return now >= self._rests_until and not (self._waiting and now - self._woke < _PATIENCE_S)

    def may_wake(self, *, others: bool, under_way: int, pressed: bool) -> bool:
        """Return whether to go on now. `others`: somebody else is being decided about; `under_way`: so many decisions are; `pressed`: folds have much to do."""
        now = self._clock()
        since = now - self._woke
        if not pressed:
            self._rests_until = now
        if now < self._rests_until:
            return False
        if under_way > ENOUGH_UNDER_WAY:
            return since >= _PATIENCE_S
        return not others or since >= self._took * _SHARE

    def woke(self, rows: int) -> None:
        """Note that a page of learners was woken, by so many rows: it may not concern all of them."""
        self._woke, self._waiting = self._clock(), True
        self._each = self.page / min(self.page, max(1, rows))

    def judged(self, learners: int, seconds: float) -> None:
        """Note how long it took to judge so many."""
        self._took, self._waiting = seconds, False
        self._portion.judged(round(learners * self._each), seconds)

    def owe(self, seconds: float) -> None:
        """Rest for so long before the next page, while folds are pressed: whoever else is decided about does not."""
        self._rests_until = max(self._clock(), self._rests_until) + seconds


def keep(paces: dict[int, Pace], tenants: Collection[int]) -> None:
    """Have a pace for each of these tenants, who have sweeps, and else for those alone who are not done with their last one."""
    for tenant_id in paces.keys() - set(tenants):
        if paces[tenant_id].is_over:
            del paces[tenant_id]
    for tenant_id in tenants:
        paces.setdefault(tenant_id, Pace())
