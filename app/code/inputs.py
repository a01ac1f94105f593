"""The lines that turn columns into inputs of the network, fitted on the training rows."""

from collections.abc import Collection, Mapping, Sequence

from app.code import categories
from app.code.columns import may_vanish
from app.code.features import calls, features, names, need_exact_numbers
from app.code.texts import literal, stacked, wrapped
from app.domain.resolve_features import kind_of
from app.domain.schema import Column, Kind, StorageType
from app.domain.spec import ResolvedSpec

_SPREAD = "if np.ptp(seen) else np.inf  # a constant column becomes 0"
_SCALING = {
    "standard": (
        "Standardized by the training rows",
        [f"spread = seen.std() {_SPREAD}", "return (x - seen.mean()) / spread"],
    ),
    "minmax": (
        "Scaled so that the training rows lie within 0 and 1",
        ["spread = np.ptp(seen) or np.inf  # a constant column becomes 0", "return (x - seen.min()) / spread"],
    ),
    "robust": (
        "Scaled by median and quartiles of the training rows",
        [
            "first, median, third = np.quantile(seen, [0.25, 0.5, 0.75])",
            f"spread = (third - first or seen.std()) {_SPREAD}",
            "return (x - median) / spread",
        ],
    ),
    "robust_clip": (
        "Scaled by median and quartiles of the training rows, then clipped smoothly within -3 and 3",
        [
            "first, median, third = np.quantile(seen, [0.25, 0.5, 0.75])",
            "spread = third - first or np.ptp(seen) / 2 or np.inf  # a constant column becomes 0",
            "z = (x - median) / spread",
            "return z / np.sqrt(1 + (z / 3) ** 2)",
        ],
    ),
    "quantile": (
        "The rank among the training rows, from 0 to 1",
        [
            "steps = min(100, len(seen) - 1)",
            "knots = np.unique(np.quantile(seen, np.linspace(0, 1, steps + 1)))",
            "return np.interp(x, knots, np.linspace(0, 1, len(knots)))",
        ],
    ),
    "none": ("The numbers of a column", ["return x"]),
}
_FILLS = {
    "mean": ["fill = seen.mean()"],
    "indicator": ["fill = seen.mean()"],
    "median": ["fill = np.median(seen)"],
    "median_indicator": ["fill = np.median(seen)"],
    "most_frequent": ["values, counts = np.unique(seen, return_counts=True)", "fill = values[counts.argmax()]"],
}


def preprocessing(spec: ResolvedSpec, described: Mapping[str, Column], *, indicated: Collection[str]) -> list[list[str]]:
    """The functions that the columns need, then `x` [rows, inputs]; of embedded columns the codes, behind all else.

    `indicated`: the columns that have a missing indicator.
    """
    columns = [described[name] for name in spec.features]
    numeric = [column for column in columns if not _is_categorical(spec, column)]
    categorical = [column for column in columns if _is_categorical(spec, column)]
    functions = [
        _number(spec, numeric),
        features(spec, described),
        *categories.functions(spec, categorical),
        _MISSING if indicated else [],
    ]
    return [*functions, _named(spec) + (_joined(spec, columns, indicated) if categorical or indicated else _plain(spec))]


def _is_categorical(spec: ResolvedSpec, column: Column) -> bool:
    return kind_of(spec, column) is Kind.CATEGORICAL


def _number(spec: ResolvedSpec, columns: Sequence[Column]) -> list[str]:
    if not columns:
        return []
    summary, scaling = _SCALING[spec.preprocessing.numeric]
    missing = any(column.missing for column in columns)
    fill = _FILLS[spec.preprocessing.missing] if missing else []
    seen = "x[train][~np.isnan(x[train])]" if missing else "x[train]"
    needed = missing or spec.preprocessing.numeric != "none"
    body = [
        f'"""{summary}{"; missing cells are filled" if missing else ""}."""',
        *_cells(columns, missing=missing),
        *([f"seen = {seen}"] if needed else []),
        *(_UNSEEN if any(may_vanish(spec, column) for column in columns) else []),
        *fill,
        *(["x = np.where(np.isnan(x), fill, x)"] if fill else []),
        *([line.replace("/ spread", "* (1 / spread)") for line in scaling] if need_exact_numbers(spec) else scaling),
    ]
    return ["def number(name):", *(f"    {line}" for line in body)]


def _cells(columns: Sequence[Column], *, missing: bool) -> list[str]:
    """`x`, NaN where a cell is empty."""
    cell = 'row[name] or "nan"' if missing else "row[name]"
    if not any(column.type is StorageType.BOOL for column in columns):
        return [f"x = np.array([float({cell}) for row in rows])"]
    return ['flags = {"false": 0.0, "true": 1.0}', f"x = np.array([float(flags.get(row[name], {cell})) for row in rows])"]


_UNSEEN = ["if not len(seen):  # wholly missing in training", "    return np.zeros(len(x))"]
_MISSING = [
    "def missing(name):",
    '    """1 where a cell is empty."""',
    '    return np.array([float(row[name] == "") for row in rows])',
]


def _named(spec: ResolvedSpec) -> list[str]:
    """The columns that have numeric features, where these are not all."""
    if not spec.numeric_feature_columns or names(spec) == "features":
        return []
    return wrapped("numbers = [", map(literal, spec.numeric_feature_columns), "]  # they have features of their own")


def _all(spec: ResolvedSpec) -> list[str]:
    return wrapped("features = [", map(literal, spec.features), "]")


def _plain(spec: ResolvedSpec) -> list[str]:
    if calls(spec):
        return [*_all(spec), f"x = np.column_stack([*map(number, features), {calls(spec)[0]}])"]
    return [*_all(spec), "x = np.column_stack([number(name) for name in features])"]


def _joined(spec: ResolvedSpec, columns: Sequence[Column], indicated: Collection[str]) -> list[str]:
    embedded = {table.column for table in spec.embeddings}
    blocks, featured = list[str](), calls(spec)
    for column in columns:
        if not _is_categorical(spec, column):
            blocks.append(f"number({literal(column.name)})")
        elif column.name not in embedded:
            blocks.append(categories.call(spec, column))
        if column.name in indicated:
            blocks.append(f"missing({literal(column.name)})")
    codes = [categories.call(spec, column) for column in columns if column.name in embedded]
    return [
        *(_all(spec) if featured and names(spec) == "features" else []),
        *stacked("x = np.column_stack([", blocks + featured + codes, "])"),
    ]
