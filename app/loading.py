"""How a process loads its code."""

import gc
import os
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


def prepare_torch() -> None:
    """Before torch is imported: on a GPU cuBLAS gives the same bits each time, and no kernel is compiled on the way.

    torch 2.13 writes products whose inner dimension is 1 in Triton, which asks for a C compiler and Python's headers when
    the first of them is computed (github.com/pytorch/pytorch/issues/196977), and whose offsets have 32 bits (196431).
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("TORCH_DISABLE_NATIVE_JIT", "1")
