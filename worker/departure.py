"""The end of a worker: once its training processes have gone, nothing is left to wait for.

Celery's own way takes two seconds of looking around, and with a frozen broker as long as its socket's timeout.
"""

import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

from billiard.process import active_children
from billiard.util import get_temp_dir

LOOK_SECONDS = 0.05
# The database may be away; then the leases say in half a minute what was to be said.
LAST_LOOK_SECONDS = 2.0


def see_off(last_look: Callable[[], None]) -> None:
    """Start a thread that tells the training processes to go, waits until they have, and then ends this one.

    `last_look`: called before the end, for processes that died of it; it is not waited for longer than a moment.
    """
    Thread(target=_see_off, args=[last_look], name="departure", daemon=True).start()


def _see_off(last_look: Callable[[], None]) -> None:
    pause, told = Event(), set[int]()
    while children := active_children():
        for child in [child for child in children if child.pid not in told]:  # Celery may replace one until it has heard
            told.add(child.pid)
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM)  # it saves, gives its job back, says that it is gone, and ends
        pause.wait(LOOK_SECONDS)
    looking = Thread(target=last_look, name="last look", daemon=True)
    looking.start()
    looking.join(LAST_LOOK_SECONDS)
    with suppress(OSError):  # nothing may keep it from its end, a full disk neither
        shutil.rmtree(get_temp_dir())  # the pool's own clean-up does not run
    os._exit(0)
