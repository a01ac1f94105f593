"""Which rows train, validate and test: sizes from counts alone, places from the seed or from the cells of a column."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.domain.bundles import TEST, TRAIN, VALIDATION, deal
from app.domain.sizes import sizes_of
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
    """The parts of the `n` rows whose target is known; a pure function of the spec's seed and split, `target` and `rows`.

    `target` is `[n]`: the class codes where `spec.split.stratify` is true, else not looked at. Of `rows`, `[n]`, only the
    split's column is looked at.
    Raises Invalid: as `sizes_of` and `deal`.
    """
    if spec.split.method != "random":
        return _dealt(spec, rows)
    strata = target.astype(np.int64) if spec.split.stratify is True else np.zeros(len(rows), dtype=np.int64)
    sizes = sizes_of(spec.split, np.bincount(strata).tolist())
    order = np.lexsort((drawn(spec.seed, len(rows)), strata))
    parts: tuple[list[Indices], list[Indices], list[Indices]] = ([], [], [])
    start = 0
    for size in sizes:
        for chosen, count in zip(parts, (size.train, size.validation, size.test), strict=True):
            chosen.append(order[start : start + count])
            start += count
    return Parts(*(np.sort(np.concatenate(chosen)) for chosen in parts))


def _dealt(spec: ResolvedSpec, rows: pl.DataFrame) -> Parts:
    """Rows with the same cell of the split's column in the same part."""
    cells = rows.select(pl.col(spec.split.column or "").alias(CELL))
    counts = in_order(counted(cells.lazy()), spec.split, seed=spec.seed)
    dealt = counts.with_columns(part=pl.Series(deal(spec.split, bundles_of(spec.split, counts)), dtype=pl.Int64))
    part = cells.join(dealt, on=CELL, how="left", nulls_equal=True, maintain_order="left")["part"].to_numpy()
    return Parts(*(np.flatnonzero(part == one) for one in (TRAIN, VALIDATION, TEST)))
