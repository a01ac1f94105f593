"""The area under the ROC curve: the one metric that needs all rows at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from app.evaluation.columns import Columns
from app.evaluation.probabilities import Array, Probabilities, Targets


@dataclass(frozen=True)
class Question:
    """Whether a column of the targets says `answer`."""

    column: int
    answer: int


class Ranking:
    """Of each question a column of scores; beside them the targets, in a type that is small, and the weights."""

    def __init__(self, questions: Sequence[Question], *, rows: int, scores: DTypeLike, folder: Path | None = None) -> None:
        self._questions = questions
        answers, columns = (max(getattr(one, name) for one in questions) for name in ("answer", "column"))
        self._scores = Columns(len(questions), rows=rows, type=scores, folder=folder)
        self._targets = Columns(columns + 1, rows=rows, type=np.min_scalar_type(answers), folder=folder)
        self._weights = Columns(1, rows=rows, type=np.float64, folder=folder)

    def append(self, scores: Probabilities, targets: Targets, w: Array) -> None:
        """More rows: scores [n, questions], targets [n, columns], weights [n]."""
        self._scores.append(scores)
        self._targets.append(targets)
        self._weights.append(w[:, None])

    def area(self, *, alive: Callable[[], None]) -> float:
        """The mean over the questions; NaN where one has not both answers. `alive` is called before each of them."""
        w, total = self._weights.read(0), 0.0
        for number, question in enumerate(self._questions):
            alive()
            positive = self._targets.read(question.column) == question.answer
            total += area(self._scores.read(number), positive, w)
        return total / len(self._questions)


def area(scores: Probabilities, positive: NDArray[np.bool_], w: Array) -> float:
    """The weighted share of (positive, negative) pairs that are ranked rightly, ties half; NaN without pairs."""
    order = np.argsort(scores)
    ranked, positive, w = scores[order], positive[order], w[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    gains, losses = (_sums(np.where(chosen, w, 0.0), starts) for chosen in (positive, ~positive))
    pairs = gains.sum() * losses.sum()
    below = np.cumsum(losses) - losses / 2
    return float(gains @ below / pairs) if pairs > 0 else np.nan


def _sums(values: Array, starts: NDArray[Any]) -> Array:
    """The sum of each stretch of equal scores."""
    return np.add.reduceat(values, starts)
