"""The one task: a message is a hint that a job is due; which one is the database's to say."""

import structlog
from celery import shared_task

from app.queueing.names import TASK
from worker.wiring import trainer

log = structlog.get_logger()


@shared_task(name=TASK)  # type: ignore[untyped-decorator]  # Celery carries no types
def train(job_id: str) -> None:
    """Train whatever is due, until nothing is."""
    try:
        trainer().work_off(hint=job_id)
    except Exception:  # a MemoryError that Celery sees ends the whole worker; what was claimed comes back by its lease
        log.exception("trainer.failed")
