"""Requests made from the description of the API: what it allows, and what it forbids. Each answer is one that it describes, none is a 5xx, none costs much."""
import os
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from tests.fuzz.target import COMMON, Target

Operation = APIOperation[Any, Any, Any, Any]
SOAK = bool(os.environ.get("TESTAMUR_SOAK"))
DESCRIPTION = schemathesis.openapi.from_path(Path(__file__).parents[2] / "schemas" / "openapi" / "v1.json")
OPERATIONS: dict[str, Operation] = {found.ok().label: found.ok() for found in DESCRIPTION.get_all_operations() if isinstance(found, Ok)}
MODES = {"as described": GenerationMode.POSITIVE, "otherwise": GenerationMode.NEGATIVE}
ASKED = [
    (label, mode) for label, operation in OPERATIONS.items() for mode in MODES
    if mode == "as described" or operation.definition.raw.get("security") != []  # nothing can be wrong about a request without parameters and without a key
]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
REQUESTS = 100_000 if SOAK else 400
EXAMPLES = REQUESTS // len(ASKED) + 1


def test_the_description_names_every_operation() -> None:
    assert {"PUT /xapi/statements", "POST /xapi/statements", "GET /xapi/statements", "GET /v1/learners"} <= OPERATIONS.keys()


@pytest.mark.timeout(7200 if SOAK else 120)
@pytest.mark.parametrize(("label", "mode"), ASKED)
def test_whatever_is_asked_is_answered_as_described(target: Target, label: str, mode: str) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=not SOAK, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        case = data.draw(OPERATIONS[label].as_strategy(generation_mode=MODES[mode]))
        case.headers.setdefault("Authorization", COMMON["Authorization"])
        with target.frugal(case):
            answer = case.call(base_url=target.url)
        case.validate_response(answer, checks=CHECKS)

    ask()
