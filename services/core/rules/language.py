"""The language that programmes are written in: YAML 1.2 or JSON, one closed vocabulary (docs/rules.md)."""
import hashlib
from typing import Any

import orjson

from services.core.errors import InvalidProgramme
from services.core.json_slices import escape
from services.core.rules import schema
from services.core.rules.calendar import span
from services.core.rules.reading import Reading
from services.core.rules.tree import AwardTerms, Policies, Programme, Renewal, Validity
from services.core.rules.yaml_text import Unreadable, line_of, read

MOST_FAULTS = 50


def parse(text: bytes | str) -> Programme:
    """Return the programme that a text describes.

    Raises InvalidProgramme, whose `faults` name every fault found, at most 50, by JSON pointer, line and sentence, in the order of the text; its own
    detail, pointer and `line` are those of the first.
    """
    try:
        document, mark = read(text)
    except Unreadable as error:
        raise _refusal([(error.line, "", error.sentence)]) from error
    if not isinstance(document, dict):
        raise _refusal([(1, "", "The text must be an object with the members programme, version, title and requires.")])
    faults = list(schema.faults(document))
    if not faults:
        reading = Reading(document)
        programme = _programme(document, reading)
        if not reading.faults:
            return programme
        faults = reading.faults
    raise _refusal(sorted((line_of(mark, path), _pointer(path), f"{_pointer(path) or 'The programme'} {sentence}.") for path, sentence in faults))


def _programme(document: dict[str, Any], reading: Reading) -> Programme:
    validity = document.get("validity")
    return Programme(
        iri=document["programme"], slug=reading.slug(), version=int(document["version"]), title=document["title"], requires=reading.rule(),
        award=_award(document["award"]) if "award" in document else None,
        validity=None if validity is None else Validity(span(validity["for"]) if "for" in validity else None),
        renewal=_renewal(document.get("renewal", {})), on=Policies(**document.get("on", {})),
        effective=schema.instant(document["effective"]) if "effective" in document else None, issuer=document.get("issuer"),
        document=document, sha256=hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest(),
    )


def _award(award: dict[str, Any]) -> AwardTerms:
    given = {name: value for name, value in award.items() if name not in ("per", "alignment")}
    return AwardTerms(**given, alignment=tuple(award.get("alignment", ())))


def _renewal(renewal: dict[str, Any]) -> Renewal:
    return Renewal(
        span(renewal["open"]) if "open" in renewal else None, span(renewal["grace"]) if "grace" in renewal else None,
        tuple(found for text in renewal.get("remind", ()) if (found := span(text)) is not None),
    )


def _pointer(path: schema.Path) -> str:
    return "".join(f"/{escape(str(step))}" for step in path)


def _refusal(faults: list[tuple[int, str, str]]) -> InvalidProgramme:
    told = [{"line": line, "pointer": pointer, "detail": sentence} for line, pointer, sentence in faults[:MOST_FAULTS]]
    line, pointer, sentence = faults[0]
    return InvalidProgramme(f"Line {line}: {sentence}", pointer=pointer, line=line, faults=told)
