"""Whether a job can fit on a worker that may take it, known before anything is allocated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.domain.errors import Fault, pointer
from app.domain.memory import Estimate, estimate, host_estimate, readable
from app.domain.spec import ResolvedSpec

CODE: Final = "too_large"

Device = Literal["cpu", "cuda"]
_PLACES: dict[str, tuple[Device, ...]] = {"auto": ("cpu", "cuda"), "cpu": ("cpu",), "cuda": ("cuda",)}
_WHERE: dict[Device, str] = {"cpu": "a training process", "cuda": "a GPU"}


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a job takes of a memory and what there is, None where nobody has said."""

    where: str
    estimate: Estimate
    budget: int | None

    def met(self, *, rows: bool) -> bool:
        """True where that is enough, as far as one knows: for all, or for all but the rows."""
        return self.budget is None or (self.estimate.total if rows else self.estimate.resident) <= self.budget

    @property
    def lack(self) -> int:
        """Bytes by which all but the rows is too much; below 0 where it is not."""
        return self.estimate.resident - (self.budget or 0)


@dataclass(frozen=True, kw_only=True)
class Room:
    """A kind of device on which a job may train: what it needs of its memory, and beside a GPU of the host's."""

    device: Device
    need: Need
    host: Need | None = None
    streaming: bool = False
    ensemble: bool = False
    """Its rows are never streamed."""

    @property
    def enough(self) -> bool:
        """True where the job fits, as far as one knows; rows that are streamed are no reason why it does not."""
        return not self.unmet

    @property
    def enough_without_rows(self) -> bool:
        """True where it would fit with its rows streamed."""
        return all(need.met(rows=False) for need in self._needs)

    @property
    def unmet(self) -> Sequence[Need]:
        """Of which memories there is too little, the one that lacks most first."""
        unmet = [need for need in self._needs if not need.met(rows=not self.streaming)]
        return sorted(unmet, key=lambda need: -need.lack)

    @property
    def _needs(self) -> Sequence[Need]:
        return [self.need, self.host] if self.host else [self.need]


def rooms_of(spec: ResolvedSpec, budgets: Mapping[str, int]) -> list[Room]:
    """Every kind of device on which the job may train, those where it fits first.

    `budgets` are bytes by device, and under "host" those of the memory beside a GPU; of "auto" a device without one is left
    out, for no worker has it.
    """
    known = [device for device in _PLACES[spec.device] if device in budgets] or _PLACES[spec.device][:1]
    rooms = [
        Room(
            device=device,
            need=_of_device(spec, device, budgets),
            host=_host(spec, budgets) if device == "cuda" else None,
            streaming=spec.streaming,
            ensemble=spec.ensemble is not None,
        )
        for device in known
    ]
    return sorted(rooms, key=lambda room: (not room.enough, -(room.need.budget or 0)))


def _of_device(spec: ResolvedSpec, device: Device, budgets: Mapping[str, int]) -> Need:
    """A job that asks for the CPU may train on that of a GPU's process, one of "auto" never does."""
    names = ("cpu", "host") if spec.device == "cpu" else (device,)
    budget = max((budgets[name] for name in names if name in budgets), default=None)
    return Need(where=_WHERE[device], estimate=estimate(spec, gpu=device == "cuda"), budget=budget)


def _host(spec: ResolvedSpec, budgets: Mapping[str, int]) -> Need:
    return Need(where="the host of a GPU", estimate=host_estimate(spec), budget=budgets.get("host"))


def fault_of(rooms: Sequence[Room]) -> Fault | None:
    """Why a job cannot fit anywhere, at the block to change; None where it can."""
    room = rooms[0]
    if room.enough:
        return None
    need = room.unmet[0]
    needed, there = need.estimate, f"{need.where} has {readable(need.budget or 0)}"
    if room.ensemble and need.met(rows=False):
        held = f"The rows of an ensemble are held in memory and take {readable(needed.data)} of {needed}"
        return Fault(pointer("ensemble"), CODE, f"{held}, and {there}: use fewer rows or columns.")
    wide = needed.activations > needed.parameters + needed.optimizer
    place = pointer("batch_size") if wide else pointer("network", "hidden_layers")
    return Fault(place, CODE, f"The training takes about {needed}, and {there}: {needed.without_data.cure}.")


def device_of(spec: ResolvedSpec, rooms: Sequence[Room]) -> str:
    """The device that the spec asks for; of "auto" the one on which the job fits where it does not fit on the other."""
    fitting = [room.device for room in rooms if room.enough]
    return fitting[0] if spec.device == "auto" and len(fitting) == 1 < len(rooms) else spec.device
