"""A clone: a new job from another one's spec, in which some values are set."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, JsonValue

from app.domain.errors import Fault, Invalid, pointer
from app.domain.faults import validated
from app.domain.inheritance import COMPLETED, UNFIT
from app.domain.spec import JobSpec
from app.domain.spec.blocks import Block, Storable
from app.domain.spec.paths import path_above, path_exists, with_values

CHECKPOINT = "/from_checkpoint"
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
    from_checkpoint: Annotated[
        str | None, Field(max_length=64, description="Start from its weights, classes and fitted preprocessing.")
    ] = None
    continues: Annotated[
        bool, Field(alias="continue", description="Go on from the checkpoint's optimizer and epoch, too; `epochs` may be more.")
    ] = False


def cloned(spec: Mapping[str, JsonValue], clone: CloneSpec) -> JobSpec:
    """The spec of the new job, as a caller would have sent it; Invalid with every fault, at its place in the clone."""
    faults = [
        Fault(pointer("set", path), "unknown_field", "A spec has no such field.") for path in clone.set if not path_exists(path)
    ]
    if clone.continues and clone.from_checkpoint is None:
        faults.append(Fault("/continue", "missing", "Say from which checkpoint: `from_checkpoint`."))
    if faults:
        raise Invalid(faults)
    try:
        return validated(JobSpec, with_values(spec, clone.set))
    except Invalid as error:
        raise Invalid([at_its_cause(clone, fault) for fault in error.faults]) from None


def at_its_cause(clone: CloneSpec, fault: Fault) -> Fault:
    """A fault of the new spec at what was sent: the value set there, else the checkpoint, another of the block, the whole."""
    if fault.pointer == CHECKPOINT:
        return fault
    if found := path_above(clone.set, fault.pointer):
        path, rest = found
        return Fault(pointer("set", path) + rest, fault.code, fault.detail)
    place = fault.pointer.removeprefix("/").replace("/", ".")
    return Fault(_nearest(clone, fault, place), fault.code, f"{place}: {fault.detail}" if place else fault.detail)


def _nearest(clone: CloneSpec, fault: Fault, place: str) -> str:
    block = place.split(".", 1)[0]
    beside = [path for path in clone.set if path.split(".", 1)[0] == block]
    if beside:
        return pointer("set", beside[0])
    if clone.from_checkpoint and (fault.code == UNFIT or block in COMPLETED):
        return CHECKPOINT
    return pointer("set") if clone.set else ""
