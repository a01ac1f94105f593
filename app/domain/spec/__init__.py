"""The spec of a job: blocks, discriminated unions, and the whole."""

from app.domain.spec.blocks import Checkpoints, EarlyStopping, Embedding, Ensemble, Preprocessing, Split, Window
from app.domain.spec.front import NumericFeatures, ParameterGroup, ParameterGroups, Periodic, PiecewiseLinear
from app.domain.spec.losses import Loss
from app.domain.spec.network import Activation, Network
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
    "NumericFeatures",
    "Optimizer",
    "ParameterGroup",
    "ParameterGroups",
    "Periodic",
    "PiecewiseLinear",
    "Preprocessing",
    "ResolvedSpec",
    "Split",
    "Window",
]
