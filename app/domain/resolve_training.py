"""How it is trained: batch, early stopping, weights."""

import math
from collections.abc import Mapping
from typing import Literal

from app.domain.metrics import of_task
from app.domain.resolve_findings import Findings
from app.domain.resolve_target import Target
from app.domain.schema import Column, Kind, StorageType, Task, level_text
from app.domain.spec import JobSpec


def resolve_batch(spec: JobSpec, task: Task, train_rows: int, findings: Findings) -> int:
    """Rows a step, at most all: "auto" is 2^round(log2(n / 16)) within 32 … 256, "even" about that many.

    Even batches have equally many rows, but for the last, which may lack some: a small last batch is a noisy step. Those of a
    classification are about 128 at most: more steps teach it more, where a regression is no better for them.
    """
    batch = min(train_rows, _asked_batch(spec.batch_size, task, train_rows))
    if batch == 1 and spec.network.normalization == "batch":
        findings.fault("network", "normalization", detail="Batch normalization needs at least two rows a batch.")
    return batch


def _asked_batch(asked: int | Literal["full", "auto", "even"], task: Task, train_rows: int) -> int:
    match asked:
        case "full":
            return train_rows
        case "auto":
            return _automatic(train_rows)
        case "even":
            usual = min(_automatic(train_rows), 256 if task is Task.REGRESSION else 128)
            return math.ceil(train_rows / max(1, round(train_rows / usual)))
    return asked


def _automatic(train_rows: int) -> int:
    return min(256, max(32, int(2 ** round(math.log2(train_rows / 16)))))


def resolve_device(spec: JobSpec, findings: Findings) -> str:
    """Where it trains; bf16 needs a GPU: a CPU is slower at it than at fp32."""
    if spec.precision != "bf16":
        return spec.device
    if spec.device == "cpu":
        findings.fault("precision", detail="bf16 is for a GPU; on a CPU there are fp32 and fp64.")
    return "cuda"


def check_stopping(spec: JobSpec, target: Target | None, findings: Findings, *, validated: bool) -> None:
    """Notes early stopping without validation, or on a metric that the task does not report."""
    if spec.early_stopping is None:
        return
    schedule = spec.lr_schedule
    if spec.early_stopping.patience == "cycle" and (schedule.name != "log_cosine" or schedule.cycles < 3):
        detail = "Cycles are those of the schedule log_cosine, at least three: the first and the last are not judged."
        findings.fault("early_stopping", "patience", detail=detail)
    if not validated:
        findings.fault("early_stopping", detail="Early stopping needs a validation split.")
    if target is None:
        return
    known = ["val_loss", *(f"val_{name}" for name in of_task(target.task))]
    if spec.early_stopping.metric not in known:
        findings.fault("early_stopping", "metric", detail=f"A {target.task} job reports {', '.join(known)}.")


def check_calibration(spec: JobSpec, target: Target | None, findings: Findings, *, validated: bool) -> None:
    """Notes a temperature without rows to fit it on, or for what are no classes of one target."""
    if spec.calibration == "none":
        return
    if not validated:
        findings.fault("calibration", detail="A temperature is fitted on validation rows.")
    if target is not None and (not target.task.is_classification or target.task is Task.MULTILABEL):
        findings.fault("calibration", detail=f"A temperature is for the classes of one target; the task is {target.task}.")


def check_clipping(spec: JobSpec, target: Target | None, findings: Findings) -> None:
    """Notes a range for what are no numbers."""
    if spec.clip_predictions and target is not None and target.task.is_classification:
        findings.fault("clip_predictions", detail=f"A {target.task} job predicts no numbers.")


def check_class_weights(spec: JobSpec, target: Target | None, findings: Findings) -> None:
    """Notes class weights of a regression, and of labels that the target does not have."""
    if spec.class_weights is None or target is None:
        return
    if target.classes is None:
        findings.fault("class_weights", detail="Class weights go with classification.")
    elif target.task is Task.MULTILABEL:
        findings.fault("class_weights", detail="Labels have no class weights; sample_weight weighs rows.")
    elif not isinstance(spec.class_weights, str):
        labels = {level_text(label) for label in target.classes}
        for label in sorted(spec.class_weights.keys() - labels):
            findings.fault("class_weights", label, detail="The target has no such class.")


def check_sample_weight(spec: JobSpec, described: Mapping[str, Column], findings: Findings) -> None:
    """Notes a weight column that is not there, or not a finite number of at least 0 in every row."""
    name = spec.sample_weight
    if name is None:
        return
    reason = "is not in the dataset." if name not in described else why_not_a_weight(described[name])
    if name == spec.target or (isinstance(spec.target, list) and name in spec.target):
        reason = "is the target."
    if reason is not None:
        findings.fault("sample_weight", detail=f"Column {name!r} {reason}")


def why_not_a_weight(column: Column) -> str | None:
    """Why the cells of a column are no weights; None where they are."""
    if column.kind is not Kind.NUMERIC or column.type is StorageType.BOOL:
        return f"is {column.kind}; a weight is a number."
    if column.missing:
        return "has missing values; every row needs a weight."
    if column.infinite or column.minimum is None or column.minimum < 0 or not column.maximum:
        return "has infinite or negative values, or only zeros."
    return None
