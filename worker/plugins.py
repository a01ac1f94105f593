"""What the operator installed beside the worker: custom losses, found by their entry points."""

from importlib.metadata import entry_points

import structlog

from app.domain.custom import CUSTOM, ENTRY_POINTS, is_custom
from worker.engine.custom_loss import CustomLoss, LossFailed

log = structlog.get_logger()


def loss_names() -> list[str]:
    """What can be trained by here; nothing is loaded."""
    return sorted(entry_points(group=ENTRY_POINTS).names)


def load_loss(name: str, *, job: str) -> CustomLoss | None:
    """A loss of a job's own, None where the name is no custom loss's; the log has the traceback where it fails later.

    Raises LossFailed: it is not installed here, more than once, or cannot be made.
    """
    if not is_custom(name):
        return None
    found = entry_points(group=ENTRY_POINTS, name=name.removeprefix(CUSTOM))
    if len(found) != 1:
        raise LossFailed(f"The loss {name} is installed {len(found)} times on the worker that took the job, not once.")
    try:
        module = next(iter(found)).load()()
    except Exception as error:
        raise LossFailed(f"The loss {name} cannot be loaded: {type(error).__name__}: {error}") from error
    return CustomLoss(name, module, tell=lambda failure: log.error("loss.failed", job=job, exc_info=failure))
