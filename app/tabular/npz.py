"""Reading NumPy archives without pickles: sizes are judged by the directory and the arrays' headers before a cell is read."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.tabular.limits import MIB, Limits
from app.tabular.plain_types import stored_columns
from app.tabular.refusal import Refused
from app.tabular.table import Table, check_cells, check_names

UNREADABLE = "this is not a readable .npz archive."
SUFFIX = ".npy"
FEATURES, TARGET = "X", "y"
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, TypeError, OverflowError, NotImplementedError)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
# Booleans, whole numbers with and without a sign, fractions, moments, texts as characters and as bytes.
_KINDS = "biufMUS"


def read_npz(path: Path, *, limits: Limits) -> Table:
    """The columns of `X` as x0, x1, … and `y` as target (target0, target1, … where it has several columns).

    Raises Refused: for a damaged archive, other arrays, pickles, other shapes and types, no rows, or a passed limit.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive, limits)
    except _DAMAGED:
        raise Refused.data(UNREADABLE) from None


def _read(archive: zipfile.ZipFile, limits: Limits) -> Table:
    entries = _entries(archive, limits)
    if FEATURES not in entries:
        raise Refused.data(f"there is no array {FEATURES!r}; its columns are the features, and {TARGET!r} is the target.")
    arrays = {name: _array(archive, entries[name], limits) for name in (FEATURES, TARGET) if name in entries}
    rows = len(arrays[FEATURES])
    for name, array in arrays.items():
        if len(array) != rows:
            raise Refused.data(f"{FEATURES!r} has {rows} rows and {name!r} has {len(array)}.")
    names = [name for array in arrays.items() for name in _names(*array)]
    check_names(names, limits)
    check_cells(rows, len(names), limits)
    if not rows:
        raise Refused.data("the file has no rows.")
    columns = (column for array in arrays.values() for column in array.T)
    series = (_series(name, column) for name, column in zip(names, columns, strict=True))
    return Table(rows, stored_columns(series, limits))


def _entries(archive: zipfile.ZipFile, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    """The arrays by their names, as far as the directory tells of them."""
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = entry.filename.removesuffix(SUFFIX)
        if name not in (FEATURES, TARGET) or name in found:
            raise Refused.data(f"there is {name[:50]!r} in the archive; it may hold {FEATURES!r} and {TARGET!r}, each once.")
        if entry.compress_type not in _METHODS or entry.flag_bits & _ENCRYPTED:
            raise Refused.data(f"the array {name!r} is encrypted or compressed in an unusual way.")
        found[name] = entry
    inflated, ratio = sum(entry.file_size for entry in found.values()), limits.inflation_ratio
    if inflated > limits.inflated_bytes:
        raise Refused.size(f"the arrays inflate to more than {limits.inflated_bytes} bytes.")
    if inflated > MIB and inflated > ratio * sum(entry.compress_size for entry in found.values()):
        raise Refused.size(f"the arrays inflate to more than {ratio} times their size.")
    return found


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits) -> NDArray[Any]:
    """An array as [rows, columns]; what its header claims is checked before its cells are read."""
    name = entry.filename.removesuffix(SUFFIX)
    with archive.open(entry) as file:
        shape, in_columns, dtype = _header(file)
        _check_type(name, dtype)
        rows, columns = _size(name, shape, limits)
        size = rows * columns * dtype.itemsize
        if size != entry.file_size - file.tell():
            raise Refused.data(f"the array {name!r} has not as many bytes as its header says.")
        cells = np.frombuffer(file.read(), dtype)
    return cells.reshape((rows, columns), order="F" if in_columns else "C")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns stand one after the other, and type; NumPy reads them as a literal, never as code."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        return read(file)
    except Exception:  # of a literal that is none: whatever Python's tokenizer and parser raise
        raise Refused.data(UNREADABLE) from None


def _size(name: str, shape: tuple[int, ...], limits: Limits) -> tuple[int, int]:
    """Rows and columns, neither of them beyond the limits."""
    if len(shape) not in (1, 2):
        raise Refused.data(f"the array {name!r} has {len(shape)} dimensions; it may have one or two.")
    if min(shape) < 0:
        raise ValueError(shape)
    rows, columns = shape[0], shape[1] if len(shape) == 2 else 1
    if columns > limits.columns:
        raise Refused.size(f"the array {name!r} has {columns} columns; the limit is {limits.columns}.")
    check_cells(rows, columns, limits)
    return rows, columns


def _check_type(name: str, dtype: np.dtype[Any]) -> None:
    if dtype.hasobject:
        raise Refused.data(f"the array {name!r} holds Python objects, a pickle; save it as numbers or as texts.")
    if dtype.kind not in _KINDS or not dtype.itemsize:
        raise Refused.data(f"the array {name!r} has the type {dtype.name}, which is not supported.")


def _names(array: str, cells: NDArray[Any]) -> Iterator[str]:
    columns = cells.shape[1]
    if array == TARGET:
        return iter(["target"] if columns == 1 else [f"target{number}" for number in range(columns)])
    return (f"x{number}" for number in range(columns))


def _series(name: str, cells: NDArray[Any]) -> pl.Series:
    kind = cells.dtype.kind
    if kind in "US":
        return pl.Series(name, _texts(name, cells), dtype=pl.String)
    if kind == "M":
        _check_moments(name, cells)
    plain = {"f": np.dtype(np.float64), "M": np.dtype("datetime64[us]")}.get(kind, cells.dtype.newbyteorder("="))
    return pl.Series(name, np.ascontiguousarray(cells, dtype=plain))


def _texts(name: str, cells: NDArray[Any]) -> list[str]:
    """Characters, or bytes that are UTF-8."""
    try:
        texts = [cell if isinstance(cell, str) else cell.decode() for cell in cells.tolist()]
        "".join(texts).encode()  # a lone surrogate is a character to NumPy alone
    except (UnicodeError, SystemError, ValueError):  # SystemError: a number beyond all characters
        raise Refused.data("a text is not Unicode, or not UTF-8.", column=name) from None
    return texts


def _check_moments(name: str, cells: NDArray[Any]) -> None:
    """In the array's own unit: NumPy wraps what does not fit into microseconds without a word."""
    years = cells.astype("datetime64[Y]").astype(np.int64) + 1970
    if not np.all(np.isnat(cells) | ((years >= 1) & (years <= 9999))):
        raise Refused.data("the moment is not within the years 1 to 9999.", column=name)
