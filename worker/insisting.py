"""What a worker must still write while the database is away: tried until it answers, which is nobody's crash."""

import time
from collections.abc import Callable

from sqlalchemy.exc import InterfaceError, OperationalError

# The database is away, locked or full: nothing about the work in hand.
AWAY = (OperationalError, InterfaceError)
AGAIN_SECONDS = 0.25


def insist(act: Callable[[], object], *, stopping: Callable[[], bool], alive: Callable[[], None]) -> None:
    """Do it, again and again; given up where the worker stops, for then the leases run out."""
    while not _is_done(act):
        if stopping():
            return
        alive()
        time.sleep(AGAIN_SECONDS)


def _is_done(act: Callable[[], object]) -> bool:
    try:
        act()
    except AWAY:
        return False
    return True
