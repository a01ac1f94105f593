"""What a dataset holds, for people who look at it: a page of rows, and the whole as CSV."""

import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl

from app.domain.numbers import to_json
from app.tabular.row_groups import row_groups

Cell = bool | int | float | str | None


def read_rows(path: Path, *, after: int, limit: int) -> list[dict[str, Cell]]:
    """Up to `limit` rows behind the first `after`; what JSON cannot carry as text."""
    rows = pl.scan_parquet(path).slice(after, limit).collect().to_dicts()
    return [{name: _cell(value) for name, value in row.items()} for row in rows]


def _cell(value: object) -> Cell:
    if isinstance(value, float) and not math.isfinite(value):
        return to_json(value)
    if isinstance(value, date):
        return f"{value.isoformat()}Z"
    assert value is None or isinstance(value, bool | int | float | str)
    return value


def to_csv(path: Path) -> Iterator[bytes]:
    """The rows in pieces, with a header; missing cells are empty, times are ISO 8601."""
    names = list(pl.read_parquet_schema(path))
    missing = "" if len(names) > 1 else '""'  # most readers skip a blank line
    for number, piece in enumerate(row_groups(path, names)):
        text = piece.write_csv(include_header=not number, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ", null_value=missing)
        yield text.encode()
