"""From a table as read to typed columns with kinds: missing markers, recognition, and what the caller asked for."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from app.domain.schema import Kind
from app.tabular import recognition
from app.tabular.limits import Limits
from app.tabular.refusal import Refusal, Refused
from app.tabular.table import Table

_KIND_OF: dict[type[pl.DataType], Kind] = {
    pl.Boolean: Kind.BOOLEAN,
    pl.Int64: Kind.NUMERIC,
    pl.Float64: Kind.NUMERIC,
    pl.Datetime: Kind.DATETIME,
    pl.String: Kind.CATEGORICAL,
}
_NOUN = {Kind.NUMERIC: "a number", Kind.BOOLEAN: "true or false", Kind.DATETIME: "an ISO date or time"}
_READINGS: dict[Kind, tuple[recognition.Reading, ...]] = {
    Kind.NUMERIC: (recognition.whole_numbers, recognition.numbers),
    Kind.BOOLEAN: (recognition.truth_values_or_digits,),
    Kind.DATETIME: (recognition.moments,),
}
_FIRST, _LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)


def typed(
    table: Table, *, kinds: Mapping[str, Kind], markers: Sequence[str] | None, limits: Limits
) -> dict[str, tuple[Kind, pl.Series]]:
    """Each column with its kind, as Boolean, Int64, Float64, Datetime or String; the table is used up.

    Raises Refused: for a kind asked of a column that is not there or cannot be it, and for a cell over the limit.
    """
    for name in kinds:
        if name not in table.columns:
            raise Refused(Refusal(code="invalid", detail="the data have no such column.", column=name))
    if markers is None and table.strings == "cells":
        markers = recognition.MARKERS
    return {name: _typed(table, name, kinds.get(name), markers=markers, limits=limits) for name in list(table.columns)}


def _typed(
    table: Table, name: str, kind: Kind | None, *, markers: Sequence[str] | None, limits: Limits
) -> tuple[Kind, pl.Series]:
    series = table.columns.pop(name)
    if series.dtype == pl.String:
        _check_size(table, name, series, limits)
        _check_nul(table, name, series)
        series = series if markers is None else recognition.without_markers(series, markers)
        series = _recognized(table, name, series, kind)
    if series.dtype == pl.Float64:
        series = series.fill_nan(None)
    if series.dtype == pl.Datetime:
        _check_years(table, name, series)
    return kind or _KIND_OF[type(series.dtype)], _suited(table, name, series, kind)


def _check_size(table: Table, name: str, series: pl.Series, limits: Limits) -> None:
    lengths = series.str.len_bytes()
    longest = lengths.max()
    if isinstance(longest, int) and longest > limits.cell_bytes:
        first = (lengths > limits.cell_bytes).fill_null(False).arg_max() or 0
        refused = table.refuse(first, name, f"the cell has more than {limits.cell_bytes} bytes.")
        raise Refused(refused.refusal.model_copy(update={"code": "too_large"}))


def _check_nul(table: Table, name: str, series: pl.Series) -> None:
    """JSON and columnar files have room for a NUL; not every database has."""
    found = series.str.contains("\0", literal=True).fill_null(False)
    if found.any():
        raise table.refuse(found.arg_max() or 0, name, "there is a NUL in the cell.")


def _check_years(table: Table, name: str, series: pl.Series) -> None:
    """Columnar files have room for moments that nothing else can write."""
    beyond = ((series < _FIRST) | (series > _LAST)).fill_null(False)
    if beyond.any():
        raise table.refuse(beyond.arg_max() or 0, name, "the moment is not within the years 1 to 9999.")


def _recognized(table: Table, name: str, series: pl.Series, kind: Kind | None) -> pl.Series:
    """Strings as what they stand for: what was asked, else what all of them are."""
    if kind in _READINGS:
        read = recognition.recognize(series, _READINGS[kind])
        if read.dtype == pl.String:
            raise table.refuse(_first_unread(series, kind), name, f"the cell is not {_NOUN[kind]}.")
        return read
    if kind is Kind.CATEGORICAL or table.strings == "words":
        return series
    return recognition.recognize(series, None if table.strings == "cells" else (recognition.moments,))


def _first_unread(series: pl.Series, kind: Kind) -> int:
    read = _READINGS[kind][-1](series.str.strip_chars())
    return (read.is_null() & series.is_not_null()).arg_max() or 0


def _suited(table: Table, name: str, series: pl.Series, kind: Kind | None) -> pl.Series:
    """The series as it can be stored for the kind asked for; refuses where it can't."""
    found = _KIND_OF[type(series.dtype)]
    if kind in (None, found) or (kind is Kind.NUMERIC and found is Kind.BOOLEAN):
        return series
    if kind is Kind.CATEGORICAL and found in (Kind.BOOLEAN, Kind.NUMERIC) and _whole(series):
        return series
    if kind is Kind.BOOLEAN and found is Kind.NUMERIC and series.drop_nulls().is_in([0, 1]).all():
        return series.cast(pl.Boolean)
    raise Refused(Refusal(code="invalid", detail=f"a {found} column cannot be read as {kind}.", column=name))


def _whole(series: pl.Series) -> bool:
    return not series.dtype.is_float() or bool((series.is_finite() & (series == series.floor())).fill_null(True).all())
