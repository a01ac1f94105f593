"""Which rows train, validate and test: sizes from counts alone, places from the seed alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.sizes import sizes_of
from app.domain.spec import ResolvedSpec

Indices = NDArray[np.int64]
# Sets the stream of the split apart from all else that is drawn from a job's seed.
STREAM = 0x5B117


@dataclass(frozen=True)
class Parts:
    """Row numbers, ascending; together each of 0 … n - 1 once."""

    train: Indices
    validation: Indices
    test: Indices


def split(spec: ResolvedSpec, target: NDArray[np.int64] | NDArray[np.float64], n: int) -> Parts:
    """Draws the parts of the `n` rows whose target is known; a pure function of the spec's seed and split, and of `target`.

    `target` is `[n]`: the class codes where `spec.split.stratify` is true, else not looked at.
    Raises Invalid: as `sizes_of`.
    """
    strata = target.astype(np.int64) if spec.split.stratify is True else np.zeros(n, dtype=np.int64)
    sizes = sizes_of(spec.split, np.bincount(strata).tolist())
    drawn = np.random.Philox(np.random.SeedSequence([spec.seed, STREAM])).random_raw(n)
    order = np.lexsort((drawn, strata))
    parts: tuple[list[Indices], list[Indices], list[Indices]] = ([], [], [])
    start = 0
    for size in sizes:
        for rows, count in zip(parts, (size.train, size.validation, size.test), strict=True):
            rows.append(order[start : start + count])
            start += count
    return Parts(*(np.sort(np.concatenate(rows)) for rows in parts))
