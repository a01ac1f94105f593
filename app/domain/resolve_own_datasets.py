"""Datasets of one's own for validation and test: whether they have what the job reads, as it reads it."""

from collections.abc import Callable, Iterator, Sequence, Set
from functools import partial

from app.domain.resolve_features import can_be, kind_of
from app.domain.resolve_findings import Findings
from app.domain.resolve_split import HELD_OUT, Described, SplitFacts, own_dataset
from app.domain.resolve_target import Target
from app.domain.resolve_training import why_not_a_weight
from app.domain.schema import Column, Kind, StorageType, level_text
from app.domain.spec import JobSpec

# Why a column of theirs is not what the job reads; None where it is.
Judge = Callable[[Column], str | None]


def check_own_datasets(
    spec: JobSpec, facts: SplitFacts, findings: Findings, *, target: Target | None, features: Sequence[Column]
) -> None:
    """Notes a dataset that is not there, and its columns that are not what the job's own are.

    A category that only they have is one never seen, as in a prediction; a label is a fault, for it has no output.
    """
    for part in HELD_OUT:
        id, own = own_dataset(spec, part), getattr(facts, part)
        if id is None:
            continue
        place = f"{part}_dataset"
        if own is None:
            findings.fault(place, detail="There is no such dataset.", code="not_found")
            continue
        if id == spec.dataset:
            findings.warn(f"The {part} rows are the rows of the job's own dataset: they were learned from.")
        for name, flaw in _flaws(spec, own, target=target, features=features):
            findings.fault(place, detail=f"Column {name!r} of the dataset {id} {flaw}")


def _flaws(spec: JobSpec, own: Described, *, target: Target | None, features: Sequence[Column]) -> Iterator[tuple[str, str]]:
    """Columns and what is wrong with them."""
    theirs = {column.name: column for column in own.columns}
    judges: list[tuple[str, Judge]] = [(feature.name, partial(_feature_flaw, spec, feature)) for feature in features]
    if target is not None:
        judges += [(column.name, partial(_target_flaw, spec, target, column)) for column in target.columns]
    if spec.sample_weight is not None:
        judges.append((spec.sample_weight, why_not_a_weight))
    for name, judge in judges:
        flaw = judge(theirs[name]) if name in theirs else "is not there."
        if flaw is not None:
            yield name, flaw


def _feature_flaw(spec: JobSpec, feature: Column, column: Column) -> str | None:
    kind = kind_of(spec, feature)
    if column.distinct and not _reads_as(column, kind):
        return f"is {column.kind}; the job reads it as {kind}."
    if column.infinite:
        return f"has {column.infinite} infinite value(s)."
    if column.missing and spec.preprocessing.missing == "error":
        return f"has {column.missing} missing value(s), which the spec refuses."
    return None


def _reads_as(column: Column, kind: Kind) -> bool:
    """As `can_be`, but a category may have any number of levels: those that the job does not know are 0."""
    if kind is not Kind.CATEGORICAL:
        return can_be(column, kind)
    return column.kind is not Kind.DATETIME and (column.type is not StorageType.FLOAT64 or column.integral)


def _target_flaw(spec: JobSpec, target: Target, known: Column, column: Column) -> str | None:
    if not column.distinct:
        return "has no values."
    if target.classes is not None:
        return _label_flaw({level_text(label) for label in known.levels or ()}, column)
    if not can_be(column, Kind.NUMERIC):
        return f"is {column.kind}; the job's target is numeric."
    if column.infinite:
        return "has infinite values."
    if spec.loss.name == "poisson" and (column.minimum or 0) < 0:
        return "has negative values, which poisson does not take."
    return None


def _label_flaw(known: Set[str], column: Column) -> str | None:
    """Labels of another dataset must be among those of the job's own."""
    if column.levels is None or column.counts is None:
        return "is no set of labels."
    strange = sum(count for label, count in zip(column.levels, column.counts, strict=True) if level_text(label) not in known)
    return f"has labels that the job's own dataset lacks, in {strange} row(s)." if strange else None
