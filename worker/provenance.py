"""What decides a job's bits, recorded with the job and in every checkpoint."""

import platform

import numpy
import onnx
import torch

from app.domain.spec import ResolvedSpec
from app.persistence.rows import JobRow

Facts = dict[str, str | int | float | bool | None]


# What must be as it was where a job goes on, or its bits are not those of an undisturbed run.
_DECISIVE = ("device", "gpu", "threads", "stack_size", "stack_position", "torch", "machine")


def provenance(job: JobRow, spec: ResolvedSpec, *, device: str, continued: bool) -> Facts:
    """The same facts on another machine give the same weights to the last bit.

    `exact` is False for good once an attempt `continued` from a recovery point that was trained under other facts.
    """
    facts = _facts(job, spec, device=device)
    before = job.reproducibility if continued else None
    same = before is None or all(before.get(name) == facts[name] for name in _DECISIVE)
    return facts | {"exact": same and (before is None or before.get("exact") is True)}


def _facts(job: JobRow, spec: ResolvedSpec, *, device: str) -> Facts:
    return {
        **job.hashes,
        **({} if job.start_checkpoint is None else {"start_checkpoint": job.start_checkpoint}),
        "seed": spec.seed,
        "device": device,
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "threads": torch.get_num_threads(),
        "stack_size": job.stack_size,
        "stack_position": job.stack_position,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "onnx": onnx.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
