"""A network's parameters before its first epoch."""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from worker.engine.data import Inputs
from worker.engine.data_driven import ROWS, drive
from worker.engine.layout import Layout, Slot
from worker.engine.network import Weights, named
from worker.engine.randomness import Use, seeded

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec

# The places of embeddings and of mixtures among the layers, which are counted from 0.
_BELOW = -1
_MIXTURES = -2


def initial_weights(spec: "ResolvedSpec", x: Inputs | None = None) -> Weights:
    """The weights before the first epoch, float64: a pure function of seed and layer, and where data drive it of first rows."""
    return named(spec, initial_vector(spec, x), steps=0)


def initial_vector(spec: "ResolvedSpec", x: Inputs | None = None) -> NDArray[np.float64]:
    """The parameters before the first epoch as one flat vector [total]; `x` are first training rows [n, columns]."""
    layout = Layout(spec)
    flat = torch.zeros(layout.total, dtype=torch.float64)
    _begin_front(spec, layout, flat)
    for index, table in enumerate(layout.split(flat)):
        table[1:].normal_(generator=seeded(spec.seed, Use.WEIGHTS, _BELOW, index))
    for index, (views, slot) in enumerate(zip(layout.views(flat), layout.slots, strict=True)):
        for part in (views.scale, views.variance):
            _ = part if part is None else part.fill_(1)
        if spec.network.initialization == "data_driven":
            continue
        weight, bias = _drawn(spec.network.initialization, slot, seeded(spec.seed, Use.WEIGHTS, index))
        views.weight.copy_(weight)
        views.bias.copy_(bias)
    if spec.network.initialization == "data_driven":
        if x is None:
            raise ValueError("Weights that data drive need rows.")
        drive(spec, layout, flat, torch.from_numpy(np.array(x[:ROWS], dtype=np.float64)))
    return flat.numpy()


def _begin_front(spec: "ResolvedSpec", layout: Layout, flat: Tensor) -> None:
    """Mixtures are drawn as torch draws a linear layer; factors are 1."""
    first = layout.views(flat)[0]
    if first.mixtures is not None and layout.front:
        bound = layout.front.features**-0.5
        first.mixtures.uniform_(-bound, bound, generator=seeded(spec.seed, Use.WEIGHTS, _MIXTURES))
    if first.factors is not None:
        first.factors.fill_(1)


def _drawn(name: str, slot: Slot, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """[out, in] by torch's initializer of that name with its own defaults, and nn.Linear's bias [out, 1]."""
    weight = torch.empty(slot.outputs, slot.inputs, dtype=torch.float64)
    if name == "default":
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
    else:
        getattr(nn.init, f"{name}_")(weight, generator=generator)
    bound = 1 / math.sqrt(slot.inputs)
    return weight, torch.empty(slot.outputs, 1, dtype=torch.float64).uniform_(-bound, bound, generator=generator)
