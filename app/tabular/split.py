"""Which rows train, validate and test: sizes from counts alone, places from the seed or from the cells of a column."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.domain.bundles import TEST, TRAIN, VALIDATION, deal
from app.domain.sizes import Sizes, sizes_of
from app.domain.spec import ResolvedSpec
from app.tabular.bundles import CELL, bundles_of, counted, in_order
from app.tabular.drawing import drawn

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """Row numbers, ascending; together each of 0 … n - 1 once."""

    train: Indices
    validation: Indices
    test: Indices


def split(spec: ResolvedSpec, target: NDArray[np.int64] | NDArray[np.float64], rows: pl.DataFrame) -> Parts:
    """The parts of the `n` rows whose target is known: see `assign`."""
    parts = assign(spec, target, rows)
    return Parts(*(np.flatnonzero(parts == part) for part in (TRAIN, VALIDATION, TEST)))


def assign(spec: ResolvedSpec, target: NDArray[Any], rows: pl.DataFrame) -> NDArray[np.uint8]:
    """The part of each of the `n` rows whose target is known; a function of the spec's seed and split, `target` and `rows`.

    `target` is `[n]`: the class codes where `spec.split.stratify` is true, else only its length matters. Of `rows`, `[n]`,
    only the split's column is looked at, where there is one.
    Raises Invalid: as `sizes_of` and `deal`.
    """
    if spec.split.method != "random":
        return _dealt(spec, rows)
    if spec.split.stratify is not True:
        return _cut(drawn(spec.seed, len(target)), sizes_of(spec.split, [len(target)])[0])
    counts = np.bincount(target.astype(np.int64, copy=False))
    order = np.argsort(target, kind="stable").astype(np.uint32)
    numbers, parts = drawn(spec.seed, len(target)), np.empty(len(target), dtype=np.uint8)
    start = 0
    counts = counts[counts > 0]  # a job may know classes of which its dataset has no row
    for size, count in zip(sizes_of(spec.split, counts.tolist()), counts.tolist(), strict=True):
        stratum = order[start : start + count]
        parts[stratum] = _cut(numbers[stratum], size)
        start += count
    return parts


def _cut(numbers: NDArray[np.uint64], size: Sizes) -> NDArray[np.uint8]:
    """The smallest numbers train, the largest test; the two at a cut are equal once in 2^64 times."""
    held_out = [size.train, size.train + size.validation]
    cuts = [cut for cut in held_out if cut < len(numbers)]
    ranked = np.partition(numbers, cuts) if cuts else numbers
    parts = np.zeros(len(numbers), dtype=np.uint8)
    for cut in cuts:
        parts += numbers >= ranked[cut]
    return parts


def _dealt(spec: ResolvedSpec, rows: pl.DataFrame) -> NDArray[np.uint8]:
    """Rows with the same cell of the split's column in the same part."""
    cells = rows.select(pl.col(spec.split.column or "").alias(CELL))
    counts = in_order(counted(cells.lazy()), spec.split, seed=spec.seed)
    dealt = counts.with_columns(part=pl.Series(deal(spec.split, bundles_of(spec.split, counts)), dtype=pl.UInt8))
    return cells.join(dealt, on=CELL, how="left", nulls_equal=True, maintain_order="left")["part"].to_numpy()
