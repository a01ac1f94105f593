"""Which epochs stand for all: the first, the last, and in every bucket of a history the extremes of every curve.

Buckets are made of leaves: of epochs, or of blocks of epochs where there are many. In the arrays a column is a leaf, and a row
one kind of extreme of one curve, KINDS of them for each curve.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.persistence.epochs import Values, codes_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NOTHING = -np.inf
LEAST, GREATEST = 0, 1
KINDS = 5
"""Least, greatest, NaN, infinite, minus infinite."""


def row(curve: int, code: int) -> int:
    """Where it is told that a curve is NaN (code 1), infinite (2) or minus infinite (3)."""
    return KINDS * curve + GREATEST + code


class Leaves(Protocol):
    """Successive leaves. Buckets begin at multiples of their width from the job's leaf 0, so they stay where they are."""

    @property
    def first(self) -> int:
        """The first leaf, counted from the job's leaf 0."""

    @property
    def scores(self) -> Floats:
        """How extreme each leaf is, NOTHING where it has no such value."""

    def epochs(self, rows: Ints, leaves: Ints) -> Ints:
        """Where those leaves are that extreme: the first such epoch in each."""


@dataclass(frozen=True)
class EpochLeaves:
    """Each epoch is a leaf."""

    first: int
    scores: Floats
    epoch: Ints

    def epochs(self, rows: Ints, leaves: Ints) -> Ints:
        """The leaves themselves."""
        return self.epoch[leaves]


def epoch_leaves(values: Values, names: Sequence[str], *, step: int) -> EpochLeaves:
    """Epochs as leaves; `step` is how far apart they are."""
    curves = np.array(values.curves, dtype=np.float64)
    known = np.isfinite(curves)
    scores = np.full((KINDS * len(names), len(values.epoch)), NOTHING)
    scores[LEAST::KINDS] = np.where(known, -curves, NOTHING)
    scores[GREATEST::KINDS] = np.where(known, curves, NOTHING)
    for leaf, nonfinite in enumerate(values.nonfinite):
        for curve, code in codes_of(nonfinite, names) if nonfinite else ():
            scores[row(curve, code), leaf] = 0
    return EpochLeaves(values.epoch[0] // step, scores, np.array(values.epoch))


def choose(leaves: Leaves, ends: tuple[int, int], *, most: int) -> list[int]:
    """At most so many epochs, with both ends, from the finest buckets that allow it.

    Where not even one bucket does, the curves that come first keep their extremes.
    """
    telling = np.flatnonzero(_telling(leaves.scores))
    scores = leaves.scores[telling]
    for width in (2**exponent for exponent in count()):
        buckets = _buckets(leaves.first, scores.shape[1], width)
        if buckets > max(1, most - 2):
            continue
        rows, places = _winners(scores, leaves.first, width)
        if buckets > 1 and len(np.unique(places)) > most:
            continue
        chosen = dict.fromkeys([*ends, *leaves.epochs(telling[rows], places).tolist()])
        if len(chosen) <= most or buckets == 1:
            return sorted(list(chosen)[:most])
    raise AssertionError


def _telling(scores: Floats) -> NDArray[np.bool_]:
    """Rows that have something to tell: a curve that never changes has no extremes."""
    greatest = scores.max(axis=1)
    telling: NDArray[np.bool_] = greatest > NOTHING
    flat = ~(greatest[GREATEST::KINDS] > -greatest[LEAST::KINDS])
    telling[LEAST::KINDS] &= ~flat
    telling[GREATEST::KINDS] &= ~flat
    return telling


def _buckets(first: int, leaves: int, width: int) -> int:
    return (first + leaves - 1) // width - first // width + 1


def _winners(scores: Floats, first: int, width: int) -> tuple[Ints, Ints]:
    """The most extreme leaf of each bucket, the first one of equals: rows and places."""
    lead, buckets = first % width, _buckets(first, scores.shape[1], width)
    padded = np.full((len(scores), buckets * width), NOTHING)
    padded[:, lead : lead + scores.shape[1]] = scores
    parted = padded.reshape(len(scores), buckets, width)
    places = parted.argmax(axis=2) + np.arange(buckets) * width - lead
    rows, bucket = np.nonzero(parted.max(axis=2) > NOTHING)
    return rows, places[rows, bucket]
