"""A target of several columns: of numbers one regression with several outputs, of yes and no a multilabel classification."""

from collections.abc import Callable, Mapping, Sequence

from app.domain.resolve_features import can_be, kind_of
from app.domain.resolve_findings import Findings
from app.domain.resolve_target import Target, flaw_of, resolve_target
from app.domain.schema import Column, Kind, StorageType, Task
from app.domain.spec import JobSpec

# How many rows have a value in each of these columns.
Complete = Callable[[Sequence[str]], int]


def resolve_targets(
    spec: JobSpec, described: Mapping[str, Column], findings: Findings, *, rows: int, complete: Complete | None = None
) -> Target | None:
    """The target of one column or several and its task, or None where a fault was noted.

    `complete` is asked only where several target columns have gaps: the description does not tell how many rows those are.
    """
    names = [spec.target] if isinstance(spec.target, str) else spec.target
    if len(names) == 1:
        return resolve_target(spec, names[0], described, findings)
    if not _check_each(names, described, findings):
        return None
    columns = [described[name] for name in names]
    task = _task_of(spec, columns, findings)
    if task is None or (task is Task.MULTILABEL and not _check_labels(columns, findings)):
        return None
    missing = rows_lacking(columns, rows=rows, complete=complete)
    if missing == rows:
        findings.fault("target", detail="No row has a value in every target column.")
    elif missing:
        findings.warn(f"{missing} row(s) lack a target and are left out.")
    return Target(columns, task, missing=missing, classes=list(names) if task is Task.MULTILABEL else None)


def _check_each(names: Sequence[str], described: Mapping[str, Column], findings: Findings) -> bool:
    """True where each is a column that can be learned, once."""
    faults = len(findings.faults)
    for position, name in enumerate(names):
        if name not in described:
            findings.fault("target", position, detail=f"The dataset has no column {name!r}.")
        elif name in names[:position]:
            findings.fault("target", position, detail=f"Column {name!r} stands twice.")
        elif flaw := flaw_of(described[name]):
            findings.fault("target", position, detail=f"Column {name!r} {flaw}")
    return len(findings.faults) == faults


def _task_of(spec: JobSpec, columns: Sequence[Column], findings: Findings) -> Task | None:
    if any(kind_of(spec, column) is Kind.NUMERIC and column.type is StorageType.STRING for column in columns):
        return None  # a fault of `columns`
    if spec.task in (Task.BINARY, Task.MULTICLASS):
        findings.fault("task", detail=f"A {spec.task} job has one target; several are a regression or multilabel.")
        return None
    if spec.task == "auto":
        return _automatic(spec, columns, findings)
    fits = _is_number if spec.task is Task.REGRESSION else _is_label
    unfit = [column for column in columns if not fits(spec, column)]
    if unfit:
        wanted = "Regression needs numeric" if spec.task is Task.REGRESSION else "Multilabel needs boolean"
        findings.fault("task", detail=f"{wanted} targets; {_listed(spec, unfit)}.")
    return None if unfit else spec.task


def _automatic(spec: JobSpec, columns: Sequence[Column], findings: Findings) -> Task | None:
    kinds = {kind_of(spec, column) for column in columns}
    if kinds == {Kind.BOOLEAN}:
        return Task.MULTILABEL
    if kinds != {Kind.NUMERIC}:
        findings.fault("target", detail=f"Several targets are all numeric or all boolean; {_listed(spec, columns)}.")
        return None
    if all(_is_label(spec, column) for column in columns):
        findings.warn('All targets are 0 or 1 and are read as numbers; set task to "multilabel" to predict labels.')
    return Task.REGRESSION


def _is_number(spec: JobSpec, column: Column) -> bool:
    return kind_of(spec, column) is Kind.NUMERIC


def _is_label(spec: JobSpec, column: Column) -> bool:
    """Boolean, or 0 and 1 that nobody calls something else."""
    return kind_of(spec, column) is Kind.BOOLEAN or (column.name not in spec.columns and can_be(column, Kind.BOOLEAN))


def _listed(spec: JobSpec, columns: Sequence[Column]) -> str:
    return ", ".join(f"{column.name!r} is {kind_of(spec, column)}" for column in columns)


def _check_labels(columns: Sequence[Column], findings: Findings) -> bool:
    """True where each has both values."""
    single = [position for position, column in enumerate(columns) if column.distinct < 2]
    for position in single:
        detail = f"Column {columns[position].name!r} has a single class; there is nothing to learn."
        findings.fault("target", position, detail=detail)
    return not single


def rows_lacking(columns: Sequence[Column], *, rows: int, complete: Complete | None) -> int:
    """How many of `rows` rows lack a value in any of the columns."""
    gaps = [column.missing for column in columns if column.missing]
    if len(gaps) < 2:
        return sum(gaps)
    assert complete is not None, "Nobody counts the rows."
    return rows - complete([column.name for column in columns])
