"""How a training process can end without a word, and what its job's owner is told when it did so too often."""

from enum import StrEnum


class Crash(StrEnum):
    """What is known of the end of a training process."""

    KILLED = "killed"
    """By SIGKILL: mostly the system's answer to too little memory."""
    FAULT = "fault"
    """By another signal: a fault in native code."""
    EXITED = "exited"
    STALLED = "stalled"
    """Its training showed no progress, or it no sign of life, and it was ended for that."""
    SILENT = "silent"
    """Its lease ran out: the process, its machine or its network is gone."""


_LAST_TIME = {
    Crash.KILLED: "The last time it was killed from outside (SIGKILL), mostly the system's answer to too little memory",
    Crash.FAULT: "The last time it was a fault in native code",
    Crash.EXITED: "The last time it ended by itself",
    Crash.STALLED: "The last time it was ended because {work} showed no progress",
    Crash.SILENT: "The last time nothing was heard of it any more",
}
_OF_TRAINING = {
    Crash.KILLED: "use a smaller batch_size, fewer rows or columns or narrower hidden_layers, or give the worker more memory.",
    Crash.FAULT: "try other settings of the network, and report the job's spec with the worker's log.",
    Crash.EXITED: "the worker's log tells more.",
    Crash.STALLED: "use a smaller batch_size or network, or allow more time with TRAINYARD_STALL_SECONDS.",
    Crash.SILENT: "its machine or its way to the database was gone.",
}
_OF_PREDICTION = {
    **_OF_TRAINING,
    Crash.KILLED: "set TRAINYARD_BATCH_PART_ROWS lower, or give the worker more memory.",
    Crash.FAULT: "report it with the worker's log.",
    Crash.STALLED: "set TRAINYARD_BATCH_PART_ROWS lower, or allow more time with TRAINYARD_STALL_SECONDS.",
}


def verdict(crashes: int, last: Crash) -> str:
    """Why a job ends whose process died that often in a row."""
    died = f"The training process died {crashes} times in a row without a new checkpointed epoch."
    return f"{died} {_LAST_TIME[last].format(work='the training')}: {_OF_TRAINING[last]}"


def verdict_on_batch(crashes: int, last: Crash) -> str:
    """The same of a batch prediction."""
    died = f"The process that predicts died {crashes} times in a row without another part of the rows."
    return f"{died} {_LAST_TIME[last].format(work='the prediction')}: {_OF_PREDICTION[last]}"
