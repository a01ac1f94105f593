"""A process that ends with the one that started it, however that one ends."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def ending_with(parent: int) -> Callable[[], None]:
    """What a new process calls: the kernel sends it SIGTERM when its parent dies; it exits if that has happened already.

    Only Linux has this; elsewhere the call does nothing. The C library is looked up here, before any fork.
    """
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

    return prepare
