"""The walls of the reading process: so much memory, and no longer life than its parent's."""

import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path
from threading import Thread

OUT_OF_MEMORY = 86
"""Exit status of a process that passed its memory limit."""
OUT_OF_ROOM = 87
"""Exit status of a process that found the disk full."""
PERIOD = 0.02
# Address space of an idle process with its libraries and thread stacks, four times over.
OVERHEAD = 2 * 1024**3
PR_SET_PDEATHSIG = 1


def confine(memory_bytes: int) -> None:
    """Ends this process when its resident memory passes the limit, and, on Linux, when its parent ends.

    A thread looks at the memory, because Rust does not always survive a refused allocation well enough to exit: with the
    address space alone as the limit one of a few runs stood still. The address space, wider, stays as the last wall.
    """
    wall = 2 * memory_bytes + OVERHEAD
    resource.setrlimit(resource.RLIMIT_AS, (wall, wall))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        Thread(target=_watch, args=(memory_bytes,), daemon=True).start()


def _watch(memory_bytes: int) -> None:
    most = memory_bytes // resource.getpagesize()
    statm = Path("/proc/self/statm")
    while int(statm.read_text().split()[1]) <= most:
        time.sleep(PERIOD)
    os._exit(OUT_OF_MEMORY)
