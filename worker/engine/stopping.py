"""Which epoch is the best, when patience ends, and which numbers are not numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.domain.metrics import lower_is_better

if TYPE_CHECKING:
    from app.domain.spec import EarlyStopping, ResolvedSpec

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


@dataclass
class Stopper:
    """Early stopping: `wait` epochs have passed since `best` was beaten by more than min_delta; lower is better."""

    best: float = np.inf
    wait: int = 0

    def take(self, values: Floats, rule: "EarlyStopping") -> int | None:
        """Count epochs; the index of the one at which patience ended, None if it did not."""
        for index, value in enumerate(values.tolist()):
            if value < self.best - rule.min_delta:
                self.best, self.wait = value, 0
            else:
                self.wait += 1
            if self.wait >= rule.patience:
                return index
        return None
