"""The cells of a split's column, counted: bundles in the order in which they are dealt to the parts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from app.domain.bundles import Bundles
from app.domain.spec import Split
from app.tabular.drawing import drawn

CELL, ROWS = "cell", "rows"


def read_cells(parquet: Path, column: str, *, targets: Sequence[str]) -> pl.DataFrame:
    """The `counted` cells of the rows whose targets are known; memory goes by the number of different cells, not of rows."""
    rows = pl.scan_parquet(parquet).filter(pl.all_horizontal(pl.col(list(targets)).is_not_null()))
    return counted(rows.select(pl.col(column).alias(CELL)))


def counted(cells: pl.LazyFrame) -> pl.DataFrame:
    """Each different `cell` and how many `rows` have it, `[b]`: ascending by cell, a missing one first."""
    return cells.group_by(CELL).agg(pl.len().alias(ROWS)).sort(CELL, nulls_last=False).collect(engine="streaming")


def in_order(counts: pl.DataFrame, split: Split, *, seed: int) -> pl.DataFrame:
    """The same as they are dealt: groups as drawn, else as they are.

    The order is a function of the cells and the seed alone, not of the file's order.
    """
    return counts[np.argsort(drawn(seed, len(counts)), kind="stable")] if split.method == "group" else counts


def bundles_of(split: Split, counts: pl.DataFrame) -> Bundles:
    """As the domain knows them, from what `in_order` answers."""
    missing = int(counts.filter(pl.col(CELL).is_null())[ROWS].sum())
    there = counts if split.method == "group" else counts.filter(pl.col(CELL).is_not_null())
    words = there[CELL].to_list() if split.method == "column" else []
    return Bundles(counts=there[ROWS].to_list(), missing=missing, words=words)
