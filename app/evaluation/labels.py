"""The metrics of a multilabel classification: each label a question of its own, but for the accuracy, which asks for all."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.evaluation.probabilities import Array, Probabilities, Targets
from app.evaluation.ranking import Question, Ranking


class LabelSums:
    """Of L labels; sums are [L] unless said otherwise."""

    def __init__(
        self, labels: int, *, rows: int, type: type[np.float32] | type[np.float64], folder: Path | None = None
    ) -> None:
        self._eps = float(np.finfo(type).eps)
        self._weight, self._right, self._finite = 0.0, 0.0, True
        self._log_loss, self._brier, self._positive, self._called, self._hits = (np.zeros(labels) for _ in range(5))
        self._ranking = Ranking([Question(label, 1) for label in range(labels)], rows=rows, scores=type, folder=folder)

    def add(self, p: Probabilities, y: Targets, w: Array) -> None:
        """More rows; p and y [n, L], w [n]."""
        truth, called, wide = y == 1, p > 0.5, p.astype(np.float64)
        self._finite = self._finite and bool(np.isfinite(p).all())
        self._weight += w.sum()
        self._right += (truth == called).all(axis=1) @ w
        self._positive += w @ truth
        self._called += w @ called
        self._hits += w @ (truth & called)
        self._log_loss -= w @ np.log(np.where(truth, wide, 1 - wide).clip(self._eps, 1 - self._eps))
        self._brier += w @ np.square(wide - truth)
        self._ranking.append(p, y, w)

    def metrics(self, *, alive: Callable[[], None]) -> dict[str, float]:
        """Means over the labels; NaN where an output was not finite."""
        named = {
            "accuracy": self._right / self._weight,
            "balanced_accuracy": self._balanced_accuracy(),
            "f1": self._f1(),
            "log_loss": self._log_loss.mean() / self._weight,
            "roc_auc": self._ranking.area(alive=alive) if self._finite else np.nan,
            "brier": self._brier.mean() / self._weight,
        }
        return {name: float(value) if self._finite else np.nan for name, value in named.items()}

    def _balanced_accuracy(self) -> float:
        """Of each label the mean recall of yes and no, as far as they occur."""
        negative = self._weight - self._positive
        rejected = negative - self._called + self._hits
        support, hits = np.stack((self._positive, negative)), np.stack((self._hits, rejected))
        occurs = support > 0
        return float((np.where(occurs, hits / support, 0.0).sum(axis=0) / occurs.sum(axis=0)).mean())

    def _f1(self) -> float:
        """2 · hits / (positive + called) of each label, 0 where there are neither."""
        either = self._positive + self._called
        return float(np.where(either > 0, 2 * self._hits / either, 0.0).mean())
