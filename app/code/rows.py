"""The lines that read the CSV."""

from collections.abc import Mapping, Sequence

from app.code.targets import is_several, target, target_names
from app.code.texts import literal, wrapped
from app.domain.schema import Column
from app.domain.spec import ResolvedSpec

_OPEN = 'with open({}, newline="", encoding="utf-8") as file:'


def reading(spec: ResolvedSpec, described: Mapping[str, Column]) -> list[list[str]]:
    """The rows as dictionaries of text, those of the validation dataset last, and y."""
    columns = [described[name] for name in target_names(spec)]
    names = wrapped("targets = [", map(literal, spec.target), "]") if is_several(spec) else []
    y = target(spec, columns)
    if not spec.validation_dataset:
        return [[*names, _OPEN.format("sys.argv[1]"), f"    rows = {_known(columns)}", *y]]
    return [
        ["def read(path):", f"    {_OPEN.format('path')}", f"        return {_known(columns)}"],
        [*names, "rows = read(sys.argv[1])", "own = len(rows)", "rows += read(sys.argv[2])  # they validate", *y],
    ]


def _known(columns: Sequence[Column]) -> str:
    if not any(column.missing for column in columns):
        return "list(csv.DictReader(file))"
    known = "all(row[name] for name in targets)" if len(columns) > 1 else f'row[{literal(columns[0].name)}] != ""'
    return f"[row for row in csv.DictReader(file) if {known}]  # without a target a row teaches nothing"
