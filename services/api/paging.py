"""Pages of the lists of /v1: `limit` and `after` in, the rows of one page and `next` out. A list asks the store for one row more than it shows."""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from services.api import parameters
from services.api.cursor import Cursors, Place
from services.api.parameters import LIMIT, Parameter
from services.runtime.callers.auth import Caller

PAGING = (LIMIT, Parameter("after", "Where the page before ended: an opaque text from `next`."))
_USUAL = 100
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Page:
    """A page that is asked for: how many rows at most, and the place to go on from; None: from the beginning."""

    limit: int
    after: Sequence[int | str] | None
    _url: Callable[[Place], str]

    @property
    def wanted(self) -> int:
        """How many rows to ask the store for: the last one only says that there is a page after this."""
        return self.limit + 1

    def cut(self, rows: Sequence[_Row], place_of: Callable[[_Row], Place]) -> tuple[Sequence[_Row], str | None]:
        """Return those of up to `wanted` rows, in their order, that are on the page, and the URL of the next page, None at the end."""
        shown = rows[: self.limit]
        return shown, self._url(place_of(shown[-1])) if len(rows) > len(shown) else None


def page_asked(cursors: Cursors, caller: Caller, path: str, params: Mapping[str, str]) -> Page:
    """Return the page that the parameters of a request for `path` ask for. Raises BadRequest."""
    limit = parameters.limit(params, _USUAL)
    return Page(limit, cursors.place("after", caller, path, params), lambda place: cursors.url("after", caller, path, params, place))
