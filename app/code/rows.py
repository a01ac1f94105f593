"""The lines that read the CSV, the target and the weights."""

from collections.abc import Mapping

from app.code.texts import literal, wrapped
from app.domain.schema import Column, Level, StorageType, level_text
from app.domain.spec import ResolvedSpec

_OPEN = 'with open({}, newline="", encoding="utf-8") as file:'
_READINGS = {
    StorageType.INT64: "int({})",
    StorageType.FLOAT64: "float({})",
    StorageType.DATETIME: 'np.datetime64({}.rstrip("Z"), "us")',
}


def reading(spec: ResolvedSpec, target: Column) -> list[list[str]]:
    """The rows as dictionaries of text, those of the validation dataset last, and y."""
    known = f'[row for row in csv.DictReader(file) if row[{literal(target.name)}] != ""]'
    found = f"{known}  # without a target a row teaches nothing" if target.missing else "list(csv.DictReader(file))"
    if not spec.validation_dataset:
        return [[_OPEN.format("sys.argv[1]"), f"    rows = {found}", *_target(spec, target)]]
    return [
        ["def read(path):", f"    {_OPEN.format('path')}", f"        return {found}"],
        ["rows = read(sys.argv[1])", "own = len(rows)", "rows += read(sys.argv[2])", *_target(spec, target)],
    ]


def _target(spec: ResolvedSpec, target: Column) -> list[str]:
    cell = f"row[{literal(target.name)}]"
    if spec.classes is None:
        return [f"y = np.array([float({cell}) for row in rows])"]
    classes = [literal(cell_text(label, target)) for label in spec.classes]
    return [*wrapped("classes = [", classes, "]"), f"y = np.array([classes.index({cell}) for row in rows])"]


def cell_text(level: Level, column: Column) -> str:
    """A level as CSV has it."""
    return repr(float(level)) if column.type is StorageType.FLOAT64 else level_text(level)


def value_of(column: Column) -> str:
    """A row's cell as a value that sorts as the stored ones do; a missing one stands before all others."""
    cell = f"row[{literal(column.name)}]"
    if column.type not in _READINGS:
        return cell
    if not column.missing:
        return _READINGS[column.type].format(cell)
    filled = f'{cell} or "0"' if column.type is not StorageType.DATETIME else f'({cell} or "0")'
    return f'({cell} != "", {_READINGS[column.type].format(filled)})'


def standardizing(spec: ResolvedSpec) -> list[str]:
    """Y in trained units, and `scale`, where the target is standardized."""
    if not is_standardized(spec):
        return []
    return [
        "# Trained on the standardized target; losses are reported in its own units.",
        "scale = y[train].std() or 1.0",
        "y = (y - y[train].mean()) / scale",
    ]


def is_standardized(spec: ResolvedSpec) -> bool:
    """True where the network is trained on (y - center) / scale."""
    return spec.classes is None and spec.preprocessing.target == "standard"


def weighing(spec: ResolvedSpec) -> list[str]:
    """`w`, the weight of each row, where rows weigh differently."""
    own = f"np.array([float(row[{literal(spec.sample_weight)}]) for row in rows])" if spec.sample_weight else ""
    if spec.class_weights is None or spec.classes is None:
        return [f"w = {own}"] if own else []
    if isinstance(spec.class_weights, Mapping):
        weights = [literal(spec.class_weights.get(level_text(label), 1.0)) for label in spec.classes]
        lines = wrapped("class_weights = np.array([", weights, "])")
    else:
        lines = _balanced(spec)
    return [*lines, f"w = class_weights[y]{f' * {own}' if own else ''}"]


def _balanced(spec: ResolvedSpec) -> list[str]:
    """N / (C · n_c) over the training rows; 1 for a class that none of them has."""
    classes = len(spec.classes or ())
    lines = [f"counts = np.bincount(y[train], minlength={classes})  # rare classes weigh more"]
    if spec.split.stratify is True:
        return [*lines, f"class_weights = len(train) / ({classes} * counts)"]
    return [*lines, f"class_weights = np.where(counts > 0, len(train) / ({classes} * np.maximum(counts, 1)), 1.0)"]
