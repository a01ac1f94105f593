"""Dotted paths into a spec: `optimizer.learning_rate` names one value, `optimizer` the whole block."""

from collections.abc import Iterable, Mapping, Sequence
from typing import get_args, get_origin

from pydantic import BaseModel, JsonValue

from app.domain.errors import pointer
from app.domain.spec.spec import JobSpec


def path_exists(path: str) -> bool:
    """True where a spec may have a value; under fields that map names (`metadata`, `columns`) that is any name."""
    return _holds(JobSpec, steps_of(path))


def steps_of(path: str) -> list[str]:
    """A field, or a block and what stands in it; a name behind the first dot may hold dots of its own."""
    return path.split(".", 1)


def path_above(paths: Iterable[str], place: str) -> tuple[str, str] | None:
    """The longest of the paths at or below which a JSON Pointer into a spec lies, and the pointer's rest behind it."""
    for path in sorted(paths, key=lambda path: -len(steps_of(path))):
        there = pointer(*steps_of(path))
        if place == there or place.startswith(f"{there}/"):
            return path, place.removeprefix(there)
    return None


def _holds(annotation: object, steps: Sequence[str]) -> bool:
    if not steps:
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(steps[0])
        return field is not None and _holds(field.annotation, steps[1:])
    if get_origin(annotation) is dict:
        return True
    return any(_holds(part, steps) for part in get_args(annotation))


def with_values(spec: Mapping[str, JsonValue], values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The spec with each path set; blocks are set first, so that a value may differ from that in its block.

    A block that the spec leaves to its default is that default where one of its values is set.
    """
    changed = dict(spec)
    for path in sorted(values, key=lambda path: len(steps_of(path))):
        block, *name = steps_of(path)
        changed[block] = {**_block(changed, block), name[0]: values[path]} if name else values[path]
    return changed


def _block(spec: Mapping[str, JsonValue], name: str) -> dict[str, JsonValue]:
    there = spec.get(name)
    if isinstance(there, dict):
        return there
    kind = getattr(JobSpec.model_fields[name].default, "name", None)
    return {} if kind is None else {"name": kind}
