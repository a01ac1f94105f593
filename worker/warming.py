"""A first training, so that a process's first real job does not pay for what is done once."""

import numpy as np
import torch

from app.domain.schema import Kind, Task
from app.domain.spec import Network, ResolvedSpec
from worker.engine.data import Member, MemberArrays
from worker.engine.stack import Stack


def train_a_little(device: str) -> None:
    """Two epochs of a tiny network on random rows."""
    draw = np.random.default_rng(0)
    labels = np.arange(4) % 2
    arrays = MemberArrays(x_train=draw.normal(size=(4, 2)), y_train=labels, x_val=draw.normal(size=(4, 2)), y_val=labels)
    for _ in Stack([Member(spec=_spec(), arrays=arrays)], dtype=torch.float32, device=device).train():
        pass


def _spec() -> ResolvedSpec:
    return ResolvedSpec.model_validate(
        {
            "dataset": "",
            "target": "y",
            "features": ["a", "b"],
            "columns": {"a": Kind.NUMERIC, "b": Kind.NUMERIC},
            "task": Task.BINARY,
            "classes": [False, True],
            "loss": {"name": "bce"},
            "network": Network(hidden_layers=[2]).model_dump(),
            "epochs": 2,
            "batch_size": 4,
            "train_rows": 4,
            "validation_rows": 4,
            "test_rows": 0,
            "layers": [2, 2, 1],
            "parameters": 9,
        }
    )
