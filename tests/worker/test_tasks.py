"""The task as Celery runs it."""

from worker.tasks import train


def test_no_error_reaches_celery_where_one_of_memory_would_end_the_whole_worker() -> None:
    assert train.run("job_none") is None  # there is no trainer in this process: it fails, and says so in the log alone
