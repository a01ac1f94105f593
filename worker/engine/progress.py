"""How far one member is: its finished epochs, its best one, why it ended; decided on the host, in the order of the epochs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.domain import metrics
from app.domain.job import StopReason
from worker.engine.calibration import Exported
from worker.engine.reports import EpochColumns, EpochLosses, MemberReport
from worker.engine.stopping import Means, first_true, lower, stopper_of, watched

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec

Floats = NDArray[np.float64]

DIVERGED = (
    "The {what} of epoch {epoch} is not finite. Try a lower learning rate, gradient_clip_norm, "
    "or scaled inputs (preprocessing.numeric)."
)


@dataclass(frozen=True)
class Block:
    """What was measured of consecutive epochs: columns [m]. `finite`: losses were, and every parameter after the epoch."""

    train: Floats
    val: Floats | None
    metrics: dict[str, Floats]
    rates: Floats
    seconds: Floats
    finite: NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """What follows from a block, as indices into it; `last` is the epoch of the last good weights, -1 the one before."""

    best: int | None
    last: int
    periodic: list[tuple[int, EpochLosses]]


@dataclass(frozen=True, slots=True)
class Row:
    """The newest epoch, kept whole because it may turn out to be the last."""

    losses: EpochLosses
    rate: float
    seconds: float


class Progress:
    """One member's record."""

    def __init__(self, spec: "ResolvedSpec", *, position: int, validated: bool) -> None:
        self.spec, self.position, self.validated = spec, position, validated
        self.watch = watched(spec, validated=validated)
        self.names = metrics.of_epochs(spec.task, watched=self.watch) if validated else ()
        self.stopper = stopper_of(spec)
        self.means = Means(spec.early_stopping.mean_epochs if spec.early_stopping and validated else 1)
        self.latest: Row | None = None
        self.best: EpochLosses | None = None
        self.last: EpochLosses | None = None
        self.best_value = np.inf
        self.finished: StopReason | None = None
        self.message: str | None = None
        self._told = False
        self._columns = self._empty()
        self.periodic: list[tuple[EpochLosses, Exported]] = []

    @property
    def epoch(self) -> int:
        """The last finished epoch."""
        return self.latest.losses.epoch if self.latest else 0

    def take(self, block: Block) -> Verdict:
        """Accept a block's epochs up to where the member ends, and end it there."""
        first, count = self.epoch + 1, min(len(block.train), self.spec.epochs - self.epoch)
        diverged = None if block.finite.all() else first_true(~block.finite[:count])
        good = count if diverged is None else diverged
        values = lower(self._watched(block)[:good], self.watch)
        stop = self.stopper.take(values, first=first) if self.spec.early_stopping and self.validated else None
        if stop is not None:
            good, diverged = stop + 1, None
        accepted = good + (diverged is not None)
        newest = self._record(block, accepted)
        if good:
            self.last = newest if accepted == good else self._losses(block, good - 1, first)
        if diverged is not None:
            self.finish(StopReason.NON_FINITE_LOSS, self._reason(block, diverged, first))
        elif stop is not None or self.epoch >= self.spec.epochs:
            self.finish(StopReason.MAX_EPOCHS if stop is None else StopReason.EARLY_STOPPING)
        return Verdict(self._choose(block, self.means.take(values[:good]), first), good - 1, self._periodic(block, good, first))

    def finish(self, reason: StopReason, message: str | None = None) -> None:
        """End here; the last epoch is recorded whatever record_every says."""
        if self.latest and self.finished is None and not self._is_kept(self.epoch):
            self._append(self.latest)
        self.finished, self.message = reason, message

    def _is_kept(self, epoch: int) -> bool:
        """Whether record_every keeps an epoch that is not the last."""
        return epoch == 1 or epoch % self.spec.record_every == 0

    def leave(self) -> None:
        """Neither train nor report any more."""
        self.finished, self._told = StopReason.CANCELLED, True

    def ended(self) -> StopReason | None:
        """Why a restored member has nothing left to do: it was interrupted between its end and the telling of it."""
        if self.latest is None:
            return None
        losses = self.latest.losses
        if not np.isfinite([losses.train_loss, losses.val_loss or 0.0]).all():
            return StopReason.NON_FINITE_LOSS
        if self.spec.early_stopping and self.stopper.is_over:
            return StopReason.EARLY_STOPPING
        return StopReason.MAX_EPOCHS if self.epoch >= self.spec.epochs else None

    def told(self, reason: StopReason) -> str | None:
        """What goes with the end of a restored member."""
        return DIVERGED.format(what="loss", epoch=self.epoch) if reason is StopReason.NON_FINITE_LOSS else None

    def report(self) -> MemberReport | None:
        """What is new; None once the end was told."""
        if self._told:
            return None
        self._told = self.finished is not None
        columns, periodic = self._columns, self.periodic
        self._columns, self.periodic = self._empty(), []
        latest = self.latest.losses if self.latest else None
        return MemberReport(
            self.position, columns, self.epoch, latest, self.best, self.last, periodic, self.finished, self.message
        )

    def _empty(self) -> EpochColumns:
        return EpochColumns(metrics={f"val_{name}": [] for name in self.names})

    def _watched(self, block: Block) -> Floats:
        if self.watch == "train_loss" or block.val is None:
            return block.train
        return block.val if self.watch == "val_loss" else block.metrics[self.watch]

    def _losses(self, block: Block, index: int, first: int) -> EpochLosses:
        val = None if block.val is None else float(block.val[index])
        scores = {name: float(column[index]) for name, column in block.metrics.items()}
        return EpochLosses(first + index, float(block.train[index]), val, scores)

    def _choose(self, block: Block, values: Floats, first: int) -> int | None:
        if not len(values) or (lowest := values.min()) > self.best_value:
            return None
        ties = np.flatnonzero(values == lowest)
        index = int(ties[_judged(block)[ties].argmin()])
        losses = self._losses(block, index, first)
        known = self.best_value, _judged_loss(self.best)
        if np.isinf(values[index]) or not (values[index], _judged_loss(losses)) < known:
            return None
        self.best_value, self.best = float(values[index]), losses
        return index

    def _periodic(self, block: Block, good: int, first: int) -> list[tuple[int, EpochLosses]]:
        every = self.spec.checkpoints.every
        due = [i for i in range(good) if every and (first + i) % every == 0]
        return [(i, self._losses(block, i, first)) for i in due[-self.spec.checkpoints.keep :]]

    def _record(self, block: Block, count: int) -> EpochLosses | None:
        """Keep the block's first `count` epochs; the last of them."""
        if count == 0:
            return None
        first, last, columns = self.epoch + 1, count - 1, self._columns
        epochs = np.arange(first, first + count)
        kept: slice | NDArray[np.int64] = slice(count)
        if self.spec.record_every > 1:
            kept = np.flatnonzero((epochs % self.spec.record_every == 0) | (epochs == 1))
        recorded = epochs[kept].tolist()
        columns.epoch += recorded
        columns.train_loss += block.train[kept].tolist()
        columns.val_loss += [None] * len(recorded) if block.val is None else block.val[kept].tolist()
        columns.learning_rate += block.rates[kept].tolist()
        columns.seconds += block.seconds[kept].tolist()
        for name, column in columns.metrics.items():
            column += block.metrics[name][kept].tolist()
        self.latest = Row(self._losses(block, last, first), float(block.rates[last]), float(block.seconds[last]))
        return self.latest.losses

    def _append(self, row: Row) -> None:
        columns, losses = self._columns, row.losses
        columns.epoch.append(losses.epoch)
        columns.train_loss.append(losses.train_loss)
        columns.val_loss.append(losses.val_loss)
        columns.learning_rate.append(row.rate)
        columns.seconds.append(row.seconds)
        for name, column in columns.metrics.items():
            column.append(losses.metrics[name])

    def _reason(self, block: Block, index: int, first: int) -> str:
        what = "weights" if np.isfinite(block.train[index]) else "training loss"
        if block.val is not None and what == "weights" and not np.isfinite(block.val[index]):
            what = "validation loss"
        return DIVERGED.format(what=what, epoch=first + index)


def _judged(block: Block) -> Floats:
    """What tells epochs apart that are equally good by the watched metric, as accuracies often are."""
    return block.train if block.val is None else block.val


def _judged_loss(losses: EpochLosses | None) -> float:
    if losses is None:
        return np.inf
    return losses.train_loss if losses.val_loss is None else losses.val_loss
