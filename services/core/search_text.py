"""Text for searching people: without case, accents or script, cut into trigrams that an index can keep.

`folded` of a person is `fold` of the name and the identifiers; a query finds it when every word of the query, folded, is a piece of it.
"""
import unicodedata
from collections.abc import Iterable
from zlib import crc32

from anyascii import anyascii

GRAM = 3
MAX_FOLDED = 2000
"""Longer names are cut: an index entry is no place for a novel."""


def plain(text: str) -> str:
    """Return a text without case and accents, in its own script, its words separated by single spaces."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(letter for letter in decomposed if not unicodedata.combining(letter) and letter != "\0")
    return " ".join(kept.casefold().split())


def fold(texts: Iterable[str]) -> str:
    """Return what is searched of someone: each text in its own script and, where that differs, in ASCII as it sounds."""
    forms: dict[str, None] = {}
    for text in texts:
        own = plain(text[:MAX_FOLDED])
        forms[own] = None
        if not own.isascii():
            forms[plain(anyascii(own))] = None
    return " ".join(form for form in forms if form)[:MAX_FOLDED]


def grams(folded: str) -> list[int]:
    """Return the trigrams of a folded text as sorted, distinct 32-bit hashes; none for a text shorter than three letters."""
    return sorted({_hash(folded[start:start + GRAM]) for start in range(len(folded) - GRAM + 1)})


def words(query: str) -> list[str]:
    """Return the words of a query as they are looked for in folded texts."""
    return plain(query).split()


def query_grams(query: str) -> list[int]:
    """Return trigrams that every text the query matches has; none when its words are shorter than three letters."""
    return sorted({gram for word in words(query) for gram in grams(word)})


def matches(folded: str, query: str) -> bool:
    """Return whether every word of the query is a piece of the folded text."""
    return all(word in folded for word in words(query))


def _hash(gram: str) -> int:
    return crc32(gram.encode("utf-8", "surrogatepass")) - 2**31
