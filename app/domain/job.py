"""The life of a job: its statuses, why it stopped, and which change may follow which."""

from enum import StrEnum


class Status(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """True when nothing follows."""
        return self in TERMINAL


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})
HELD = frozenset({Status.RUNNING, Status.PAUSING, Status.CANCELLING})

# What becomes of a held job whose lease ran out or whose worker gave it back.
AFTER_RELEASE = {Status.RUNNING: Status.QUEUED, Status.PAUSING: Status.PAUSED, Status.CANCELLING: Status.CANCELLED}

# What a caller's cancel does to a live job; one that is over stays as it is.
AFTER_CANCEL = {
    Status.QUEUED: Status.CANCELLED,
    Status.PAUSED: Status.CANCELLED,
    Status.RUNNING: Status.CANCELLING,
    Status.PAUSING: Status.CANCELLING,
    Status.CANCELLING: Status.CANCELLING,
}
# What a caller's pause and resume do; where a status is missing there is a conflict.
AFTER_PAUSE = {
    Status.QUEUED: Status.PAUSED,
    Status.RUNNING: Status.PAUSING,
    Status.PAUSING: Status.PAUSING,
    Status.PAUSED: Status.PAUSED,
}
AFTER_RESUME = {Status.PAUSED: Status.QUEUED, Status.QUEUED: Status.QUEUED, Status.RUNNING: Status.RUNNING}


class StopReason(StrEnum):
    """Why a terminal job ended."""

    MAX_EPOCHS = "max_epochs"
    EARLY_STOPPING = "early_stopping"
    TIME_LIMIT = "time_limit"
    CANCELLED = "cancelled"
    NON_FINITE_LOSS = "non_finite_loss"
    OUT_OF_MEMORY = "out_of_memory"
    WORKER_LOST = "worker_lost"
    INVALID_DATA = "invalid_data"
    INVALID_LOSS = "invalid_loss"
    INTERNAL_ERROR = "internal_error"

    @property
    def status(self) -> Status:
        """The terminal status that goes with the reason."""
        if self in (StopReason.MAX_EPOCHS, StopReason.EARLY_STOPPING, StopReason.TIME_LIMIT):
            return Status.SUCCEEDED
        return Status.CANCELLED if self is StopReason.CANCELLED else Status.FAILED


def devices_taken(device: str) -> tuple[str, ...]:
    """The devices of the jobs that a training process takes: a GPU's also has a CPU."""
    return ("auto", "cpu", "cuda") if device == "cuda" else ("auto", "cpu")
