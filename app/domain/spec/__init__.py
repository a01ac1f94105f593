"""The spec of a job: blocks, discriminated unions, and the whole."""

from app.domain.spec.blocks import (
    Activation,
    Checkpoints,
    EarlyStopping,
    Embedding,
    Ensemble,
    Network,
    Preprocessing,
    Split,
    Window,
)
from app.domain.spec.losses import Loss
from app.domain.spec.optimizers import Optimizer
from app.domain.spec.schedules import LrSchedule
from app.domain.spec.spec import JobSpec, ResolvedSpec

__all__ = [
    "Activation",
    "Checkpoints",
    "EarlyStopping",
    "Embedding",
    "Ensemble",
    "JobSpec",
    "Loss",
    "LrSchedule",
    "Network",
    "Optimizer",
    "Preprocessing",
    "ResolvedSpec",
    "Split",
    "Window",
]
