"""The columns of a job's dataset and of its validation dataset, which a script reads as one."""

from collections.abc import Iterator, Mapping

from app.code.targets import target_names
from app.domain.resolve_features import kind_of
from app.domain.schema import Column, Kind, StorageType
from app.domain.spec import ResolvedSpec

_NUMBERS = {StorageType.INT64, StorageType.FLOAT64}


def with_gaps_of(validation: Mapping[str, Column] | None, described: Mapping[str, Column]) -> Mapping[str, Column]:
    """The job's columns, where cells that the validation dataset lacks are missing, too."""
    if validation is None:
        return described
    gaps = {name: column.missing for name, column in validation.items()}
    return {
        name: column.model_copy(update={"missing": column.missing + gaps.get(name, 0)}) for name, column in described.items()
    }


def written_otherwise(spec: ResolvedSpec, described: Mapping[str, Column], validation: Mapping[str, Column]) -> Iterator[str]:
    """Names of columns that need not read alike in both, as CSV: 1 and 1.0 are one category, but not one text."""
    for name in target_names(spec):
        if not _is_alike(described[name], validation[name], number=spec.classes is None):
            yield name
    for name in spec.features:
        categorical = kind_of(spec, described[name]) is Kind.CATEGORICAL
        if not _is_alike(described[name], validation[name], number=not categorical) or (
            categorical and may_be_empty(validation[name])
        ):
            yield name


def may_vanish(spec: ResolvedSpec, column: Column) -> bool:
    """True where a column may be wholly missing in training."""
    return column.missing >= spec.train_rows


def may_be_empty(column: Column) -> bool:
    """True where a column of text may have the empty text, which CSV does not tell from a missing cell."""
    return column.type is StorageType.STRING and (column.levels is None or "" in column.levels)


def _is_alike(ours: Column, theirs: Column, *, number: bool) -> bool:
    return not theirs.distinct or ours.type is theirs.type or (number and {ours.type, theirs.type} == _NUMBERS)
