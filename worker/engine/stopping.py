"""Which epoch is the best, when patience ends, and which numbers are not numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.domain.metrics import lower_is_better

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec

Floats = NDArray[np.float64]


def watched(spec: "ResolvedSpec", *, validated: bool) -> str:
    """The metric by which a job's epochs are compared."""
    if not validated:
        return "train_loss"
    return spec.early_stopping.metric if spec.early_stopping else "val_loss"


def lower(values: Floats, metric: str) -> Floats:
    """Values of which the lowest is the best; what is not a number is worse than all."""
    signed = values if lower_is_better(metric) else -values
    return np.where(np.isnan(signed), np.inf, signed)


def first_true(flags: Sequence[bool] | NDArray[np.bool_]) -> int | None:
    """The index of the first True."""
    array = np.asarray(flags)
    return int(array.argmax()) if array.any() else None


class Means:
    """Of each value and those before it, `size` together at most; no mean depends on how the values come in pieces."""

    def __init__(self, size: int) -> None:
        self._size, self.recent = size, np.empty(0)

    def take(self, values: Floats) -> Floats:
        """The mean that ends with each value."""
        if self._size == 1:
            return values
        known = np.concatenate([self.recent, values])
        ends = range(len(self.recent) + 1, len(known) + 1)
        self.recent = known[-self._size + 1 :]
        return np.array([known[max(0, end - self._size) : end].mean() for end in ends])


@dataclass
class Stopper:
    """Early stopping: `wait` epochs have passed since `best` was beaten by more than min_delta; lower is better."""

    patience: int
    min_delta: float = 0.0
    best: float = np.inf
    wait: int = 0

    @property
    def is_over(self) -> bool:
        """True once patience ended."""
        return self.wait >= self.patience

    def take(self, values: Floats, *, first: int) -> int | None:
        """Count epochs from `first` on; the index of the one at which patience ended, None if it did not."""
        for index, value in enumerate(values.tolist()):
            self._count(value, first + index)
            if self.is_over:
                return index
        return None

    def _count(self, value: float, epoch: int) -> None:
        if value < self.best - self.min_delta:
            self.best, self.wait = value, 0
        else:
            self.wait += 1

    def numbers(self) -> list[float]:
        """What it goes on from."""
        return [self.best, self.wait]

    def restore(self, numbers: Sequence[float]) -> None:
        """Put back what `numbers` told."""
        self.best, self.wait = numbers[0], int(numbers[1])


@dataclass
class CycleStopper(Stopper):
    """The same by cycles: `within` is the lowest of the one in progress, `best` of those before, `wait` those for nothing."""

    ends: Mapping[int, bool] = field(default_factory=dict)
    within: float = np.inf

    def _count(self, value: float, epoch: int) -> None:
        self.within = min(self.within, value)
        judged = self.ends.get(epoch)
        if judged is None:
            return
        self.wait = int(judged and not self.within < self.best - self.min_delta)
        self.best, self.within = min(self.best, self.within), np.inf

    def numbers(self) -> list[float]:
        """As above."""
        return [*super().numbers(), self.within]

    def restore(self, numbers: Sequence[float]) -> None:
        """As above; a state without a cycle in progress is of none."""
        super().restore(numbers)
        self.within = numbers[2] if len(numbers) > 2 else np.inf


def stopper_of(spec: "ResolvedSpec") -> Stopper:
    """The rule of a spec; without one, it is never asked."""
    rule = spec.early_stopping
    if rule is None:
        return Stopper(1)
    if rule.patience != "cycle":
        return Stopper(rule.patience, rule.min_delta)
    ends = spec.lr_schedule.ends(spec.epochs) if spec.lr_schedule.name == "log_cosine" else {}
    return CycleStopper(1, rule.min_delta, ends=ends)
