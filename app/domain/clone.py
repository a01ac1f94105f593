"""A clone: a new job from another one's spec, in which some values are set."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import Field, JsonValue

from app.domain.errors import Fault, Invalid, pointer
from app.domain.faults import validated
from app.domain.spec import JobSpec
from app.domain.spec.blocks import Block, Storable
from app.domain.spec.paths import path_above, path_exists, with_values

Path = Annotated[str, Field(max_length=200)]


class CloneSpec(Block):
    """What `POST /v1/jobs/{id}/clone` takes: what differs from the job's spec, by dotted paths into it."""

    set: Annotated[
        dict[Path, Storable],
        Field(
            max_length=64,
            description="`optimizer.learning_rate` sets one value, `optimizer` replaces the block; null is a value.",
        ),
    ] = {}


def cloned(spec: Mapping[str, JsonValue], clone: CloneSpec) -> JobSpec:
    """The spec of the new job, as a caller would have sent it; Invalid with every fault, at its place in the clone."""
    unknown = [path for path in clone.set if not path_exists(path)]
    if unknown:
        raise Invalid([Fault(pointer("set", path), "unknown_field", "A spec has no such field.") for path in unknown])
    try:
        return validated(JobSpec, with_values(spec, clone.set))
    except Invalid as error:
        raise Invalid([at_its_cause(clone, fault) for fault in error.faults]) from None


def at_its_cause(clone: CloneSpec, fault: Fault) -> Fault:
    """A fault of the new spec at what was sent: the value that is set there, another of the same block, else the whole."""
    if found := path_above(clone.set, fault.pointer):
        path, rest = found
        return Fault(pointer("set", path) + rest, fault.code, fault.detail)
    place = fault.pointer.removeprefix("/")
    return Fault(_nearest(clone.set, place), fault.code, f"{place.replace('/', '.')}: {fault.detail}")


def _nearest(paths: Iterable[str], place: str) -> str:
    block = place.split("/", 1)[0]
    beside = [path for path in paths if path.split(".", 1)[0] == block]
    if beside:
        return pointer("set", beside[0])
    return pointer("set") if any(True for _ in paths) else ""
