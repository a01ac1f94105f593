"""Reading Parquet: sizes are judged before cells are read, and only flat columns of plain types are taken."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from app.tabular.limits import Limits
from app.tabular.plain_types import is_plain, not_supported, stored_columns
from app.tabular.refusal import Refused
from app.tabular.table import Table, check_cells, check_names

MAGIC = b"PAR1"
UNREADABLE = "this is not a readable Parquet file."
# Each read parses the footer anew: 35 ms of a file of 10 000 columns.
COLUMNS_AT_A_TIME = 100


def read_parquet(path: Path, *, limits: Limits) -> Table:
    """A table of Int64, Float64, Boolean, String and naive (UTC) Datetime columns.

    Raises Refused: for a damaged file, nested or unusual types, no rows, or a passed limit.
    """
    try:
        return _read(path, limits)
    except pl.exceptions.DuplicateError:
        raise Refused.data("a column name stands more than once.") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        raise Refused.data(UNREADABLE) from None


def _read(path: Path, limits: Limits) -> Table:
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise Refused.data(UNREADABLE)
    schema = pl.read_parquet_schema(path)
    check_names(list(schema), limits)
    for name, dtype in schema.items():
        if not is_plain(dtype):
            raise not_supported(name, str(dtype).split("(")[0])
    rows = pl.scan_parquet(path).select(pl.len()).collect().item()
    check_cells(rows, len(schema), limits)
    if not rows:
        raise Refused.data("the file has no rows.")
    return Table(rows, stored_columns(_columns(path, list(schema)), limits))


def _columns(path: Path, names: list[str]) -> Iterator[pl.Series]:
    for start in range(0, len(names), COLUMNS_AT_A_TIME):
        yield from pl.read_parquet(path, columns=names[start : start + COLUMNS_AT_A_TIME]).get_columns()
