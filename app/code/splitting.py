"""The lines that decide which rows train and which validate: numbers of rows, ascending."""

from collections.abc import Callable, Mapping

from app.code.cells import value_of
from app.code.grouping import grouped
from app.code.own_rows import count_of, draw, own_of, sizes_of_own
from app.code.texts import literal, wrapped
from app.domain.schema import Column
from app.domain.sizes import sizes_of
from app.domain.spec import ResolvedSpec


def splitting(spec: ResolvedSpec, described: Mapping[str, Column]) -> list[list[str]]:
    """`train` and, where such rows are, `validation`; with the functions that this takes."""
    own = ["validation = np.arange(own, len(rows))"] if spec.validation_dataset else []
    *functions, last = _own(spec, described)
    return [*functions, last + own]


def _own(spec: ResolvedSpec, described: Mapping[str, Column]) -> list[list[str]]:
    if not is_dealt(spec):
        return [[f"train = np.arange({count_of(spec)})"]]
    if spec.split.method == "group":
        return grouped(spec, described[spec.split.column or ""])
    return [_METHODS[spec.split.method](spec, described)]


def is_dealt(spec: ResolvedSpec) -> bool:
    """True where rows of the job's own dataset are held out."""
    sizes = sizes_of_own(spec)
    return sizes.validation + sizes.test > 0


def _random(spec: ResolvedSpec, described: Mapping[str, Column]) -> list[str]:
    if spec.split.stratify is True:
        return _stratified(spec, described[str(spec.target)])
    return [
        "# Each row draws a number; the lowest train, the next validate.",
        f"drawn = {draw(count_of(spec))}",
        _cut(spec, "drawn"),
    ]


def _stratified(spec: ResolvedSpec, target: Column) -> list[str]:
    sizes = (f"({size.train}, {size.validation}, {size.test})" for size in sizes_of(spec.split, target.counts or []))
    validation = ["validation = np.sort(np.concatenate(parts[1::3]))"] if sizes_of_own(spec).validation else []
    return [
        "# Each row draws a number; of each class the lowest train, the next validate.",
        f"drawn = {draw(count_of(spec))}",
        *wrapped("sizes = [", sizes, "]  # train, validation, test"),
        f"parts = np.split(np.lexsort((drawn, {own_of(spec, 'y')})), np.cumsum(sizes)[:-1])",
        "train = np.sort(np.concatenate(parts[0::3]))",
        *validation,
    ]


def _by_column(spec: ResolvedSpec, _: Mapping[str, Column]) -> list[str]:
    parts = ["train", *(["validation"] if sizes_of_own(spec).validation else [])]
    return [
        "# Each row says where it belongs.",
        f"parts = np.array([row[{literal(spec.split.column)}].strip().lower() for row in {own_of(spec, 'rows')}])",
        *(f'{part} = np.flatnonzero(parts == "{part}")' for part in parts),
    ]


def _by_time(spec: ResolvedSpec, described: Mapping[str, Column]) -> list[str]:
    column = described[spec.split.column or ""]
    return [
        "# The earliest rows train, the next validate.",
        f"times = np.array([{value_of(column)} for row in {own_of(spec, 'rows')}])",
        _cut(spec, "times"),
    ]


def _cut(spec: ResolvedSpec, numbers: str) -> str:
    sizes = sizes_of_own(spec)
    cuts = [sizes.train, *([sizes.train + sizes.validation] if sizes.validation else [])]
    names = "train, validation, _" if sizes.validation else "train, _"
    return f'{names} = map(np.sort, np.split(np.argsort({numbers}, kind="stable"), {literal(cuts)}))'


_METHODS: dict[str, Callable[[ResolvedSpec, Mapping[str, Column]], list[str]]] = {
    "random": _random,
    "column": _by_column,
    "time": _by_time,
}
