"""The lines that decide which rows train and which validate: numbers of rows, ascending."""

from collections.abc import Callable, Mapping

from app.code.grouping import DRAW, grouped
from app.code.rows import value_of
from app.code.texts import literal, wrapped
from app.domain.schema import Column
from app.domain.sizes import sizes_of
from app.domain.spec import ResolvedSpec


def splitting(spec: ResolvedSpec, described: Mapping[str, Column]) -> list[list[str]]:
    """`train` and, where such rows are, `validation`; with the functions that this takes."""
    if not is_dealt(spec):
        return [["train = np.arange(len(y))"]]
    if spec.split.method == "group":
        return grouped(spec, described[spec.split.column or ""])
    return [_METHODS[spec.split.method](spec, described)]


def is_dealt(spec: ResolvedSpec) -> bool:
    """True where the rows do not all train."""
    return spec.validation_rows + spec.test_rows > 0


def _random(spec: ResolvedSpec, described: Mapping[str, Column]) -> list[str]:
    if spec.split.stratify is True:
        return _stratified(spec, described[str(spec.target)])
    return [
        "# Each row draws a number; the lowest train, the next validate.",
        f"drawn = {DRAW}(len(y))",
        _cut(spec, "drawn"),
    ]


def _stratified(spec: ResolvedSpec, target: Column) -> list[str]:
    sizes = (f"({size.train}, {size.validation}, {size.test})" for size in sizes_of(spec.split, target.counts or []))
    return [
        "# Each row draws a number; of each class the lowest train, the next validate.",
        f"drawn = {DRAW}(len(y))",
        *wrapped("sizes = [", sizes, "]  # train, validation, test"),
        "parts = np.split(np.lexsort((drawn, y)), np.cumsum(sizes)[:-1])",
        "train, validation = (np.sort(np.concatenate(parts[part::3])) for part in (0, 1))",
    ]


def _by_column(spec: ResolvedSpec, _: Mapping[str, Column]) -> list[str]:
    return [
        "# Each row says where it belongs.",
        f"parts = np.array([row[{literal(spec.split.column)}].strip().lower() for row in rows])",
        'train, validation = (np.flatnonzero(parts == part) for part in ("train", "validation"))',
    ]


def _by_time(spec: ResolvedSpec, described: Mapping[str, Column]) -> list[str]:
    return [
        "# The earliest rows train, the next validate.",
        f"times = np.array([{value_of(described[spec.split.column or ''])} for row in rows])",
        _cut(spec, "times"),
    ]


def _cut(spec: ResolvedSpec, numbers: str) -> str:
    ends = literal([spec.train_rows, spec.train_rows + spec.validation_rows])
    return f'train, validation, _ = map(np.sort, np.split(np.argsort({numbers}, kind="stable"), {ends}))'


_METHODS: dict[str, Callable[[ResolvedSpec, Mapping[str, Column]], list[str]]] = {
    "random": _random,
    "column": _by_column,
    "time": _by_time,
}
