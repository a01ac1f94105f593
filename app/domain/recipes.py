"""The recipes: what a spec becomes that names one, by task; a table of options that a plain spec may use, too.

Where the parts come from and what each is worth: docs/recipes.md.
"""

import math
from typing import Any, Literal, cast

from app.domain.resolve_findings import Findings
from app.domain.schema import Task
from app.domain.spec import JobSpec, Optimizer

Recipe = Literal["fast", "strong", "best"]
Blocks = dict[str, Any]

# Networks and epochs.
SIZES: dict[Recipe, tuple[int, int]] = {"fast": (4, 60), "strong": (10, 76), "best": (20, 128)}

# The rate of a regression is that of batches of so many rows; smaller ones, which are noisier, learn by their square root.
_RATED_ROWS = 256

_EVERY: Blocks = {
    "preprocessing": {"numeric": "robust_clip", "categorical": "one_hot_signed", "missing": "median_indicator"},
    "regularization_schedule": "flat_cosine",
    "batch_size": "even",
    "gradient_clip_norm": None,
    "parameter_groups": {
        "bias": {"learning_rate_factor": 0.1, "weight_decay_factor": 0.0},
        "input_scaling": {"learning_rate_factor": 6.0},
        "numeric_features": {"learning_rate_factor": 0.1},
    },
}
_NETWORK: Blocks = {
    "activation": "silu",
    "dropout": 0.15,
    "input_scaling": True,
    "parametrization": "ntk",
    "initialization": "data_driven",
}
_OF_CLASSES: Blocks = {
    "network": {
        **_NETWORK,
        "hidden_layers": [96, 96, 96],
        "numeric_features": {"kind": "periodic", "frequencies": 16, "sigma": 0.1, "width": 3},
    },
    "optimizer": {"name": "adamw", "learning_rate": 0.08, "betas": [0.9, 0.95], "weight_decay": 0.02},
    "lr_schedule": {"name": "log_cosine", "cycles": 3},
}
_OF_NUMBERS: Blocks = {
    "network": {
        **_NETWORK,
        "hidden_layers": [64, 64, 64],
        "numeric_features": {"kind": "piecewise_linear", "bins": 16, "width": 3},
    },
    "loss": {"name": "mse"},
    "optimizer": {"name": "adamw", "learning_rate": 0.2, "betas": [0.9, 0.95], "weight_decay": 0.02},
    "lr_schedule": {"name": "log_cosine", "cycles": 4},
    "clip_predictions": True,
}


def with_recipe(spec: JobSpec, task: Task | None, findings: Findings, *, numeric: bool) -> JobSpec:
    """The spec with all that its recipe decides; a block that the caller set otherwise is a fault.

    `task` is None where the target has a fault; `numeric` says whether any feature is a number.
    """
    if spec.recipe == "plain":
        if spec.optimize is not None:
            findings.fault(
                "optimize", detail="A plain job optimizes its loss; watch a metric by early_stopping, or use a recipe."
            )
        return spec
    if task is None:
        return spec
    optimize = spec.optimize or "error"
    if optimize != "error" and task in (Task.REGRESSION, Task.MULTILABEL):
        findings.fault("optimize", detail=f"{optimize} is for the classes of one target; a {task} job has its error.")
        return spec
    decided = JobSpec.model_validate(_decided(spec, task, optimize, numeric=numeric))
    return _filled(spec, decided, findings)


def optimizer_for(spec: JobSpec, task: Task, batch_size: int) -> Optimizer:
    """A spec's, with the learning rate that its recipe has for batches of so many rows."""
    if spec.recipe == "plain" or task is not Task.REGRESSION:
        return spec.optimizer
    rate = spec.optimizer.learning_rate * math.sqrt(min(1.0, batch_size / _RATED_ROWS))
    return spec.optimizer.model_copy(update={"learning_rate": float(f"{rate:.3g}")})


def unjudged(spec: JobSpec, findings: Findings) -> JobSpec:
    """The spec of a recipe for rows of which none validate: nothing stops it, and there is no temperature."""
    findings.warn(f"No row validates: the last epoch is kept, where the recipe {spec.recipe} chooses the best.")
    return spec.model_copy(update={"early_stopping": None, "calibration": "none"})


def _decided(spec: JobSpec, task: Task, optimize: str, *, numeric: bool) -> Blocks:
    networks, epochs = SIZES[cast(Recipe, spec.recipe)]
    of_task = _OF_NUMBERS if task is Task.REGRESSION else _of_classes(task, optimize)
    network = of_task["network"] if numeric else {**of_task["network"], "numeric_features": None}
    folds = "auto" if spec.ensemble is None else spec.ensemble.folds
    return {
        **_EVERY,
        **of_task,
        "network": network,
        "dataset": spec.dataset,
        "target": spec.target,
        "optimize": optimize,
        "epochs": epochs,
        "ensemble": {"members": networks, "folds": folds},
        "early_stopping": _stopping(task, optimize),
    }


def _of_classes(task: Task, optimize: str) -> Blocks:
    """Labels of several columns are one logit each, without smoothing or temperature."""
    if task is Task.MULTILABEL:
        return {**_OF_CLASSES, "loss": {"name": "bce"}}
    smoothing = 0.0 if optimize == "auc" else 0.1
    return {**_OF_CLASSES, "loss": {"name": "cross_entropy", "label_smoothing": smoothing}, "calibration": "temperature"}


def _stopping(task: Task, optimize: str) -> Blocks:
    """What an epoch is chosen by; for the area under the curve the log-loss is the steadier guide.

    A single epoch's accuracy is often the highest by the luck of a few rows.
    """
    if task is Task.REGRESSION:
        return {"metric": "val_loss", "patience": "cycle"}
    if optimize != "error":
        return {"metric": "val_log_loss", "patience": "cycle"}
    return {"metric": "val_accuracy", "patience": "cycle", "mean_epochs": 5}


def _filled(spec: JobSpec, decided: JobSpec, findings: Findings) -> JobSpec:
    """Also of what was resolved, where "auto" and the like have become something."""
    names = decided.model_fields_set - {"dataset", "target"}
    for name in sorted((names & spec.model_fields_set) - {"optimize"}):
        if not _agree(name, spec, decided):
            findings.fault(name, detail=f"The recipe {spec.recipe} decides it; leave it out, or use the recipe plain.")
    found = spec.model_copy(update={name: getattr(decided, name) for name in names})
    target = spec.preprocessing.target
    return found.model_copy(update={"preprocessing": found.preprocessing.model_copy(update={"target": target})})


def _agree(name: str, spec: JobSpec, decided: JobSpec) -> bool:
    """True where the caller left it open or said the same."""
    asked, own, is_resolved = getattr(spec, name), getattr(decided, name), "train_rows" in spec.model_fields_set
    match name:
        case "batch_size":
            return asked == own or is_resolved
        case "optimizer" if is_resolved:
            return bool(asked.model_copy(update={"learning_rate": own.learning_rate}) == own)
        case "preprocessing":
            left = asked.model_fields_set <= {"target"}
            return left or bool(asked.model_copy(update={"target": own.target}) == own)
        case "ensemble":
            return asked is not None and ("members" not in asked.model_fields_set or asked.members == own.members)
        case "early_stopping" | "calibration" if is_resolved and asked in (None, "none"):
            return True  # no row validates
    return bool(asked == own)
