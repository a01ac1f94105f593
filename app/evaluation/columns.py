"""Columns of numbers that are written in pieces and read one at a time: on disk, in a file without a name."""

import os
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Columns:
    """`count` columns of at most `rows` numbers each; gone with the object, or with the process, however that ends.

    `folder` is where the file is: the system's one for temporary files may be of memory.
    """

    def __init__(self, count: int, *, rows: int, type: DTypeLike, folder: Path | None = None) -> None:
        with tempfile.TemporaryFile(dir=folder) as file:
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)
        self._type, self._count, self._rows, self._written = np.dtype(type), count, rows, 0

    def append(self, block: NDArray[Any]) -> None:
        """More rows [n, count], behind those that stand there."""
        for column in range(self._count):
            self._write(np.ascontiguousarray(block[:, column], self._type), self._place(column, self._written))
        self._written += len(block)

    def read(self, column: int) -> NDArray[Any]:
        """All that was written of a column."""
        found = np.empty(self._written, self._type)
        left, place = found.data.cast("B"), self._place(column, 0)
        while left:
            count = os.preadv(self._descriptor, [left], place)
            if not count:
                raise EOFError("The file of columns is shorter than what was written to it.")
            left, place = left[count:], place + count
        return found

    def _write(self, numbers: NDArray[Any], place: int) -> None:
        left = numbers.data.cast("B")
        while left:
            count = os.pwrite(self._descriptor, left, place)
            left, place = left[count:], place + count

    def _place(self, column: int, row: int) -> int:
        return (column * self._rows + row) * self._type.itemsize
