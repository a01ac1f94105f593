"""The one task: a message is a hint that a job is due; which one is the database's to say."""

from celery import shared_task

from app.queueing.names import TASK
from worker.wiring import trainer


@shared_task(name=TASK)  # type: ignore[untyped-decorator]  # Celery carries no types
def train(job_id: str) -> None:
    """Train whatever is due, until nothing is."""
    trainer().work_off(hint=job_id)
