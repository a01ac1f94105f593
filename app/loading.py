"""How a process loads its code."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """For the imports of a process that starts: what they make stays, so that looking through it for garbage is in vain.

    The collector would do so again and again, a fifth of the time that torch and the API take to load, and never stop to look
    through what is there then; afterwards it leaves that out.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
