"""The end of a worker that Celery keeps waiting: once its training processes have gone, nothing is left to wait for."""

import os
import signal
from contextlib import suppress
from threading import Event, Thread

import structlog
from billiard.process import active_children

log = structlog.get_logger()

# Celery takes one to three seconds where the broker answers, and the training in hand saves meanwhile.
PATIENCE_SECONDS = 3.0
LOOK_SECONDS = 0.1


def see_to_the_end(*, patience: float = PATIENCE_SECONDS) -> None:
    """Start a thread that ends this process: a frozen broker would hold it for as long as its socket's timeout."""
    Thread(target=_see_to_the_end, args=[patience], name="departure", daemon=True).start()


def _see_to_the_end(patience: float) -> None:
    pause = Event()
    pause.wait(patience)
    log.warning("worker.overdue", seconds=patience)
    while children := active_children():
        for child in children:  # each gives its job back, says that it is gone, and ends
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM)
        pause.wait(LOOK_SECONDS)
    os._exit(0)
