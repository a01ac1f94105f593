"""What an exception says of the job that it ended."""

import torch

from app.domain.errors import TrainyardError
from app.domain.job import StopReason
from app.persistence.leases import Ending
from worker.engine.custom_loss import LossFailed

# torch's allocator of main memory has no exception of its own.
_REFUSED = "DefaultCPUAllocator"


def failure_of(error: Exception) -> Ending:
    """How a job ends that met this error."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or (isinstance(error, RuntimeError) and _REFUSED in str(error)):
        text = "The training process ran out of memory: use fewer rows, a smaller network or batch."
        return Ending(reason=StopReason.OUT_OF_MEMORY, message=text)
    if isinstance(error, TrainyardError):
        return Ending(reason=StopReason.INVALID_DATA, message=error.detail)
    if isinstance(error, LossFailed):
        return Ending(reason=StopReason.INVALID_LOSS, message=str(error))
    text = f"The training met an unexpected error ({type(error).__name__}); the worker's log tells more."
    return Ending(reason=StopReason.INTERNAL_ERROR, message=text)
