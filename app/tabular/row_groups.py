"""The row groups of a stored dataset: as large as one wants to hold them in memory, read one after the other."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

# 8 MB of numbers: reading such groups takes 54 MB beside a process at rest, groups of 26 MB take 161 (docs/experiments.md).
_CELLS, _FEWEST, _MOST = 1 << 20, 1 << 10, 1 << 16


def group_rows(columns: int) -> int:
    """Rows of a group of a dataset with so many columns."""
    return min(_MOST, max(_FEWEST, _CELLS // columns))


def row_groups(parquet: Path, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Columns of a stored dataset, group by group in row order."""
    return slices(parquet, names, rows=group_rows(len(pl.scan_parquet(parquet).collect_schema())))


def slices(parquet: Path, names: Sequence[str], *, rows: int, first: int = 0) -> Iterator[pl.DataFrame]:
    """The same in slices of so many rows, from a row on."""
    scan = pl.scan_parquet(parquet)
    total = int(scan.select(pl.len()).collect().item())
    chosen = scan.select(list(names))
    return (chosen.slice(start, rows).collect() for start in range(first, total, rows))
