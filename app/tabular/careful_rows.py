"""The careful way through a delimited text: quotes, blank lines, and every fault with its line."""

import csv
from array import array
from collections.abc import Iterator

import polars as pl

from app.tabular.limits import Limits
from app.tabular.refusal import Refused

CELLS_AT_A_TIME = 1_000_000


class CarefulRows:
    """The rows of a delimited text, with the line that each began on; `before` lines stand above the first."""

    def __init__(self, lines: Iterator[str], *, delimiter: str, limits: Limits, before: int = 0) -> None:
        csv.field_size_limit(limits.cell_bytes)
        self._reader = csv.reader(lines, delimiter=delimiter, strict=True)
        self._limits, self._before = limits, before

    @property
    def line(self) -> int:
        """How many lines were read, those above included."""
        return self._before + self._reader.line_num

    def first(self) -> list[str] | None:
        """The cells of the first line that is not blank."""
        return next((row for row in self._checked() if row), None)

    def blocks(self, width: int, lines: "array[int]") -> Iterator[list[pl.Series]]:
        """The rows as `width` String columns, about a million cells at a time; appends each row's line to `lines`."""
        block: list[list[str]] = []
        full = max(1, CELLS_AT_A_TIME // width)
        for line, row in self._numbered(width):
            if len(row) != width:
                raise Refused.data(f"there are {len(row)} cells where the header has {width}.", line=line)
            lines.append(line)
            block.append(row)
            if len(block) == full:
                yield _columns(block)
                block = []
        if block:
            yield _columns(block)

    def _numbered(self, width: int) -> Iterator[tuple[int, list[str]]]:
        """Each row with the line that it began on; a blank line is an empty cell where that is a row, else none."""
        blank = [""] if width == 1 else []
        before = self.line
        for row in self._checked():
            line, before = before + 1, self.line
            if row := row or blank:
                yield line, row

    def _checked(self) -> Iterator[list[str]]:
        """The rows, with the faults of the quoting in our words."""
        try:
            yield from self._reader
        except csv.Error as error:
            raise self._fault(str(error)) from None

    def _fault(self, message: str) -> Refused:
        if "field larger" in message:
            return Refused.size(f"a cell has more than {self._limits.cell_bytes} characters.", line=self.line)
        if "unexpected end" in message:
            return Refused.data("the file ends inside a quoted cell.", line=self.line)
        if "new-line" in message:
            return Refused.data("there is a carriage return inside a cell that is not quoted.", line=self.line)
        return Refused.data("a closing quote is followed by more text.", line=self.line)


def _columns(block: list[list[str]]) -> list[pl.Series]:
    return [pl.Series(values=cells, dtype=pl.String) for cells in zip(*block, strict=True)]
