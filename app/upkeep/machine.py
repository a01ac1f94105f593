"""What this machine has for training: cores, GPUs and memory, found without importing torch."""

import math
import os
import resource
from pathlib import Path

_DEVICES = Path("/dev")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
# The rest is for the processes themselves, about 300 MB each, and for the system.
_FOR_JOBS = 0.7


def default_slots() -> int:
    """Training processes of a worker: one per GPU, else one per two cores, at least one."""
    return gpus() or max(1, cores() // 2)


def memory_budget(slots: int) -> int:
    """Bytes that the job of one of `slots` training processes may use; 0 slots are the default ones."""
    return int(memory() * _FOR_JOBS) // (slots or default_slots())


def allow_descriptors(wanted: int) -> None:
    """Let this process and its children have so many open files and connections, or as many as the machine grants.

    The usual 1024 are used up by a thousand open streams.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    granted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < granted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))


def memory() -> int:
    """Bytes that this process may use: the machine's, or fewer where a container grants it less."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *(limit for path in _LIMITS if (limit := _limit(path)))])


def _limit(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # there is none, or it says "max"
        return None


def gpus() -> int:
    """How many NVIDIA GPUs this process may use."""
    return len(_gpu_names())


def gpu_of(slot: int) -> str | None:
    """The GPU of a worker's training process, as CUDA_VISIBLE_DEVICES names it; where slots are more than GPUs, they share."""
    names = _gpu_names()
    return names[slot % len(names)] if names else None


def sharing_a_gpu(slots: int) -> int:
    """How many of `slots` training processes are on one GPU at most; 0 slots are the default ones."""
    return -(-(slots or default_slots()) // max(1, gpus()))


def _gpu_names() -> list[str]:
    devices = len([device for device in _DEVICES.glob("nvidia[0-9]*") if device.name[6:].isdigit()])
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return [str(number) for number in range(devices)]
    names = [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]
    # A device may be cut into several instances, each with a name.
    return names if devices and all(name.startswith("MIG-") for name in names) else names[:devices]


def cores() -> int:
    """How many cores this process may use: those it is bound to, or fewer where a container grants it less."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(bound, _granted())


def _granted() -> int:
    try:
        quota, period = _QUOTA.read_text().split()
    except (OSError, ValueError):
        return 1 << 16
    return 1 << 16 if quota == "max" else max(1, math.ceil(int(quota) / int(period)))
