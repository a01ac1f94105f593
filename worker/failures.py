"""What an exception says of the job that it ended."""

import gc
import traceback

import torch

from app.domain.errors import TrainyardError
from app.domain.job import StopReason
from app.domain.memory import estimate, host_estimate
from app.domain.spec import ResolvedSpec
from app.persistence.leases import Ending
from worker.engine.custom_loss import LossFailed

# Where memory is refused without an exception of its own: torch's allocator of main memory; cuBLAS, that on a full GPU cannot
# even begin, and CUDA itself.
_HOST = "DefaultCPUAllocator"
_NO_HANDLE = "CUBLAS_STATUS_NOT_INITIALIZED"
_GPU = ("CUBLAS_STATUS_ALLOC_FAILED", _NO_HANDLE, "CUDA error: out of memory")


class DeviceLost(Exception):
    """Raised when a process can do nothing on its GPU any more; only another process can."""


def is_out_of_memory(error: BaseException) -> bool:
    """True where memory was refused, the host's or the GPU's."""
    refused = isinstance(error, RuntimeError) and any(words in str(error) for words in _GPU)
    return refused or _is_the_hosts(error) or isinstance(error, torch.OutOfMemoryError)


def _is_the_hosts(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _HOST in str(error))


def is_device_lost(error: BaseException, *, gpu: bool) -> bool:
    """True after an error that CUDA repeats for ever, as an illegal access is: told by its kind, else by asking the GPU."""
    if is_out_of_memory(error) and _NO_HANDLE not in str(error):  # of which a lost device is the other cause
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
        where, needed = "The training process", estimate(spec, gpu=gpu)
        if gpu:
            where, needed = ("The host", host_estimate(spec)) if _is_the_hosts(error) else ("The GPU", needed)
        text = f"{where} ran out of memory. The job takes about {needed}: {needed.cure}."
        return Ending(reason=StopReason.OUT_OF_MEMORY, message=text)
    if isinstance(error, TrainyardError):
        return Ending(reason=StopReason.INVALID_DATA, message=error.detail)
    if isinstance(error, LossFailed):
        return Ending(reason=StopReason.INVALID_LOSS, message=str(error))
    text = f"The training met an unexpected error ({type(error).__name__}); the worker's log tells more."
    return Ending(reason=StopReason.INTERNAL_ERROR, message=text)
