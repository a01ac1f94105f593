"""What the readers of the formats hand on: columns in row order, and the lines that the rows stood on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.tabular.limits import Limits
from app.tabular.refusal import Refused

LONGEST_NAME = 256


@dataclass
class Table:
    """Columns by name, each a Series of one length; `lines[i]` is the line (from 1) of row i, for text formats."""

    rows: int
    columns: dict[str, pl.Series]
    lines: NDArray[np.int64] | None = None
    strings: Literal["cells", "dates", "words"] = "words"
    """What a string column's strings are: cells of a text file that may stand for anything, words or ISO dates, words only."""

    def refuse(self, row: int, column: str, detail: str) -> Refused:
        """A refusal that names the place of a cell."""
        line = None if self.lines is None else int(self.lines[row])
        return Refused.data(detail, line=line, row=row, column=column)


def check_names(names: Sequence[str], limits: Limits, *, line: int | None = None) -> None:
    """Refuses no or too many names, and empty, doubled and overlong ones, and those with a NUL."""
    if not names:
        raise Refused.data("there are no columns.", line=line)
    if len(names) > limits.columns:
        raise Refused.size(f"there are {len(names)} columns; the limit is {limits.columns}.", line=line)
    seen: set[str] = set()
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise Refused.data(f"column {position} has no name.", line=line)
        if "\0" in name:
            raise Refused.data(f"the name of column {position} has a NUL.", line=line)
        if name in seen:
            raise Refused.data("this column name stands more than once.", line=line, column=name)
        if len(name) > LONGEST_NAME:
            raise Refused.data(f"the name of column {position} has more than {LONGEST_NAME} characters.", line=line)
        seen.add(name)


def check_cells(rows: int, columns: int, limits: Limits) -> None:
    """Refuses more cells, or rows, than the limit."""
    if limits.rows is not None and rows > limits.rows:
        raise Refused.size(f"there are more than {limits.rows} rows.")
    if rows * columns > limits.cells:
        raise Refused.size(f"there are more than {limits.cells} cells (rows times columns).")
