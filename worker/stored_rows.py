"""The prepared rows of a job that is streamed, in files without a name: gone with the process, however that ends."""

import os
import tempfile
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from app.domain.bundles import TEST, TRAIN, VALIDATION
from app.domain.columns import AnyTarget
from app.domain.spec import ResolvedSpec
from app.tabular.streaming import Piece, Streamed
from worker.engine.data import Floats, Part, Range, StoredRows, Targets


def store(streamed: Streamed, spec: ResolvedSpec) -> StoredRows:
    """Write all rows, x in the type in which it is trained."""
    parts: dict[int, StoredSplit] = {}
    for piece in streamed.pieces():
        if piece.part not in parts:
            parts[piece.part] = StoredSplit(piece, dtype=np.float64 if spec.precision == "fp64" else np.float32)
        parts[piece.part].append(piece)
    target = streamed.fitted.target
    return StoredRows(
        train=parts[TRAIN],
        validation=parts.get(VALIDATION),
        test=parts.get(TEST),
        target_center=of_outputs(target.center),
        target_scale=of_outputs(target.scale),
        target_range=range_of(target),
    )


def of_outputs(values: float | list[float]) -> float | Floats:
    """One number, or those of several outputs [O]."""
    return np.array(values) if isinstance(values, list) else values


def range_of(target: AnyTarget) -> Range | None:
    """What predictions are clipped to."""
    return target.range and (of_outputs(target.range[0]), of_outputs(target.range[1]))


class StoredSplit:
    """Implements the engine's StoredPart for pieces like the first."""

    def __init__(self, first: Piece, *, dtype: DTypeLike) -> None:
        self.rows, self.columns, self.weighted = 0, first.x.shape[1], first.w is not None
        self._sum = 0.0
        self._x = _File(dtype, first.x.shape[1:])
        self._y = _File(first.y.dtype, first.y.shape[1:])
        self._w = _File(np.float64, ()) if first.w is not None else None

    def append(self, piece: Piece) -> None:
        """Write more rows behind those that stand there."""
        self._x.append(piece.x)
        self._y.append(piece.y)
        if self._w is not None and piece.w is not None:
            self._w.append(piece.w)
            self._sum += float(piece.w.sum())
        self.rows += len(piece.y)

    @property
    def weight(self) -> float:
        """See StoredPart."""
        return self._sum if self.weighted else float(self.rows)

    @property
    def y(self) -> Targets:
        """See StoredPart."""
        return self._y.all(self.rows)

    @property
    def w(self) -> Floats | None:
        """See StoredPart."""
        return None if self._w is None else self._w.all(self.rows)

    def read(self, runs: Sequence[slice]) -> Part:
        """See StoredPart."""
        return Part(self._x.read(runs), self._y.read(runs), None if self._w is None else self._w.read(runs))

    def expect(self, runs: Sequence[slice]) -> None:
        """See StoredPart."""
        self._x.expect(runs)


class _File:
    """An array [n, *shape] on disk; read with pread, for pages of a mapped file would count as memory of the process."""

    def __init__(self, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
        with tempfile.TemporaryFile() as file:
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)
        self._buffer: NDArray[Any] = np.empty((0, *shape), dtype)
        self._row_bytes = int(np.prod(shape, dtype=np.int64)) * self._buffer.itemsize

    def append(self, rows: NDArray[Any]) -> None:
        left = _bytes_of(np.ascontiguousarray(rows, self._buffer.dtype))
        while left:
            left = left[os.write(self._descriptor, left) :]

    def read(self, runs: Sequence[slice]) -> NDArray[Any]:
        rows = sum(run.stop - run.start for run in runs)
        if rows > len(self._buffer):
            self._buffer = np.empty((rows, *self._buffer.shape[1:]), self._buffer.dtype)
        done = 0
        for run in runs:
            end = done + run.stop - run.start
            self._fill(self._buffer[done:end], run.start)
            done = end
        return self._buffer[:rows]

    def all(self, rows: int) -> NDArray[Any]:
        found = np.empty((rows, *self._buffer.shape[1:]), self._buffer.dtype)
        self._fill(found, 0)
        return found

    def expect(self, runs: Sequence[slice]) -> None:
        if hasattr(os, "posix_fadvise"):
            for run in runs:
                start, length = run.start * self._row_bytes, (run.stop - run.start) * self._row_bytes
                os.posix_fadvise(self._descriptor, start, length, os.POSIX_FADV_WILLNEED)

    def _fill(self, rows: NDArray[Any], first: int) -> None:
        left, offset = _bytes_of(rows), first * self._row_bytes
        while left:
            count = os.preadv(self._descriptor, [left], offset)
            if not count:
                raise EOFError("The file of prepared rows is shorter than what was written to it.")
            left, offset = left[count:], offset + count


def _bytes_of(array: NDArray[Any]) -> memoryview:
    """A view of a contiguous array."""
    return array.data.cast("B") if array.size else memoryview(b"")
