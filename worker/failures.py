"""What an exception says of the job that it ended."""

import torch

from app.domain.errors import TrainyardError
from app.domain.job import StopReason
from app.domain.memory import estimate
from app.domain.spec import ResolvedSpec
from app.persistence.leases import Ending
from worker.engine.custom_loss import LossFailed

# torch's allocator of main memory has no exception of its own.
_REFUSED = "DefaultCPUAllocator"


def is_out_of_memory(error: Exception) -> bool:
    """True for Python's, NumPy's, torch's and a GPU's ways to say so."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and _REFUSED in str(error)


def spoils_the_process(error: Exception) -> bool:
    """True where what is left of the process's memory, or of the GPU's context, is not fit for another job."""
    return is_out_of_memory(error) or isinstance(error, torch.AcceleratorError)


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
