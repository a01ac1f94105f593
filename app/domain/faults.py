"""What pydantic found wrong with a document, as faults: each at a JSON Pointer into what was sent, none with a value in it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.domain.errors import Fault, Invalid, pointer
from app.domain.fault_words import code_and_sentence

M = TypeVar("M", bound=BaseModel)

KIND = "name"
"""The field that says which of several blocks a block is."""
# More of them help nobody, and an answer may not grow with the number of things that can be wrong in a body.
MOST_FAULTS = 100
OF_OTHER_BRANCHES = frozenset({"wrong_type", "not_allowed"})


def faults_of(errors: Sequence[Mapping[str, Any]], place_of: Callable[[Mapping[str, Any]], str]) -> list[Fault]:
    """All faults up to a hundred, those of one place (the branches of a union) told as one.

    Where a value is an object or a list that one branch takes, and only what is in it is at fault, no other branch is told.
    """
    found: dict[str, Fault] = {}
    for error in errors:
        if len(found) == MOST_FAULTS:
            break
        place, (code, detail) = place_of(error), code_and_sentence(error)
        before = found.get(place)
        if before is None:
            found[place] = Fault(place, code, detail)
        elif detail not in before.detail:
            found[place] = Fault(place, before.code, f"{before.detail} Or: {detail}")
    entered = {place[:end] for place in found for end, sign in enumerate(place) if sign == "/"}
    return [fault for place, fault in found.items() if place not in entered or fault.code not in OF_OTHER_BRANCHES]


def validated(model: type[M], body: object) -> M:
    """What was sent as a pydantic model, or Invalid with all its faults."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise Invalid(faults_of(found, lambda fault: place_in(body, fault["loc"], fault["type"]))) from None


def place_in(body: object, path: Sequence[str | int], type: str) -> str:
    """The JSON Pointer of a fault of that type at pydantic's path; a kind that is none is at the field that says it."""
    steps = [*_steps(path, body, missing=type == "missing")]
    return pointer(*steps, *([KIND] if type in ("union_tag_invalid", "union_tag_not_found") else []))


def _steps(path: Sequence[str | int], body: object, *, missing: bool) -> Iterator[str | int]:
    """The steps that exist in the body; pydantic's path also names union branches and discriminator values."""
    here = body
    for place, step in enumerate(path):
        last = place == len(path) - 1
        tag = isinstance(here, dict) and here.get(KIND) == step and not last
        if _has(here, step) and not tag:
            yield step
            here = here[step]  # type: ignore[index]  # _has says that it can be
        elif last and missing:
            yield step


def _has(here: object, step: str | int) -> bool:
    if isinstance(here, list):
        return isinstance(step, int) and step < len(here)
    return isinstance(here, dict) and step in here
