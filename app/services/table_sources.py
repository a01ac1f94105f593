"""Prediction requests that are tables: CSV, and Arrow as a stream or a file."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.domain.errors import pointer
from app.serving.features import Features
from app.serving.sent import BOTH, Asked, SentArrays, Values, Wanted
from app.tabular.arrow import read_batches
from app.tabular.arrow_outline import DAMAGED, outline
from app.tabular.delimited import read_cells
from app.tabular.encodings import decoded
from app.tabular.given import given_values
from app.tabular.limits import Limits
from app.tabular.reading import error_of
from app.tabular.refusal import Refused
from app.tabular.table import Table

# A table is read by columns, each of which takes its time.
SMALL = 64 * 1024
COLUMNS = "/columns"


@dataclass(frozen=True, kw_only=True)
class TableSource:
    """A body that `read_table` reads; faults have the places of the same rows sent as `columns`."""

    body: bytes
    read_table: Callable[[bytes, Limits], Table]
    limits: Limits
    size: Callable[[bytes], int] = len
    """How much there is to read in a body."""
    wanted: Wanted | None = None

    @property
    def is_small(self) -> bool:
        """Whether reading it is not worth a thread."""
        return len(self.body) <= SMALL and self.size(self.body) <= SMALL

    def read(self, features: Features) -> Asked:
        """What is asked; InvalidData where the body is no such table, TooLarge where it passes a limit."""
        try:
            table = self.read_table(self.body, self.limits)
        except Refused as refused:
            raise error_of(refused.refusal) from None
        extra: dict[str, Values] = {name: [] for name in table.columns}
        values = given_values(table, features.columns)
        return Asked(SentArrays(table.rows, extra | values, _place, COLUMNS), self.wanted or BOTH)


def csv_table(body: bytes, limits: Limits) -> Table:
    """With a header; every cell as text, of which the markers of an upload are missing."""
    reader: io.BufferedReader[Any] = io.BufferedReader(io.BytesIO(body))
    return read_cells(decoded(reader), delimiter=None, limits=limits)


def arrow_table(body: bytes, limits: Limits) -> Table:
    """A stream or a file, judged by what it says of itself before a cell is read."""
    return read_batches(body, limits=limits)


def arrow_size(body: bytes) -> int:
    """The bytes that its columns unpack to, or its cells where they are more; 0 of a damaged one, which is read no further."""
    try:
        found = outline(memoryview(body))
    except DAMAGED:
        return 0
    return max(found.bytes, found.rows * len(found.columns))


def _place(column: str, row: int) -> str:
    return pointer("columns", column, row)
