"""The learning rate of every step, as torch's schedulers have it, in closed form, and the share of the regularization.

A warm-up of W epochs is torch's LinearLR from 1 / (W + 1), followed by the schedule itself (SequentialLR at milestone W).
OneCycle moves the learning rate alone, not the momentum.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec
    from app.domain.spec.schedules import LogCosine, OneCycle, Plateau

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]


class Rates:
    """The learning rates of one member; steps and epochs count from 0."""

    def __init__(self, spec: "ResolvedSpec", *, steps: int) -> None:
        self._schedule = spec.lr_schedule
        self._base = spec.optimizer.learning_rate
        self._epochs = spec.epochs
        self._steps = steps
        self.plateau = PlateauState(self._base) if self._schedule.name == "plateau" else None

    def at(self, step: Steps) -> Floats:
        """The rate of each step."""
        warmup = self._schedule.warmup_epochs
        if not warmup:
            return self._main(step)
        epoch = step // self._steps
        warm = self._base * (epoch + 1) / (warmup + 1)
        return np.where(epoch < warmup, warm, self._main(np.maximum(step - warmup * self._steps, 0)))

    def of_epochs(self, first: int, count: int) -> Floats:
        """The rate at the first step of `count` epochs; `first` counts from 1."""
        return self.at((np.arange(count) + first - 1) * self._steps)

    def after_epoch(self, epoch: int, loss: float) -> None:
        """Tell a plateau schedule the loss of an epoch (counted from 1)."""
        if self._schedule.name == "plateau" and self.plateau and epoch > self._schedule.warmup_epochs:
            self.plateau.take(self._schedule, loss)

    def _main(self, step: Steps) -> Floats:
        schedule, base = self._schedule, self._base
        epoch = step // self._steps
        last = max(1, self._epochs - schedule.warmup_epochs)
        if schedule.name == "step":
            return np.asarray(base * schedule.gamma ** (epoch // schedule.step_size))
        if schedule.name == "exponential":
            return np.asarray(base * schedule.gamma**epoch)
        if schedule.name == "cosine":
            return schedule.eta_min + (base - schedule.eta_min) * (1 + np.cos(np.pi * epoch / last)) / 2
        if schedule.name == "one_cycle":
            return _one_cycle(schedule, base, step, last * self._steps)
        if schedule.name == "log_cosine":
            return _log_cosine(schedule, base, step / (last * self._steps))
        return np.full(step.shape, self.plateau.rate if self.plateau else base)


def _one_cycle(schedule: "OneCycle", peak: float, step: Steps, total: int) -> Floats:
    """Cosine from peak / div_factor up to the peak, then down to the start / final_div_factor."""
    start = peak / schedule.div_factor
    top, end = schedule.pct_start * total - 1, total - 1
    up = _cosine(start, peak, np.asarray(step / top)) if top > 0 else np.full(step.shape, peak)
    down = _cosine(peak, start / schedule.final_div_factor, np.asarray((step - top) / (end - top)))
    return np.where(step <= top, up, down)


def _log_cosine(schedule: "LogCosine", peak: float, t: Floats) -> Floats:
    return np.asarray(peak * (0.5 - 0.5 * np.cos(2 * np.pi * np.log2(1 + (2**schedule.cycles - 1) * t))))


def regularization(spec: "ResolvedSpec", t: Floats) -> Floats:
    """What dropout rate and weight decay are multiplied by when the part t of the training is done."""
    if spec.regularization_schedule == "constant":
        return np.ones_like(t)
    return np.where(t < 0.5, 1.0, 0.5 + 0.5 * np.cos(np.pi * (2 * t - 1)))


def _cosine(start: float, end: float, fraction: Floats) -> Floats:
    return np.asarray(end + (start - end) / 2 * (1 + np.cos(np.pi * fraction)))


@dataclass
class PlateauState:
    """torch's ReduceLROnPlateau: its rate, the best loss, and the epochs since."""

    rate: float
    best: float = np.inf
    bad: int = 0

    def take(self, schedule: "Plateau", loss: float) -> None:
        """Count one epoch's loss; the change that torch's `eps` of 1e-8 ignores is ignored."""
        if loss < self.best * (1 - schedule.threshold):
            self.best, self.bad = loss, 0
        else:
            self.bad += 1
        if self.bad > schedule.patience:
            lower = max(self.rate * schedule.factor, schedule.min_lr)
            self.rate, self.bad = (lower if self.rate - lower > 1e-8 else self.rate), 0
