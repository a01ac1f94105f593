"""What pydantic found wrong with a document, as faults: each at a JSON Pointer into what was sent, none with a value in it."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.domain.errors import Fault, Invalid, pointer

M = TypeVar("M", bound=BaseModel)

# How pydantic begins its sentences, and how it writes the members of an enumeration.
_SUBJECT = re.compile(r"^\w+ should")
_ENUM_MEMBER = re.compile(r"<\w+\.\w+: ('[^']*')>")

_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "finite_number": "not_finite",
    "literal_error": "not_allowed",
    "enum": "not_allowed",
    "union_tag_invalid": "not_allowed",
    "union_tag_not_found": "missing",
    "too_long": "too_long",
    "string_too_long": "too_long",
    "too_short": "too_short",
    "string_too_short": "too_short",
    "string_pattern_mismatch": "bad_format",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
}
# More of them help nobody, and an answer may not grow with the number of things that can be wrong in a body.
MOST_FAULTS = 100

_DETAILS = {
    "missing": "This field is required.",
    "extra_forbidden": "There is no such field here.",
    "union_tag_not_found": "The field `name`, which says what kind it is, is required.",
    "json_invalid": "The body is not JSON.",
}


def faults_of(errors: Sequence[Mapping[str, Any]], place_of: Callable[[Mapping[str, Any]], str]) -> list[Fault]:
    """All faults up to a hundred, those of one place (the branches of a union) told as one."""
    found: dict[str, Fault] = {}
    for error in errors:
        if len(found) == MOST_FAULTS:
            break
        place, detail = place_of(error), _detail(error)
        before = found.get(place)
        if before is None:
            found[place] = Fault(place, _code(error["type"]), detail)
        elif detail not in before.detail:
            found[place] = Fault(place, before.code, f"{before.detail} Or: {detail}")
    return list(found.values())


def validated(model: type[M], body: object) -> M:
    """What was sent as a pydantic model, or Invalid with all its faults."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise Invalid(faults_of(found, lambda fault: place_in(body, fault["loc"], fault["type"]))) from None


def place_in(body: object, path: Sequence[str | int], type: str) -> str:
    """The JSON Pointer of a fault of that type at pydantic's path."""
    return pointer(*_steps(path, body, missing=type == "missing"))


def _steps(path: Sequence[str | int], body: object, *, missing: bool) -> Iterator[str | int]:
    """The steps that exist in the body; pydantic's path also names union branches and discriminator values."""
    here = body
    for place, step in enumerate(path):
        last = place == len(path) - 1
        tag = isinstance(here, dict) and here.get("name") == step and not last
        if _has(here, step) and not tag:
            yield step
            here = here[step]  # type: ignore[index]  # _has says that it can be
        elif last and missing:
            yield step


def _has(here: object, step: str | int) -> bool:
    if isinstance(here, list):
        return isinstance(step, int) and step < len(here)
    return isinstance(here, dict) and step in here


def _code(type: str) -> str:
    if type in _CODES:
        return _CODES[type]
    return "wrong_type" if type.endswith(("_type", "_parsing", "_from_float")) else "invalid"


def _detail(error: Mapping[str, Any]) -> str:
    type = error["type"]
    if type == "union_tag_invalid":
        return f"It must be one of {error['ctx']['expected_tags']}."
    if type in _DETAILS:
        return _DETAILS[type]
    sentence = _ENUM_MEMBER.sub(r"\1", str(error["msg"])).removeprefix("Value error, ")
    return _SUBJECT.sub("It should", sentence) + "."
