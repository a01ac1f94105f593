"""The metrics of a classification, as sums that rows are added to."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.evaluation.probabilities import Array, Probabilities, Targets
from app.evaluation.ranking import Question, Ranking


class ClassSums:
    """Of C classes; p is [n, C], or [n, 1] the probability of the second of two."""

    def __init__(
        self, classes: int, *, binary: bool, rows: int, type: type[np.float32] | type[np.float64], folder: Path | None = None
    ) -> None:
        self._classes, self._binary, self._eps = classes, binary, float(np.finfo(type).eps)
        self._weight, self._log_loss, self._brier = 0.0, 0.0, 0.0
        self._support, self._hits, self._calls = (np.zeros(classes) for _ in range(3))
        self._finite = True
        answers = range(binary, classes)
        self._ranking = Ranking([Question(0, answer) for answer in answers], rows=rows, scores=type, folder=folder)

    def add(self, p: Probabilities, y: Targets, w: Array) -> None:
        """More rows; y [n] codes, w [n]."""
        y = y.astype(np.int64)
        called = (p[:, 0] > 0.5).astype(np.int64) if p.shape[1] == 1 else p.argmax(axis=1)
        self._finite = self._finite and bool(np.isfinite(p).all())
        self._weight += w.sum()
        self._support += self._by_class(y, w)
        self._hits += self._by_class(y, w * (called == y))
        self._calls += self._by_class(called, w)
        self._add_probabilities(_of_each(p), y, w)
        self._ranking.append(p[:, -1:] if self._binary else p, y[:, None], w)

    def _by_class(self, codes: Targets, w: Array) -> Array:
        return np.bincount(codes, weights=w, minlength=self._classes).astype(np.float64)

    def _add_probabilities(self, p: Array, y: Targets, w: Array) -> None:
        """The log loss, clipped where the type of the probabilities ends; the squared distance from the one-hot truth."""
        rows = np.arange(len(y))
        self._log_loss -= np.log(p[rows, y].clip(self._eps, 1 - self._eps)) @ w
        p[rows, y] -= 1
        self._brier += np.square(p[:, self._binary :]).sum(axis=1) @ w

    def metrics(self, *, alive: Callable[[], None]) -> dict[str, float]:
        """NaN where an output was not finite."""
        named = {
            "accuracy": self._hits.sum() / self._weight,
            "balanced_accuracy": self._balanced_accuracy(),
            "f1": self._f1(),
            "log_loss": self._log_loss / self._weight,
            "roc_auc": self._ranking.area(alive=alive) if self._finite else np.nan,
            "brier": self._brier / self._weight,
        }
        return {name: float(value) if self._finite else np.nan for name, value in named.items()}

    def _balanced_accuracy(self) -> float:
        """The mean recall of the classes that occur."""
        occurs = self._support > 0
        return float((self._hits[occurs] / self._support[occurs]).mean())

    def _f1(self) -> float:
        """2 · hits / (support + calls) of class 1; with more classes the mean over those that occur or were predicted."""
        either = self._support + self._calls
        f1 = np.where(either > 0, 2 * self._hits / either, 0.0)
        return float(f1[1] if self._binary else f1[either > 0].mean())


def _of_each(p: Probabilities) -> Array:
    """[n, C] float64, a copy."""
    wide = p.astype(np.float64)
    return np.concatenate((1 - wide, wide), axis=1) if wide.shape[1] == 1 else wide
