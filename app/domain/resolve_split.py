"""The split: the method and its column, the fractions that are read, and how many rows each part has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.domain.bundles import PARTS, VALIDATION, Bundles, part_of_word
from app.domain.errors import Invalid
from app.domain.resolve_findings import Findings
from app.domain.resolve_target import Target
from app.domain.resolve_targets import Complete, rows_lacking
from app.domain.schema import MAX_LEVELS, Column, StorageType
from app.domain.sizes import Sizes, sizes_of, sum_of
from app.domain.spec import JobSpec, Split

HeldOutPart = Literal["validation", "test"]
HELD_OUT: tuple[HeldOutPart, ...] = ("validation", "test")
_ORDERED = (StorageType.INT64, StorageType.FLOAT64, StorageType.DATETIME)


@dataclass(frozen=True)
class Described:
    """What is known of a dataset without reading it."""

    columns: Sequence[Column]
    rows: int
    complete: Complete | None = None
    """Tells what the description does not: needed where several target columns have gaps."""


@dataclass(frozen=True)
class SplitFacts:
    """What a split needs to know beyond the description of the job's dataset."""

    bundles: Bundles | None = None
    """Of the split's column; None where there is none, or where `reads_cells` is false."""
    validation: Described | None = None
    """`validation_dataset`; None where the spec names none, or one that is not there."""
    test: Described | None = None
    """`test_dataset`, likewise."""


def check_split(spec: JobSpec, described: Mapping[str, Column], findings: Findings) -> None:
    """Notes a column that the method cannot go by, and fractions and strata that nothing would read."""
    if (reason := _why_not_by(spec, described)) is not None:
        findings.fault("split", "column", detail=reason)
    if spec.split.method != "random" and spec.split.stratify is True:
        findings.fault("split", "stratify", detail="Only a random split can be stratified.")
    for part in HELD_OUT:
        if part in spec.split.model_fields_set and getattr(spec.split, part) and not _is_drawn(spec, part):
            source = f"{part}_dataset has" if own_dataset(spec, part) else "column says"
            findings.fault("split", part, detail=f"The {source} which rows these are; leave the fraction out, or 0.")


def reads_cells(spec: JobSpec, described: Mapping[str, Column]) -> bool:
    """True where the sizes of the parts depend on cells, and the columns to look at are there."""
    targets = [spec.target] if isinstance(spec.target, str) else spec.target
    known = all(target in described for target in targets)
    return spec.split.method != "random" and known and _why_not_by(spec, described) is None


def own_dataset(spec: JobSpec, part: HeldOutPart) -> str | None:
    """The id of the dataset that is this part, where the spec names one."""
    return spec.validation_dataset if part == "validation" else spec.test_dataset


def is_validated(spec: JobSpec, facts: SplitFacts) -> bool:
    """True where the job has a validation part, or a fault of the split's column hides whether it has."""
    if spec.validation_dataset is not None or (spec.ensemble and spec.ensemble.folds is True):
        return True
    if spec.split.method != "column":
        return spec.split.validation > 0
    return facts.bundles is None or VALIDATION in map(part_of_word, facts.bundles.words)


def resolve_split(
    spec: JobSpec, target: Target, facts: SplitFacts, findings: Findings, *, rows: int
) -> tuple[Split, Sizes | None]:
    """The split with fractions and `stratify` decided, and its sizes over the rows with a target; None where it has a fault."""
    fractions: dict[str, float] = {part: getattr(spec.split, part) if _is_drawn(spec, part) else 0.0 for part in HELD_OUT}
    split = spec.split.model_copy(update={**fractions, "stratify": _is_stratified(spec, target)})
    try:
        sizes = _drawn_sizes(split, target, findings, rows=rows) if split.method == "random" else _dealt(split, facts, findings)
    except Invalid as error:
        findings.faults.extend(error.faults)
        return split, None
    return split, None if sizes is None else _with_own_datasets(spec, sizes, target, facts, findings)


def _why_not_by(spec: JobSpec, described: Mapping[str, Column]) -> str | None:
    """Why the rows cannot be split by that column; None where they can, or need none."""
    method, name = spec.split.method, spec.split.column
    if method == "random":
        return None if name is None else "A random split reads no column."
    if name is None:
        return f"Say by which column: the method is {method}."
    flaw = "is not in the dataset" if name not in described else _flaw(method, described[name])
    if name == spec.target or (isinstance(spec.target, list) and name in spec.target):
        flaw = "is the target"
    return None if flaw is None else f"Column {name!r} {flaw}."


def _flaw(method: str, column: Column) -> str | None:
    if not column.distinct:
        return "has no values"
    if method == "time" and column.type not in _ORDERED:
        return f"is {column.kind}; a time is a date or a number"
    if method == "column" and column.type is not StorageType.STRING:
        return f"is {column.kind}; its cells are {', '.join(PARTS)}"
    if method == "column" and column.levels is None:
        return f"has more than {MAX_LEVELS} different cells; they are {', '.join(PARTS)}"
    return None


def _is_drawn(spec: JobSpec, part: HeldOutPart) -> bool:
    """True where a fraction says how many rows a part has."""
    return spec.split.method != "column" and own_dataset(spec, part) is None


def _is_stratified(spec: JobSpec, target: Target) -> bool:
    if spec.split.method != "random":
        return False
    return spec.split.stratify if isinstance(spec.split.stratify, bool) else target.counts is not None


def _drawn_sizes(split: Split, target: Target, findings: Findings, *, rows: int) -> Sizes | None:
    if not split.stratify:
        return sum_of(sizes_of(split, [rows - target.missing]))
    if target.counts is None:
        findings.fault("split", "stratify", detail="Only a classification of one target can be stratified.")
        return None
    sizes = sizes_of(split, target.counts)
    if (single := sum(count == 1 for count in target.counts)) and (split.validation or split.test):
        findings.warn(f"{single} class(es) have a single row, which is used for training.")
    return sum_of(sizes)


def _dealt(split: Split, facts: SplitFacts, findings: Findings) -> Sizes | None:
    if facts.bundles is None:
        return None
    sizes = facts.bundles.sizes(split)
    if facts.bundles.missing:
        findings.warn(f"{facts.bundles.missing} row(s) have no {split.column!r} and stay together as one group.")
    return sizes


def _with_own_datasets(spec: JobSpec, sizes: Sizes, target: Target, facts: SplitFacts, findings: Findings) -> Sizes:
    rows = {part: getattr(sizes, part) for part in HELD_OUT}
    for part in HELD_OUT:
        own: Described | None = getattr(facts, part)
        if own_dataset(spec, part) is None or own is None:
            continue
        if rows[part]:
            findings.fault(
                f"{part}_dataset", detail=f"Column {spec.split.column!r} says {part} in {rows[part]} row(s) already."
            )
        rows[part] = _rows_of(own, target)
        if not rows[part] and len(target.columns) > 1:
            findings.fault(f"{part}_dataset", detail="No row of it has a value in every target column.")
    return Sizes(sizes.train, rows["validation"], rows["test"])


def _rows_of(own: Described, target: Target) -> int:
    """The rows with a target."""
    names = {column.name for column in target.columns}
    columns = [column for column in own.columns if column.name in names]
    return own.rows - rows_lacking(columns, rows=own.rows, complete=own.complete)
