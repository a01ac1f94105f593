"""The features: which columns are read, as what kind, and how many inputs of the network they become."""

from collections.abc import Mapping, Sequence

from app.domain.resolve_findings import Findings
from app.domain.schema import MAX_LEVELS, Column, Kind, StorageType
from app.domain.spec import Embedding, JobSpec

WIDEST_EMBEDDING = 50


def check_kinds(spec: JobSpec, described: Mapping[str, Column], findings: Findings) -> None:
    """Notes each entry of `columns` that names no column, or a kind that its column cannot be."""
    for name, kind in spec.columns.items():
        column = described.get(name)
        if column is None:
            findings.fault("columns", name, detail=f"The dataset has no column {name!r}.")
        elif not can_be(column, kind):
            findings.fault(
                "columns", name, detail=f"A {column.kind} column of {column.type} cannot be read as {kind}{_why(column, kind)}"
            )


def can_be(column: Column, kind: Kind) -> bool:
    """True where a column's values can be read as a kind."""
    if kind is Kind.CATEGORICAL:
        return column.levels is not None
    if kind is Kind.BOOLEAN:
        return column.type is StorageType.BOOL or (
            _is_number(column) and column.levels is not None and set(column.levels) <= {0, 1}
        )
    return column.type is StorageType.BOOL or _is_number(column)


def _is_number(column: Column) -> bool:
    return column.type in (StorageType.INT64, StorageType.FLOAT64)


def _why(column: Column, kind: Kind) -> str:
    if kind is not Kind.CATEGORICAL:
        return "."
    if column.type is StorageType.DATETIME:
        return ": dates are not supported yet; uploaded with this kind in the schema, a text file's are words."
    return f": that takes at most {MAX_LEVELS} levels without fractions."


def resolve_features(spec: JobSpec, columns: Sequence[Column], findings: Findings) -> list[Column]:
    """The feature columns, in the order asked for, else in the dataset's; faults are noted."""
    if spec.features is None:
        chosen = _default(spec, columns, findings)
    else:
        chosen = _asked(spec, spec.features, {column.name: column for column in columns}, findings)
    if not chosen and not any(fault.pointer.startswith("/features") for fault in findings.faults):
        findings.fault("features", detail="No feature is left to learn from.")
    return chosen


def _default(spec: JobSpec, columns: Sequence[Column], findings: Findings) -> list[Column]:
    """All columns that no other part of the spec uses; what cannot be read is left out with a warning."""
    chosen = []
    for column in columns:
        if column.name in {*_taken(spec), spec.split.column}:
            continue
        flaw = _flaw(column, kind_of(spec, column))
        if flaw is None:
            chosen.append(column)
            _check_values(spec, column, ("features",), findings)
        else:
            findings.warn(f"Column {column.name!r} {flaw} and is left out.")
    return chosen


def _asked(spec: JobSpec, names: Sequence[str], described: Mapping[str, Column], findings: Findings) -> list[Column]:
    chosen = []
    for position, name in enumerate(names):
        reason = _refusal(spec, name, described) if name not in names[:position] else "stands twice."
        if reason is not None:
            findings.fault("features", position, detail=f"Column {name!r} {reason}")
            continue
        chosen.append(described[name])
        _check_values(spec, described[name], ("features", position), findings)
    return chosen


def _refusal(spec: JobSpec, name: str, described: Mapping[str, Column]) -> str | None:
    if name not in described:
        return "is not in the dataset."
    if name in _taken(spec):
        return "is the sample weight." if name == spec.sample_weight else "is the target."
    flaw = _flaw(described[name], kind_of(spec, described[name]))
    return None if flaw is None else f"{flaw} and cannot be a feature."


def _taken(spec: JobSpec) -> set[str | None]:
    targets = [spec.target] if isinstance(spec.target, str) else spec.target
    return {*targets, spec.sample_weight}


def _flaw(column: Column, kind: Kind) -> str | None:
    """Why nothing can be made of a column."""
    if Kind.DATETIME in (kind, column.kind):
        return "holds dates, which are not supported yet,"
    if not column.distinct:
        return "has no values"
    if kind is Kind.CATEGORICAL and column.levels is None:
        return f"has more than {MAX_LEVELS} levels, or very long ones,"
    return None


def _check_values(spec: JobSpec, column: Column, place: tuple[str | int, ...], findings: Findings) -> None:
    if column.infinite:
        findings.fault(*place, detail=f"Column {column.name!r} has {column.infinite} infinite value(s).")
    if column.missing and spec.preprocessing.missing == "error":
        findings.fault(*place, detail=f"Column {column.name!r} has {column.missing} missing value(s), which the spec refuses.")


def kind_of(spec: JobSpec, column: Column) -> Kind:
    """How the spec reads a column."""
    return spec.columns.get(column.name, column.kind)


def inputs_of(spec: JobSpec, features: Sequence[Column]) -> int:
    """How many inputs of the network the features become: levels one-hot or embedded, numbers one each, missing indicators."""
    preprocessing = spec.preprocessing
    embedded = {embedding.column: embedding.width for embedding in embeddings_of(spec, features)}
    indicators = sum(column.missing > 0 for column in features) if preprocessing.has_indicators else 0
    categories = [column for column in features if kind_of(spec, column) is Kind.CATEGORICAL]
    levels = {column.name: len(column.levels or ()) for column in categories}
    widths = [embedded.get(name, 1 if preprocessing.is_signed(count) else count) for name, count in levels.items()]
    return len(features) - len(categories) + sum(widths) + indicators


def numeric_feature_columns_of(spec: JobSpec, features: Sequence[Column], findings: Findings) -> list[str]:
    """The columns that have `network.numeric_features`: all numeric ones; that there is none is noted."""
    if spec.network.numeric_features is None:
        return []
    columns = [column.name for column in features if kind_of(spec, column) is Kind.NUMERIC]
    if features and not columns:
        findings.fault("network", "numeric_features", detail="No feature is numeric, so there is nothing to make them of.")
    return columns


def embeddings_of(spec: JobSpec, features: Sequence[Column]) -> list[Embedding]:
    """The tables that the spec asks for: of L levels min(50, round(1.6 · L^0.56)) wide, after fastai.

    Up to three levels that is no narrower than a one-hot row, and the column stays one-hot.
    """
    if spec.preprocessing.categorical != "embedding":
        return []
    levels = {column.name: len(column.levels or ()) for column in features if kind_of(spec, column) is Kind.CATEGORICAL}
    widths = {name: min(WIDEST_EMBEDDING, round(1.6 * count**0.56)) for name, count in levels.items()}
    return [Embedding(column=name, levels=levels[name], width=width) for name, width in widths.items() if width < levels[name]]
