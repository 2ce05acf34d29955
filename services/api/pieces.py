"""SQL texts put together of constant pieces of .sql files: `{mark}` takes pieces, `:name` becomes $1, $2, …; never anything of a request."""
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from services.runtime.postgres import Statements

_COMMENT = re.compile(r"--.*")
_MARK = re.compile(r"\{([a-z_]+)\}")
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Sql:
    """A text and the names of its parameters, in order. Each text is one object, so that it is prepared once a connection."""

    text: str
    names: tuple[str, ...]

    def args(self, values: Mapping[str, object]) -> list[object]:
        """Return the arguments among `values`. Raises KeyError for one that is missing."""
        return [values[name] for name in self.names]


class Piece(NamedTuple):
    """A piece some of whose marks take others than everywhere else in the text."""

    name: str
    chosen: tuple[tuple[str, tuple["str | Piece", ...]], ...]


class Pieces:
    """The pieces of one file, or of several whose names differ."""

    def __init__(self, *files: Path) -> None:
        """Each file is read once."""
        self._pieces = {name: _COMMENT.sub("", statements[name]).strip() for statements in map(Statements, files) for name in statements}
        self.compose = lru_cache(maxsize=256)(self._compose)

    def _compose(self, name: str, **chosen: tuple[str | Piece, ...]) -> Sql:
        """Return the text `name`: each mark takes the pieces chosen for it, or the piece of its own name."""
        text = self._filled(name, chosen)
        names = tuple(dict.fromkeys(_PARAMETER.findall(text)))
        return Sql(_PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", text), names)

    def _filled(self, piece: str | Piece, chosen: Mapping[str, tuple[str | Piece, ...]]) -> str:
        if isinstance(piece, Piece):
            return self._filled(piece.name, {**chosen, **dict(piece.chosen)})

        def fill(mark: re.Match[str]) -> str:
            return " ".join(self._filled(each, chosen) for each in chosen.get(mark[1], (mark[1],)))

        return _MARK.sub(fill, self._pieces[piece])
