"""Reading CSV and TSV: every cell as text, every row as long as the header."""

import io
import re
from array import array
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from app.tabular.careful_rows import CarefulRows
from app.tabular.inflating import decoded_lines, open_text, whole_lines
from app.tabular.limits import MIB, Limits
from app.tabular.plain_block import plain_block
from app.tabular.refusal import Refused
from app.tabular.table import Table, check_cells, check_names

BLOCK = 8 * MIB
_QUOTED = re.compile(rb'(\A|[,;\t])"(?:[^"]|"")*"')


def read_delimited(path: Path, *, delimiter: str | None, limits: Limits) -> Table:
    """A table of String columns; blank lines are skipped, but in a single column, and so are spaces around column names.

    Without a delimiter it is the comma, or where the header has none outside of quotes a semicolon or tab that it has.
    Raises Refused: for a ragged row, broken quoting, bad bytes, bad names, no rows, or a passed limit.
    """
    with open_text(path, limits) as reader:
        return read_cells(reader, delimiter=delimiter, limits=limits)


def read_cells(reader: "io.BufferedReader[Any]", *, delimiter: str | None, limits: Limits) -> Table:
    """As `read_delimited`, of text that is UTF-8 already."""
    body = _Body(reader, delimiter=delimiter or _delimiter_of(reader), limits=limits)
    gathered = _gathered(body, limits)
    if not body.lines:
        raise Refused.data("the file has a header and no rows.")
    columns = {name: _joined(parts) for name, parts in zip(body.names, _drained(gathered), strict=True)}
    return Table(len(body.lines), columns, lines=np.frombuffer(body.lines, dtype=np.int64), strings="cells")


def _joined(parts: list[pl.Series]) -> pl.Series:
    return parts[0] if len(parts) == 1 else pl.concat(parts)


def _delimiter_of(reader: "io.BufferedReader[Any]") -> str:
    """The first of these that stands in the header outside of quoted names."""
    header = _QUOTED.sub(rb"\1", reader.peek(MIB)).partition(b"\n")[0]
    return next((mark for mark in (",", ";", "\t") if mark.encode() in header), ",")


def _gathered(body: "_Body", limits: Limits) -> list[list[pl.Series]]:
    """The parts of each column."""
    gathered: list[list[pl.Series]] = [[] for _ in body.names]
    for block in chain(body.plain(), body.careful()):
        check_cells(len(body.lines), len(body.names), limits)
        for parts, part in zip(gathered, block, strict=True):
            parts.append(part)
    return gathered


def _drained(gathered: list[list[pl.Series]]) -> Iterator[list[pl.Series]]:
    """The parts of each column, let go of as they are taken."""
    for position, parts in enumerate(gathered):
        gathered[position] = []
        yield [part.alias("") for part in parts]


class _Body:
    """What stands below the header: read quickly as far as that goes, then carefully to the end."""

    def __init__(self, reader: io.BufferedIOBase, *, delimiter: str, limits: Limits) -> None:
        self._reader, self._delimiter, self._limits = reader, delimiter, limits
        head = CarefulRows(decoded_lines(reader), delimiter=delimiter, limits=limits)
        names = head.first()
        if names is None:
            raise Refused.data("the file is empty.")
        self.names = [name.strip() for name in names]
        check_names(self.names, limits, line=head.line)
        self.lines = array("q")
        self._line = head.line
        self._left = b""

    def plain(self) -> Iterator[list[pl.Series]]:
        """Blocks of columns, up to the first that needs care."""
        while block := whole_lines(self._reader, BLOCK):
            columns = plain_block(block, width=len(self.names), delimiter=self._delimiter)
            if columns is None:
                self._left = block
                return
            rows = len(columns[0])
            self.lines.extend(range(self._line + 1, self._line + rows + 1))
            self._line += rows
            yield columns

    def careful(self) -> Iterator[list[pl.Series]]:
        """The blocks of the rest."""
        after = self._line + self._left.count(b"\n")
        lines = chain(decoded_lines(io.BytesIO(self._left), self._line), decoded_lines(self._reader, after))
        rows = CarefulRows(lines, delimiter=self._delimiter, limits=self._limits, before=self._line)
        yield from rows.blocks(len(self.names), self.lines)
