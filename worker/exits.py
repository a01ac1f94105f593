"""The exit statuses by which a training process tells its parent why it ended itself."""

import signal

from app.domain.crashes import Crash

STALLED = 75
"""The training showed no progress."""
SPOILED = 76
"""Nothing was lost, but an error may have left the process unfit for another job."""
TOLD = frozenset({0, SPOILED})
"""Of a process that has told of its end itself."""


def crash_of(status: int | None) -> Crash:
    """What the parent of a dead process knows of its end; a negative status is a signal."""
    if status is None or status == -signal.SIGKILL:
        return Crash.KILLED
    if status < 0:
        return Crash.FAULT
    return Crash.STALLED if status == STALLED else Crash.EXITED
