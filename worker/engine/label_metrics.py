"""The metrics of a multilabel classification: each label a question of its own, but for the accuracy, which asks for all."""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from worker.engine.ranking import areas
from worker.engine.weighing import over_rows


class LabelScores:
    """p [..., E, n, L] of each label, y [..., n, L] of 0 and 1, w [..., n]: what the metrics share, computed when asked for."""

    def __init__(self, outputs: Tensor, y: Tensor, w: Tensor) -> None:
        self.outputs, self.truth, self.w, self.total = outputs, y.double(), w, w.sum(-1, keepdim=True)
        self.y = y.bool().unsqueeze(-3)

    @cached_property
    def p(self) -> Tensor:
        """[..., E, n, L] float64."""
        return self.outputs.double()

    @cached_property
    def void(self) -> Tensor:
        """[..., E]: 0, or NaN where an output is not finite."""
        return self.outputs.flatten(-2).sum(-1).double() * 0

    @cached_property
    def predicted(self) -> Tensor:
        """[..., E, n, L]: what is more probable than not."""
        return self.outputs > 0.5

    @cached_property
    def positive(self) -> Tensor:
        """[..., 1, L]: the weight of the rows that have each label."""
        return self._weight(self.y)

    @cached_property
    def called(self) -> Tensor:
        """[..., E, L]: the weight of the rows that were given each label."""
        return self._weight(self.predicted)

    @cached_property
    def hits(self) -> Tensor:
        """[..., E, L]: the weight of the rows that were given each label and have it."""
        return self._weight(self.predicted & self.y)

    def _weight(self, chosen: Tensor) -> Tensor:
        return over_rows(chosen.transpose(-1, -2).double(), self.w)

    def mean(self, rows: Tensor) -> Tensor:
        """[..., E]: over the weighted rows [..., E, n]."""
        return over_rows(rows, self.w) / self.total


def _accuracy(scores: LabelScores) -> Tensor:
    """The share of the rows whose every label is right."""
    return scores.mean((scores.predicted == scores.y).all(-1).double())


def _balanced_accuracy(scores: LabelScores) -> Tensor:
    """Of each label the mean recall of yes and no, as far as they occur."""
    negative = scores.total[..., None] - scores.positive
    rejected = negative - scores.called + scores.hits
    support, hits = torch.stack((scores.positive, negative)), torch.stack((scores.hits, rejected))
    occurs = support > 0
    return (torch.where(occurs, hits / support, 0).sum(0) / occurs.sum(0)).mean(-1)


def _f1(scores: LabelScores) -> Tensor:
    """2 · hits / (positive + called) of each label, 0 where there are neither."""
    either = scores.positive + scores.called
    return torch.where(either > 0, 2 * scores.hits / either, 0).mean(-1)


def _log_loss(scores: LabelScores) -> Tensor:
    """-log of the probability of what is true, clipped where the type of the outputs ends."""
    eps = torch.finfo(scores.outputs.dtype).eps
    return -scores.mean(torch.where(scores.y, scores.p, 1 - scores.p).clamp(eps, 1 - eps).log().mean(-1))


LABEL_METRICS: dict[str, Callable[[LabelScores], Tensor]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _f1,
    "log_loss": _log_loss,
    "roc_auc": lambda scores: areas(scores.p, scores.truth, scores.w).mean(-1),
    "brier": lambda scores: scores.mean((scores.p - scores.truth.unsqueeze(-3)).square().mean(-1)),
}
