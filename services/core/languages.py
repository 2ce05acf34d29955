"""Which language of a language map to show: Accept-Language (RFC 9110 12.5.4) read with patience, and the best tag for it by lookup (RFC 4647 3.4).

For each range in the order of preference: the tag itself, then a tag that says more (`en` takes `en-GB`), then the same with the range shortened by its last
subtag. Where nothing fits, a map still shows one language: English if it is there, else the first in alphabetical order.
"""
import re
from collections.abc import Collection, Iterator

_MAX_CHARS = 2048
_MAX_RANGES = 32
_WEIGHT = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
_RANGE = re.compile(r"\*|[a-z]{1,8}(?:-(?:[a-z0-9]{1,8}|\*)){0,8}", re.IGNORECASE)
_DEFAULT = "en"


class Languages:
    """What a reader prefers, read once from a header and then asked for each map."""

    def __init__(self, header: str | None = None) -> None:
        """`header` is the value of Accept-Language: items of it that cannot be read, and what is beyond 32 items or 2,048 characters, count as not sent."""
        weighed = _weighed(header or "")
        self._ranges = [one for one, weight in sorted(weighed.items(), key=lambda item: -item[1]) if weight > 0]
        self._refused = {one for one, weight in weighed.items() if weight == 0}
        self._known: dict[tuple[str, ...], str] = {}

    def best(self, tags: Collection[str]) -> str:
        """Return the best of these tags, as it is written among them. There has to be one at least."""
        key = tuple(tags)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._best(key)
        return found

    def _best(self, tags: tuple[str, ...]) -> str:
        lower = {tag.lower(): tag for tag in sorted(tags, reverse=True)}
        welcome = {low: tag for low, tag in lower.items() if not self._is_refused(low)} or lower
        by_prefix = _by_prefix(welcome)
        for wanted in self._ranges:
            if wanted == "*":
                break
            if (found := _looked_up(wanted, by_prefix)) is not None:
                return found
        return by_prefix.get(_DEFAULT) or welcome[min(welcome)]

    def _is_refused(self, tag: str) -> bool:
        """Whether q=0 names it, unless a range that is wanted names it more closely."""
        if not self._refused:
            return False
        decisive = next((one for one in (tag, *_beginnings(tag), "*") if one in self._refused or one in self._ranges), None)
        return decisive in self._refused


def _weighed(header: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in header[:_MAX_CHARS].split(",")[:_MAX_RANGES]:
        name, *parameters = (part.strip() for part in item.split(";"))
        weight = _WEIGHT.fullmatch(parameters[0]) if len(parameters) == 1 else None
        if _RANGE.fullmatch(name) and (weight is not None or not parameters):
            found.setdefault(name.lower(), float(weight[1]) if weight else 1.0)
    return found


def _beginnings(tag: str) -> Iterator[str]:
    """Return the tag without its last subtag, without its last two, and so on."""
    while (end := tag.rfind("-")) > 0:
        tag = tag[:end]
        yield tag


def _by_prefix(tags: dict[str, str]) -> dict[str, str]:
    """Return for each tag, and each beginning of one, which tag it stands for: itself, else the first that begins so."""
    found: dict[str, str] = {}
    for low in sorted(tags):
        for beginning in _beginnings(low):
            found.setdefault(beginning, tags[low])
    return found | tags


def _looked_up(wanted: str, by_prefix: dict[str, str]) -> str | None:
    subtags = [subtag for subtag in wanted.split("-") if subtag != "*"]
    while subtags:
        if (found := by_prefix.get("-".join(subtags))) is not None:
            return found
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:  # a singleton begins something and says nothing alone (RFC 4647 3.4)
            subtags.pop()
    return None
