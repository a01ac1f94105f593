"""Reading Arrow IPC, as a file (also called Feather) or a stream: sizes and types are judged before cells are read."""

from pathlib import Path

import polars as pl

from app.tabular.arrow_outline import DAMAGED, MAGIC, outline
from app.tabular.limits import Limits
from app.tabular.plain_types import is_plain, not_supported, stored_columns
from app.tabular.refusal import Refused
from app.tabular.table import Table, check_cells, check_names

UNREADABLE = "this is not a readable Arrow file or stream."
_DAMAGED = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, *DAMAGED)
_PLAIN = frozenset({"Null", "Int", "FloatingPoint", "Utf8", "LargeUtf8", "Utf8View", "Bool", "Decimal", "Date", "Timestamp"})


def read_arrow(path: Path, *, limits: Limits) -> Table:
    """A table of Int64, Float64, Boolean, String and naive (UTC) Datetime columns.

    Raises Refused: for a damaged file, nested or unusual types, no rows, or a passed limit.
    """
    return read_batches(path.read_bytes(), limits=limits)


def read_batches(data: bytes, *, limits: Limits) -> Table:
    """As `read_arrow`, of bytes in memory."""
    try:
        return _read(data, limits)
    except _DAMAGED:
        raise Refused.data(UNREADABLE) from None


def _read(data: bytes, limits: Limits) -> Table:
    _judge(memoryview(data), limits)
    frame = (pl.read_ipc if data.startswith(MAGIC) else pl.read_ipc_stream)(data)
    for name, dtype in frame.schema.items():
        if not is_plain(dtype):
            raise not_supported(name, str(dtype).split("(")[0])
    check_cells(frame.height, frame.width, limits)
    return Table(frame.height, stored_columns(frame.iter_columns(), limits))


def _judge(data: memoryview, limits: Limits) -> None:
    found = outline(data)
    check_names([name for name, _ in found.columns], limits)
    for name, type in found.columns:
        if type not in _PLAIN:
            raise not_supported(name, type)
    check_cells(found.rows, len(found.columns), limits)
    if not found.rows:
        raise Refused.data("the file has no rows.")
    if found.bytes > limits.inflated_bytes:
        raise Refused.size(f"the columns of the file unpack to more than {limits.inflated_bytes} bytes.")
