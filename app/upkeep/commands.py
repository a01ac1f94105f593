"""The command lines of API and worker: the same in `up` and on a cluster."""

import sys

KEEP_ALIVE_SECONDS = 75
GRACE_SECONDS = 2
MAX_CONNECTIONS = 4096
# Beside the connections: the database's and the broker's, files, and what a training process has open.
DESCRIPTORS = MAX_CONNECTIONS + 1024


def api_command(*, workers: int, bind: tuple[str, ...]) -> tuple[str, ...]:
    """Uvicorn with uvloop (the asyncio loop with several workers stalls every reply by 44 ms).

    An open event stream would block the shutdown, so it gets a grace period.
    """
    return (
        *(sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app", *bind),
        *("--workers", str(workers), "--loop", "uvloop", "--http", "httptools"),
        *("--timeout-keep-alive", str(KEEP_ALIVE_SECONDS), "--timeout-graceful-shutdown", str(GRACE_SECONDS)),
        *("--limit-concurrency", str(MAX_CONNECTIONS), "--no-server-header", "--no-access-log", "--log-level", "warning"),
    )


def worker_command(*, slots: int, queues: str) -> tuple[str, ...]:
    """Celery with one process per slot; what is switched off sends messages that nobody here reads."""
    return (
        *(sys.executable, "-m", "celery", "--quiet", "-A", "worker.celery_app", "worker"),
        *("--pool", "prefork", "--concurrency", str(slots), "-Q", queues),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"),
    )
