"""The metrics of validation and test, and which way is better."""

from app.domain.kinds import Task

CLASSIFICATION = ("accuracy", "balanced_accuracy", "f1", "log_loss", "roc_auc", "brier")
REGRESSION = ("rmse", "mae", "r2")
ALL = CLASSIFICATION + REGRESSION

# Its ranking costs two (30 rows) to seven times (1000) all others together.
_COSTLY = "roc_auc"

_LOWER_IS_BETTER = frozenset({"log_loss", "brier", "rmse", "mae", "loss"})


def of_task(task: Task) -> tuple[str, ...]:
    """The names that a job of this task reports, without the `val_` in front."""
    return REGRESSION if task is Task.REGRESSION else CLASSIFICATION


def of_epochs(task: Task, *, watched: str | None = None) -> tuple[str, ...]:
    """Those measured after every epoch: what is cheap enough, and what early stopping watches (`val_…`)."""
    return tuple(name for name in of_task(task) if name != _COSTLY or watched == f"val_{name}")


def lower_is_better(name: str) -> bool:
    """True for losses and errors; `name` may carry `val_`, `train_` or `test_` in front."""
    return name.removeprefix("val_").removeprefix("train_").removeprefix("test_") in _LOWER_IS_BETTER
