"""The lines of the target and of the rows' weights."""

from collections.abc import Mapping, Sequence

from app.code.cells import cell_text
from app.code.texts import literal, wrapped
from app.domain.custom import is_custom
from app.domain.schema import Column, StorageType, level_text
from app.domain.spec import ResolvedSpec


def target_names(spec: ResolvedSpec) -> list[str]:
    """The columns of the target."""
    return [spec.target] if isinstance(spec.target, str) else spec.target


def is_several(spec: ResolvedSpec) -> bool:
    """True where the target is several columns."""
    return not isinstance(spec.target, str)


def target(spec: ResolvedSpec, columns: Sequence[Column]) -> list[str]:
    """Y [n]: class indices or numbers; of several columns [n, O], where yes and no are 1 and 0."""
    if spec.classes is not None and not is_several(spec):
        return _classes(spec, columns[0])
    return _numbers(columns)


def _classes(spec: ResolvedSpec, target: Column) -> list[str]:
    classes = [literal(cell_text(label, target)) for label in spec.classes or ()]
    y = f"y = np.array([classes.index(row[{literal(target.name)}]) for row in rows])"
    return [*wrapped("classes = [", classes, "]"), y]


def _numbers(columns: Sequence[Column]) -> list[str]:
    cell = "row[name]" if len(columns) > 1 else f"row[{literal(columns[0].name)}]"
    flags = {column.type is StorageType.BOOL for column in columns}
    value = f'float({cell} == "true")' if flags == {True} else f"float({cell})"
    if len(flags) > 1:
        value = f'float({{"false": 0, "true": 1}}.get({cell}, {cell}))'
    return [f"y = np.array([{f'[{value} for name in targets]' if len(columns) > 1 else value} for row in rows])"]


def standardizing(spec: ResolvedSpec) -> list[str]:
    """Y in trained units, and `scale`, where the target is standardized; of several columns a tensor."""
    if not is_standardized(spec):
        return []
    units = "" if is_custom(spec.loss.name) else "; losses are reported in its own units"
    about = f"# Trained on the standardized target{units}."
    if not is_several(spec):
        return [about, "scale = y[train].std() or 1.0", "y = (y - y[train].mean()) / scale"]
    return [
        about,
        "centers = np.array([column[train].mean() for column in y.T])",
        "scales = np.array([column[train].std() or 1.0 for column in y.T])",
        "y, scale = (y - centers) / scales, torch.tensor(scales)",
    ]


def is_standardized(spec: ResolvedSpec) -> bool:
    """True where the network is trained on (y - center) / scale."""
    return spec.classes is None and spec.preprocessing.target == "standard"


def weighing(spec: ResolvedSpec) -> list[str]:
    """`w`, the weight of each row, where rows weigh differently."""
    own = f"np.array([float(row[{literal(spec.sample_weight)}]) for row in rows])" if spec.sample_weight else ""
    if spec.class_weights is None or spec.classes is None:
        return [f"w = {own}"] if own else ["w = np.ones(len(rows))"] if spec.has_folds else []
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
