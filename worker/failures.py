"""What an exception says of the job that it ended."""

import gc
import traceback

import torch

from app.domain.errors import TrainyardError
from app.domain.job import StopReason
from app.domain.memory import estimate
from app.domain.spec import ResolvedSpec
from app.persistence.leases import Ending
from worker.engine.custom_loss import LossFailed

# Where memory is refused without an exception of its own: torch's allocator of main memory, cuBLAS, that on a full GPU cannot
# even begin, and CUDA itself.
_CUBLAS = ("CUBLAS_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_NOT_INITIALIZED")
_REFUSED = ("DefaultCPUAllocator", *_CUBLAS, "CUDA error: out of memory")


class DeviceLost(Exception):
    """Raised when a process can do nothing on its GPU any more; only another process can."""


def is_out_of_memory(error: BaseException) -> bool:
    """True where memory was refused, the host's or the GPU's."""
    refused = isinstance(error, RuntimeError) and any(words in str(error) for words in _REFUSED)
    return refused or isinstance(error, MemoryError | torch.OutOfMemoryError)


def is_device_lost(error: BaseException, *, gpu: bool) -> bool:
    """True after an error that CUDA repeats for ever, as an illegal access is: told by its kind, else by asking the GPU."""
    if is_out_of_memory(error):
        return False
    return isinstance(error, torch.AcceleratorError) or (gpu and not _answers())


def _answers() -> bool:
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def release(error: BaseException) -> None:
    """Give back the memory that a failed stack still holds by the frames of its error, so that its halves find room."""
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__context__
    gc.collect()
    torch.cuda.empty_cache()


def failure_of(error: Exception, spec: ResolvedSpec, *, gpu: bool) -> Ending:
    """How a job of this spec ends that met this error, on a GPU or not."""
    if is_out_of_memory(error):
        needed = estimate(spec, gpu=gpu)
        text = f"{'The GPU' if gpu else 'The training process'} ran out of memory. The job takes about {needed}: {needed.cure}."
        return Ending(reason=StopReason.OUT_OF_MEMORY, message=text)
    if isinstance(error, TrainyardError):
        return Ending(reason=StopReason.INVALID_DATA, message=error.detail)
    if isinstance(error, LossFailed):
        return Ending(reason=StopReason.INVALID_LOSS, message=str(error))
    text = f"The training met an unexpected error ({type(error).__name__}); the worker's log tells more."
    return Ending(reason=StopReason.INTERNAL_ERROR, message=text)
