"""Counts that a stored dataset's description does not have."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl


def complete_rows(parquet: Path, names: Sequence[str]) -> int:
    """How many rows have a value in each of the columns."""
    whole = pl.all_horizontal(pl.col(list(names)).is_not_null())
    return int(pl.scan_parquet(parquet).select(whole.sum()).collect().item())
