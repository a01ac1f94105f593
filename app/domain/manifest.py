"""`model.json`: what a checkpoint is, in one versioned document that needs nothing beside it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.domain.columns import AnyTarget, FittedColumn
from app.domain.numbers import JsonNumber
from app.domain.spec import ResolvedSpec

WEIGHTS = "weights.safetensors"
MANIFEST = "model.json"
ONNX = "model.onnx"
STATE = "state.safetensors"


class Manifest(BaseModel):
    """The content of `model.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    spec: ResolvedSpec
    columns: list[FittedColumn]
    """Raw columns in the order of the model's features."""
    target: AnyTarget
    class_weights: list[float] | None = None
    """The weight of each class that the rows were trained with; None where the spec weighs none, and in older documents."""
    temperature: float | None = None
    """What the last layer's weights and bias are divided by already, None where they are as trained."""
    output: Literal["softmax", "sigmoid", "identity", "exp"]
    epoch: int
    train_loss: JsonNumber
    val_loss: JsonNumber
    metrics: dict[str, JsonNumber]
    provenance: dict[str, str | int | float | bool | None]
    """dataset sha256, seed, library versions, device, threads, stack size and position."""
