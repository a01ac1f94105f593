"""What a failing storage is to a job: a reason for its event log, and a sentence for whoever must do something."""

from app.domain.disk import FULL


def reason_of(error: OSError) -> str:
    """`disk_full`, or `storage_unavailable`."""
    return "disk_full" if error.errno in FULL else "storage_unavailable"


def sentence(error: OSError, *, seconds: float, work: str = "the job") -> str:
    """Why a job, or other work, ends whose files were refused for so long."""
    what = "is full" if error.errno in FULL else "does not work"
    cure = "free space there or raise its limit" if error.errno in FULL else "see the worker's log"
    return f"The storage {what}, for {seconds:.0f} s now: {cure}, and submit {work} again."
