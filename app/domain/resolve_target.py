"""The target: which task it makes, which classes it has, and which losses go with it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from app.domain.custom import CUSTOM, is_custom
from app.domain.resolve_findings import Findings
from app.domain.schema import MAX_LEVELS, Column, Kind, Level, StorageType, Task
from app.domain.spec import JobSpec, Loss
from app.domain.spec.losses import OF_CLASSES, OF_LABELS, OF_NUMBERS, STANDARDIZING, Bce, CrossEntropy, Mse

MOST_CLASSES_OF_NUMBERS = 20


@dataclass(frozen=True)
class Target:
    """A target that can be learned.

    `classes` are its labels, with how often each occurs as `counts`; of several columns the columns' names, without counts.
    Both are None for regression. `missing` counts the rows that lack it.
    """

    columns: list[Column]
    task: Task
    missing: int
    classes: list[Level] | None = None
    counts: list[int] | None = None

    @property
    def names(self) -> str | list[str]:
        """As a spec has them: one name, or a list of several."""
        names = [column.name for column in self.columns]
        return names if len(names) > 1 else names[0]


def resolve_target(spec: JobSpec, name: str, described: Mapping[str, Column], findings: Findings) -> Target | None:
    """A target of one column and its task, or None where a fault was noted."""
    column = described.get(name)
    flaw = None if column is None else flaw_of(column)
    if column is None:
        findings.fault("target", detail=f"The dataset has no column {name!r}.")
    elif flaw is not None:
        findings.fault("target", detail=f"Column {name!r} {flaw}")
    elif spec.task == Task.MULTILABEL:
        findings.fault("task", detail="Multilabel needs several boolean targets, and this is one.")
    else:
        return _of_column(spec, column, findings)
    return None


def _of_column(spec: JobSpec, column: Column, findings: Findings) -> Target | None:
    if column.missing:
        findings.warn(f"{column.missing} row(s) have no target and are left out.")
    return _with_task(spec, column, findings)


def flaw_of(column: Column) -> str | None:
    """Why nothing can be learned of a column."""
    if column.kind is Kind.DATETIME:
        return "holds dates; a target is a label or a number."
    if not column.distinct:
        return "has no values."
    return "has infinite values." if column.infinite else None


def _with_task(spec: JobSpec, column: Column, findings: Findings) -> Target | None:
    kind = spec.columns.get(column.name, column.kind)
    if spec.task == Task.REGRESSION or (spec.task == "auto" and _is_regression(spec, column, kind)):
        return _regression(column, kind, findings)
    if spec.task == "auto" and kind is Kind.NUMERIC:
        findings.warn(
            f"The target {column.name!r} has {column.distinct} different whole numbers and is read as classes; "
            'set task to "regression" to predict a number.'
        )
    return _classification(spec, column, findings)


def _is_regression(spec: JobSpec, column: Column, kind: Kind) -> bool:
    """The rule of "auto"; a caller who calls the column numeric in `columns` has decided."""
    if kind is not Kind.NUMERIC or column.type is StorageType.BOOL:
        return False
    return column.name in spec.columns or not column.integral or column.distinct > MOST_CLASSES_OF_NUMBERS


def _regression(column: Column, kind: Kind, findings: Findings) -> Target | None:
    if kind is not Kind.NUMERIC:
        findings.fault("task", detail=f"Regression needs a numeric target; {column.name!r} is {kind}.")
    elif column.type is not StorageType.STRING:  # text that is called a number is a fault of `columns`
        return Target([column], Task.REGRESSION, column.missing)
    return None


def _classification(spec: JobSpec, column: Column, findings: Findings) -> Target | None:
    if column.levels is None or column.counts is None:
        whole = column.type is not StorageType.FLOAT64 or column.integral
        reason = f"has more than {MAX_LEVELS} classes." if whole else "has numbers with a fraction, which are no classes."
        findings.fault("target", detail=f"Column {column.name!r} {reason}")
        return None
    classes = len(column.levels)
    if classes < 2:
        findings.fault("target", detail=f"Column {column.name!r} has a single class; there is nothing to learn.")
        return None
    if spec.task == Task.BINARY and classes > 2:
        findings.fault("task", detail=f"A binary target has 2 classes; {column.name!r} has {classes}.")
        return None
    task = Task.MULTICLASS if classes > 2 or spec.task == Task.MULTICLASS else Task.BINARY
    return Target([column], task, column.missing, classes=column.levels, counts=column.counts)


def check_custom_loss(spec: JobSpec, installed: Collection[str], findings: Findings) -> None:
    """Notes a custom loss that is not installed."""
    name = spec.loss.name
    if is_custom(name) and name.removeprefix(CUSTOM) not in installed:
        known = ", ".join(CUSTOM + known for known in sorted(installed)) or "none"
        findings.fault("loss", "name", detail=f"There is no loss {name} here; installed are: {known}.")


def resolve_loss(spec: JobSpec, target: Target, findings: Findings) -> Loss:
    """The loss, "auto" replaced; notes one that does not go with the task."""
    loss = spec.loss
    if is_custom(loss.name):
        return loss
    if loss.name == "auto":
        return _default_loss(target.task)
    fitting = OF_LABELS if target.task is Task.MULTILABEL else OF_CLASSES if target.task.is_classification else OF_NUMBERS
    if loss.name not in fitting:
        findings.fault("loss", "name", detail=f"{loss.name} does not go with {target.task}; choose of {_listed(fitting)}.")
    elif loss.name == "bce" and target.task is Task.MULTICLASS:
        findings.fault("loss", "name", detail="bce is for two classes; choose cross_entropy or focal.")
    elif loss.name == "poisson" and any(cast(float, column.minimum) < 0 for column in target.columns):
        findings.fault("loss", "name", detail="poisson needs a target that is never negative.")
    return loss


def _default_loss(task: Task) -> Loss:
    if task is Task.REGRESSION:
        return Mse(name="mse")
    return CrossEntropy(name="cross_entropy") if task is Task.MULTICLASS else Bce(name="bce")


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))


def resolve_standardizing(spec: JobSpec, loss: Loss, task: Task, findings: Findings) -> Literal["standard", "none"]:
    """`preprocessing.target`, "auto" replaced."""
    chosen = spec.preprocessing.target
    if chosen == "auto":
        return "standard" if loss.name in STANDARDIZING else "none"
    if chosen == "standard" and (task.is_classification or loss.name == "poisson"):
        findings.fault("preprocessing", "target", detail=f"With {loss.name} the target cannot be standardized.")
    return chosen
