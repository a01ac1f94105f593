"""The metrics of a task, for many epochs of many members at once, on the device: no synchronization, no loop."""

from collections.abc import Callable, Sequence
from functools import cached_property
from math import inf
from typing import TypedDict, Unpack

import numpy as np
import torch
from torch import Tensor

from app.domain import metrics
from app.domain.kinds import Task
from worker.engine import data
from worker.engine.data import Floats
from worker.engine.label_metrics import LABEL_METRICS, LabelScores
from worker.engine.ranking import areas
from worker.engine.weighing import over_rows


class Units(TypedDict, total=False):
    """What makes outputs of a regression predictions; each is one number or [..., O], limits are a pair of such."""

    center: float | Floats
    scale: float | Floats
    limits: tuple[float | Floats, float | Floats] | None


def evaluate(
    task: Task,
    outputs: Tensor,
    targets: Tensor,
    weights: Tensor | None,
    *,
    names: Sequence[str] | None = None,
    **units: Unpack[Units],
) -> dict[str, Tensor]:
    """The metrics `names` (all of the task where None), each [..., E] float64; scikit-learn's definitions.

    outputs: [..., E, n, O] after the output activation: probabilities of O classes, or O = 1 the probability of class 1; for
    regression y' with y = y' * scale + center, where predictions are clipped to `limits`. targets: [..., n] class indices, or
    numbers in the units of y'. weights: [..., n] or None. The leading dimension, of members with their own targets, may lack.
    With a target of several columns O are its columns, targets are [..., n, O], and metrics are means over the columns, but
    for the accuracy of labels: the share of rows where all are right.
    NaN stands where a metric is undefined (everywhere without rows), and for every classification metric of an epoch with
    a non-finite output.
    """
    names = names or metrics.of_task(task)
    if outputs.shape[-2] == 0:
        return {name: outputs.new_full(outputs.shape[:-2], torch.nan, dtype=torch.float64) for name in names}
    several = targets.dim() == outputs.dim() - 1
    w = _weights(weights, targets[..., 0] if several else targets)
    if task is Task.REGRESSION:
        return _of_numbers(outputs, targets if several else targets[..., None], w, units, names=names)
    if task is Task.MULTILABEL:
        labels = LabelScores(outputs, targets, w)
        return {name: LABEL_METRICS[name](labels) + labels.void for name in names}
    scores = _Scores(outputs, targets, w, task is Task.BINARY)
    return {name: _CLASSIFICATION[name](scores) + scores.void for name in names}


def _weights(weights: Tensor | None, rows: Tensor) -> Tensor:
    """[..., n]; not scaled to sum to 1, so that 3 hits of 6 rows are 0.5 to the last bit."""
    return torch.ones_like(rows, dtype=torch.float64) if weights is None else weights.double()


def _of_numbers(outputs: Tensor, targets: Tensor, w: Tensor, units: Units, *, names: Sequence[str]) -> dict[str, Tensor]:
    """Each [..., E], of targets [..., n, O]."""
    limits = units.get("limits") or (-inf, inf)
    values = (units.get("scale", 1.0), units.get("center", 0.0), *limits)
    columns = [np.atleast_1d(np.asarray(value, dtype=np.float64))[..., None, :] for value in values]  # [..., 1, O]
    scales, centers, low, high = (data.sent(torch.from_numpy(column), w.device) for column in columns)
    fitted, y = outputs.double() * scales.unsqueeze(-3) + centers.unsqueeze(-3), targets.double() * scales + centers
    fitted = fitted if units.get("limits") is None else fitted.clamp(low.unsqueeze(-3), high.unsqueeze(-3))
    numbers = _Numbers(fitted.transpose(-1, -2), y.transpose(-1, -2), w)
    return {name: _REGRESSION[name](numbers).mean(-1) for name in names}


class _Numbers:
    """fitted [..., E, O, n], y [..., O, n], w [..., n]: what regression metrics share, each [..., E, O]."""

    def __init__(self, fitted: Tensor, y: Tensor, w: Tensor) -> None:
        self.y, self.w, self.total = y, w, w.sum(-1)
        self.residual = fitted - y.unsqueeze(-3)

    @cached_property
    def mse(self) -> Tensor:
        return self.mean(self.residual.square())

    @cached_property
    def variance(self) -> Tensor:
        """[..., O]: of the target."""
        return self.mean((self.y - self.mean(self.y)[..., None]).square())

    def mean(self, cells: Tensor) -> Tensor:
        """[..., *M]: over the weighted rows of cells [..., *M, n]."""
        sums = over_rows(cells, self.w)
        return sums / self.total.view(*self.total.shape, *[1] * (sums.dim() - self.total.dim()))


def _r2(numbers: _Numbers) -> Tensor:
    """1 - residual / total; a constant target gives 1 where it is met exactly and else 0; undefined below two rows."""
    if numbers.w.shape[-1] < 2:
        return torch.full_like(numbers.mse, torch.nan)
    variance, met = numbers.variance.unsqueeze(-2), (numbers.mse == 0).double()
    return torch.where(variance > 0, 1 - numbers.mse / variance, met)


_REGRESSION: dict[str, Callable[[_Numbers], Tensor]] = {
    "rmse": lambda numbers: numbers.mse.sqrt(),
    "mae": lambda numbers: numbers.mean(numbers.residual.abs()),
    "r2": _r2,
}


class _Scores:
    """p [..., E, n, C], y [..., n], w [..., n]: what classification metrics share, each part computed once, when asked for.

    Sums over a last axis of three are slow in torch (35 ns each): they are products with a vector over the flat [E, n·C].
    """

    def __init__(self, outputs: Tensor, y: Tensor, w: Tensor, binary: bool) -> None:
        self.outputs, self.y, self.w, self.binary = outputs, y.long(), w, binary
        self.classes, self.total = max(2, outputs.shape[-1]), w.sum(-1, keepdim=True)

    @cached_property
    def p(self) -> Tensor:
        """[..., E, n, C] float64."""
        p = self.outputs.double()
        return p if p.shape[-1] > 1 else torch.cat((1 - p, p), -1)

    @cached_property
    def void(self) -> Tensor:
        """[..., E]: 0, or NaN where an output is not finite."""
        return self.outputs.flatten(-2).sum(-1).double() * 0

    @cached_property
    def truth(self) -> Tensor:
        """[..., n, C] one-hot."""
        return torch.nn.functional.one_hot(self.y, self.classes).double()

    @cached_property
    def weighted_truth(self) -> Tensor:
        """[..., n, C]: w where the class is the row's, else 0."""
        return self.truth * self.w[..., None]

    @cached_property
    def support(self) -> Tensor:
        """[..., 1, C]: the weight of each class."""
        return self.weighted_truth.sum(-2, keepdim=True)

    @cached_property
    def predicted(self) -> Tensor:
        """[..., E, n]: the class of the largest probability, the first of equals."""
        if self.outputs.shape[-1] == 1:
            return (self.outputs[..., 0] > 0.5).long()
        return self.outputs.argmax(-1)

    @cached_property
    def hits(self) -> Tensor:
        """[..., E, C]: the weight of the rows of each class that were recognized."""
        return (self.predicted == self.y.unsqueeze(-2)).double() @ self.weighted_truth

    @cached_property
    def calls(self) -> Tensor:
        """[..., E, C]: the weight of the rows that were given each class."""
        if self.w.is_cuda:  # where scatter_add_ sums in any order
            chosen = torch.nn.functional.one_hot(self.predicted, self.classes)
            return over_rows(chosen.transpose(-1, -2).double(), self.w)
        empty = self.w.new_zeros(*self.predicted.shape[:-1], self.classes)
        return empty.scatter_add_(-1, self.predicted, self.w.unsqueeze(-2).expand_as(self.predicted))

    def mean(self, rows: Tensor) -> Tensor:
        """[..., E]: over the weighted rows [..., E, n]."""
        return over_rows(rows, self.w) / self.total


def _balanced_accuracy(scores: _Scores) -> Tensor:
    """The mean recall of the classes that occur."""
    occurs = scores.support > 0
    return torch.where(occurs, scores.hits / scores.support, 0).sum(-1) / occurs.sum(-1)


def _f1(scores: _Scores) -> Tensor:
    """2 · hits / (support + calls) of class 1; with more classes the mean over those that occur or were predicted."""
    either = scores.support + scores.calls
    f1 = torch.where(either > 0, 2 * scores.hits / either, 0)
    return f1[..., 1] if scores.binary else f1.sum(-1) / (either > 0).sum(-1)


def _log_loss(scores: _Scores) -> Tensor:
    """-log of the true class's probability, clipped where the type of the outputs ends, as scikit-learn does."""
    eps = torch.finfo(scores.outputs.dtype).eps
    cells = torch.arange(scores.y.shape[-1], device=scores.y.device) * scores.classes + scores.y
    p = scores.p.flatten(-2).gather(-1, cells.unsqueeze(-2).expand(scores.p.shape[:-1]))
    return -scores.mean(p.clamp(eps, 1 - eps).log())


def _brier(scores: _Scores) -> Tensor:
    """The squared distance from the one-hot truth; half of it for two classes, which is (p - y)²."""
    if scores.binary:
        return scores.mean((scores.p[..., 1] - scores.truth[..., 1].unsqueeze(-2)).square())
    apart = (scores.p - scores.truth.unsqueeze(-3)).flatten(-2).square()
    return over_rows(apart, scores.w.repeat_interleave(scores.classes, -1)) / scores.total


def _roc_auc(scores: _Scores) -> Tensor:
    """The weighted share of (positive, negative) pairs ranked rightly, ties half; each class against the rest, averaged.

    Undefined unless every class occurs.
    """
    p, truth = (scores.p[..., 1:], scores.truth[..., 1:]) if scores.binary else (scores.p, scores.truth)
    return areas(p, truth, scores.w).mean(-1)


_CLASSIFICATION: dict[str, Callable[[_Scores], Tensor]] = {
    "accuracy": lambda scores: scores.hits.sum(-1) / scores.total,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _f1,
    "log_loss": _log_loss,
    "roc_auc": _roc_auc,
    "brier": _brier,
}
