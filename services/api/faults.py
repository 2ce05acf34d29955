"""What is wrong with the body of a domain write, in our own words: the models' library speaks of itself, and points into its own types."""
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from services.core.errors import BadRequest
from services.core.explain_shapes import kind_of
from services.core.json_slices import escape

_WANTED = {
    "string_type": "a string", "float_type": "a number", "int_type": "a whole number", "bool_type": "true or false", "list_type": "an array",
    "dict_type": "an object", "model_type": "an object", "model_attributes_type": "an object",
}


def refusal(error: ValidationError, body: dict[str, Any]) -> BadRequest:
    """Return the refusal of a body, about its first fault; the pointer leads to something that is in the body."""
    found = [(_pointer(fault["loc"], body), fault) for fault in error.errors(include_url=False)]
    pointer = found[0][0]
    deeper = [each for each in found if each[0].startswith(f"{pointer}/")] if _wanted(found[0][1]) else []
    if deeper:  # of several kinds that are allowed here the body has one, and the fault is inside it
        pointer = deeper[0][0]
    here = [fault for where, fault in found if where == pointer]
    return BadRequest(f"{pointer or 'The body'} {_sentence(here)}.", pointer=pointer)


def _pointer(steps: Sequence[int | str], value: Any) -> str:
    """Return the pointer to what a fault is about: steps into alternatives of a type, and to what is missing, lead nowhere in the body."""
    pointer = ""
    for step in steps:
        if isinstance(value, dict) and step in value:
            pointer, value = f"{pointer}/{escape(str(step))}", value[step]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            pointer, value = f"{pointer}/{step}", value[step]
    return pointer


def _wanted(fault: ErrorDetails) -> str | None:
    return _WANTED.get(fault["type"])


def _sentence(faults: Sequence[ErrorDetails]) -> str:
    fault = faults[0]
    kind, limits = fault["type"], fault.get("ctx", {})
    if _wanted(fault):
        kinds = list(dict.fromkeys(wanted for each in faults if (wanted := _wanted(each))))
        return f"must be {' or '.join(kinds)}, not {kind_of(fault['input'])}"
    sentences = {
        "missing": f'lacks "{fault["loc"][-1]}"',
        "extra_forbidden": "is not a property that belongs here",
        "too_short": f"must hold at least {limits.get('min_length')}",
        "too_long": f"must hold at most {limits.get('max_length')}",
        "string_too_long": f"may have at most {limits.get('max_length')} characters",
        "greater_than_equal": f"must be {limits.get('ge', 0):g} or more",
        "less_than_equal": f"must be {limits.get('le', 0):g} or less",
        "literal_error": f"must be one of {limits.get('expected')}",
        "finite_number": "must be a finite number",
    }
    return sentences.get(kind, "is not what belongs here")
