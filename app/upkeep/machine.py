"""What this machine has for training: cores and GPUs, found without importing torch."""

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def default_slots() -> int:
    """Training processes of a worker: one per GPU, else one per two cores, at least one."""
    return gpus() or max(1, cores() // 2)


def gpus() -> int:
    """How many NVIDIA GPUs this process may use."""
    devices = len([device for device in Path("/dev").glob("nvidia[0-9]*") if device.name[6:].isdigit()])
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return devices
    names = [name for name in chosen.split(",") if name.strip() not in ("", "-1")]
    return min(devices, len(names))


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
