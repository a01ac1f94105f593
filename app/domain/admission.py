"""Whether a job can fit on a worker that may take it, known before anything is allocated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.domain.errors import Fault, pointer
from app.domain.memory import Estimate, estimate, readable
from app.domain.spec import ResolvedSpec

CODE: Final = "too_large"

Device = Literal["cpu", "cuda"]
_PLACES: dict[str, tuple[Device, ...]] = {"auto": ("cpu", "cuda"), "cpu": ("cpu",), "cuda": ("cuda",)}


@dataclass(frozen=True, kw_only=True)
class Room:
    """A kind of device on which a job may train: what it takes there and what there is, None where nobody has said."""

    device: Device
    estimate: Estimate
    budget: int | None
    streaming: bool = False
    ensemble: bool = False
    """Its rows are never streamed."""

    @property
    def enough(self) -> bool:
        """True where the job fits, as far as one knows; rows that are streamed are no reason why it does not."""
        if self.budget is None:
            return True
        return (self.estimate.resident if self.streaming else self.estimate.total) <= self.budget


def rooms_of(spec: ResolvedSpec, budgets: Mapping[str, int]) -> list[Room]:
    """Every kind of device on which the job may train, those where it fits first.

    `budgets` are bytes by device; of "auto" a device without one is left out, for no worker has it.
    """
    known = [device for device in _PLACES[spec.device] if device in budgets] or _PLACES[spec.device][:1]
    rooms = [
        Room(
            device=device,
            estimate=estimate(spec, gpu=device == "cuda"),
            budget=budgets.get(device),
            streaming=spec.streaming,
            ensemble=spec.ensemble is not None,
        )
        for device in known
    ]
    return sorted(rooms, key=lambda room: (not room.enough, -(room.budget or 0)))


def fault_of(rooms: Sequence[Room]) -> Fault | None:
    """Why a job cannot fit anywhere, at the block to change; None where it can."""
    room = rooms[0]
    if room.enough or room.budget is None:
        return None
    needed = room.estimate
    if room.ensemble and needed.fits_without_data(room.budget):
        held = f"The rows of an ensemble are held in memory and take {readable(needed.data)} of {needed}"
        detail = f"{held}, and {_where(room)} has {readable(room.budget)}: use fewer rows or columns."
        return Fault(pointer("ensemble"), CODE, detail)
    wide = needed.activations > needed.parameters + needed.optimizer
    place = pointer("batch_size") if wide else pointer("network", "hidden_layers")
    detail = f"The training takes about {needed}, and {_where(room)} has {readable(room.budget)}"
    return Fault(place, CODE, f"{detail}: {needed.without_data.cure}.")


def _where(room: Room) -> str:
    return "a GPU" if room.device == "cuda" else "a training process"


def device_of(spec: ResolvedSpec, rooms: Sequence[Room]) -> str:
    """The device that the spec asks for; of "auto" the one on which the job fits where it does not fit on the other."""
    fitting = [room.device for room in rooms if room.enough]
    return fitting[0] if spec.device == "auto" and len(fitting) == 1 < len(rooms) else spec.device
