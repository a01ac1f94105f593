"""The command lines of API and worker: the same in `up` and on a cluster."""

import sys

KEEP_ALIVE_SECONDS = 75
GRACE_SECONDS = 2
MAX_CONNECTIONS = 4096
# Beside the connections: the database's and the broker's, files, and what a training process has open.
DESCRIPTORS = MAX_CONNECTIONS + 1024


def api_command(*, workers: int, bind: tuple[str, ...]) -> tuple[str, ...]:
    """So many processes on one address or inherited socket."""
    return (sys.executable, "-m", "app.server", "app.start:create_app", *bind, "--workers", str(workers))


def worker_command(*, slots: int, queues: str) -> tuple[str, ...]:
    """Celery with one process per slot; what is switched off sends messages that nobody here reads."""
    return (
        *(sys.executable, "-m", "celery", "--quiet", "-A", "worker.celery_app", "worker"),
        *("--pool", "prefork", "--concurrency", str(slots), "-Q", queues),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"),
    )
