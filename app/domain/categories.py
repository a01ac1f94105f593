"""What a value of any type is as a category: by the type that the job's column had, and by how its levels are spelt."""

import json
import re
from collections.abc import Callable, Collection, Mapping

from app.domain.schema import Column, Kind, Level, StorageType, level_text

_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)


def category_text(value: Level, type: StorageType) -> str:
    """A value as the level that it is of a column of `type`: where that held truth values, 1 is `true` and 0 is `false`."""
    return level_text(bool(value) if type is StorageType.BOOL and value in (0, 1) else value)


def category_flaw(type: StorageType, levels: Collection[str], column: Column) -> str | None:
    """Why a column cannot be read as the categories `levels` of a column of `type`; None where it can.

    A level that only it has is one never seen. What a text file was typed as no longer shows how it was spelt.
    """
    if column.kind is Kind.DATETIME or (column.type is StorageType.FLOAT64 and not column.integral):
        cure = f"; {_as_text(column)}" if type is StorageType.STRING else "."
        return f"is {column.kind}; the job reads it as categorical{cure}"
    if column.type is StorageType.BOOL and type in (StorageType.INT64, StorageType.FLOAT64):
        return "is boolean; the job reads it as categorical, with whole numbers as its levels."
    if type is not StorageType.STRING:
        return None
    lost = next((level for level in levels if _has_lost(column, level)), None)
    return f"is of type {column.type}, where the job's category {lost!r} is not spelt so; {_as_text(column)}" if lost else None


def _as_text(column: Column) -> str:
    return f"upload it with the schema {json.dumps({column.name: 'categorical'})}, which keeps a text file's cells as they are."


def _has_lost(column: Column, level: str) -> bool:
    """True where a cell may have been this text, and is spelt otherwise by now."""
    read = _READ.get(column.type)
    value = read(level.strip()) if read else None
    if value is None or level_text(value) == level:
        return False
    return column.levels is None or value in column.levels


def _truth_value(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _whole_number(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) and len(text) <= _LONGEST else None


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


_LONGEST = 1000
"""Digits: what is longer is no whole number of 64 bits, whatever zeros it begins with."""
_READ: Mapping[StorageType, Callable[[str], Level | None]] = {
    StorageType.BOOL: _truth_value,
    StorageType.INT64: _whole_number,
    StorageType.FLOAT64: _number,
}
