"""What a stack tells its caller."""

from dataclasses import dataclass, field

from app.domain.job import StopReason
from worker.engine.calibration import Exported


@dataclass(frozen=True, slots=True)
class EpochLosses:
    """One epoch's numbers in reported units; `metrics` by the names of the API (`val_accuracy`)."""

    epoch: int
    train_loss: float
    val_loss: float | None
    metrics: dict[str, float]


@dataclass(slots=True)
class EpochColumns:
    """Newly finished epochs, oldest first, thinned by record_every; `seconds` is training time since the job's start."""

    epoch: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float | None] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemberReport:
    """What happened to one member since the last report."""

    position: int
    epochs: EpochColumns
    epoch: int
    """The last finished epoch, recorded or not; 0 before the first."""
    latest: EpochLosses | None
    best: EpochLosses | None
    last: EpochLosses | None
    """The epoch of the weights `last`: `latest`, or the epoch before where `latest` diverged; None for the first weights."""
    periodic: list[tuple[EpochLosses, Exported]]
    finished: StopReason | None
    message: str | None
