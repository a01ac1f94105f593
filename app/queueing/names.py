"""The names that API and worker share."""

TASK = "trainyard.train"
CPU_QUEUE = "cpu"
GPU_QUEUE = "gpu"


def queue_of(device: str) -> str:
    """The queue that a job's doorbell goes to; `auto` is anybody's and goes where every worker listens."""
    return GPU_QUEUE if device == "cuda" else CPU_QUEUE
