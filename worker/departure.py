"""The end of a worker: once its training processes have gone, nothing is left to wait for.

Celery's own way takes two seconds of looking around, and with a frozen broker as long as its socket's timeout.
"""

import os
import signal
from contextlib import suppress
from threading import Event, Thread

from billiard.process import active_children

LOOK_SECONDS = 0.05


def see_off() -> None:
    """Start a thread that tells the training processes to go and then ends this one."""
    Thread(target=_see_off, name="departure", daemon=True).start()


def _see_off() -> None:
    pause, told = Event(), set[int]()
    while children := active_children():
        for child in [child for child in children if child.pid not in told]:  # Celery may replace one until it has heard
            told.add(child.pid)
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM)  # it saves, gives its job back, says that it is gone, and ends
        pause.wait(LOOK_SECONDS)
    os._exit(0)
