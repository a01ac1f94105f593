"""What a batch prediction warns of: counted by code and column without a limit, in a list that has one."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

MOST_COLUMNS = 100
"""Columns that are counted by name, of each code: those that were warned of first; the others are counted together."""
MOST_KEPT = 10_000
"""Warnings that are kept with their rows: the first."""


class Kind(NamedTuple):
    """What is counted together; the column is None where there were too many."""

    code: str
    column: str | None


_TOLD = {
    "missing_value": "Values of {where} are missing; they were imputed as in training.",
    "unseen_category": "Values of {where} were not seen in training.",
    "outside_training_range": "Values of {where} are far outside what was seen in training.",
    "extra_column": "{where} is no feature of the model; it was ignored.",
}


def detail_of(kind: Kind) -> str:
    """What is counted, in words."""
    where = "further columns" if kind.column is None else f"column {kind.column!r}"
    text = _TOLD.get(kind.code, "Warnings of {where}.").format(where=where)
    return text[0].upper() + text[1:]


def added_up(before: Iterable[Mapping[str, Any]], new: Mapping[Kind, int]) -> list[dict[str, Any]]:
    """The list with what is new, in the order in which each was warned of first."""
    counts = {Kind(one["code"], one["column"]): int(one["count"]) for one in before}
    for kind, count in new.items():
        place = kind if kind in counts or _named(counts, kind.code) < MOST_COLUMNS else Kind(kind.code, None)
        counts[place] = counts.get(place, 0) + count
    return [{"code": kind.code, "column": kind.column, "count": count} for kind, count in counts.items()]


def _named(counts: Mapping[Kind, int], code: str) -> int:
    return sum(kind.code == code and kind.column is not None for kind in counts)
