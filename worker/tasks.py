"""The one task: a message is a hint that a job is due; which one is the database's to say."""

import os

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
    except MemoryError:  # Celery's main process would end of it; of a dead child it only gives the jobs back
        log.error("process.out_of_memory")
        os._exit(1)
    except Exception:  # what was claimed comes back by its lease
        log.exception("trainer.failed")
