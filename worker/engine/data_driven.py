"""First weights that data drive: each layer's units begin with pre-activations of unit spread on the first training rows.

A weight is drawn from a standard normal and divided by the spread of its unit's pre-activations. A bias takes away a random
mean of five of these, so that each unit has its zero somewhere among the rows ("he+5"). Then the rows go on to the next layer.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from worker.engine import embeddings, forward
from worker.engine.activations import ACTIVATIONS
from worker.engine.layout import LayerViews, Layout
from worker.engine.randomness import Use, seeded

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec

ROWS = 2048
_MIXED = 5
# The spread of a unit counts at least as this part of its layer's: with few different rows some units hardly vary, and would
# get huge weights. A layer that does not vary at all is left as it was drawn.
_FLOOR, _LEAST = 0.3, 1e-6


def drive(spec: "ResolvedSpec", layout: Layout, flat: Tensor, x: Tensor) -> None:
    """Sets the weights and biases of all layers in `flat` [total] by rows x [n, columns]; what stands before them is set."""
    layers, kind = layout.views(flat), spec.network.normalization
    normalize = forward.ByBatch() if kind == "batch" else forward.evaluating(kind)
    activate = ACTIVATIONS[spec.network.activation].apply
    a = _first_inputs(layout, layers[0], torch.cat((x, x.new_ones(len(x), 1)), 1).T)
    for index, (layer, slot) in enumerate(zip(layers, layout.slots, strict=True)):
        z = _drive_layer(layer, a, seeded(spec.seed, Use.WEIGHTS, index))
        if slot.norm is not None or index < len(layers) - 1:
            a = activate(normalize(layer, z[None])[0])


def _first_inputs(layout: Layout, first: LayerViews, design: Tensor) -> Tensor:
    """[in, n] of the first layer as it is trained, from a design with ones [columns + 1, n]."""
    found, front = embeddings.of(layout.plain, design), layout.front
    inputs = found.inputs(first.tables[None], design[None])[0] if found and first.tables is not None else design
    inputs = inputs[:-1]
    if front is None or first.mixtures is None:
        return inputs
    features = inputs[front.raw : len(inputs) - front.embedded].view(front.columns, front.features, -1)
    mixed = torch.matmul(first.mixtures[..., :-1], features) + first.mixtures[..., -1:]
    return torch.cat((inputs[: front.raw], mixed.flatten(0, 1), inputs[len(inputs) - front.embedded :]))


def _drive_layer(layer: LayerViews, a: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one layer for inputs a [in, n]; answers its pre-activations [out, n]."""
    weight = torch.empty_like(layer.weight).normal_(generator=generator) / len(a) ** 0.5
    z = weight @ a
    spread = z.std(1, correction=0, keepdim=True)
    usual = float(spread.square().mean().sqrt())
    spread = spread.clamp(min=_FLOOR * usual) if usual > _LEAST else torch.ones_like(spread)
    weight, z = weight / spread, z / spread
    chosen = torch.randint(z.shape[1], (len(z), _MIXED), generator=generator)
    shares = torch.empty(len(z), _MIXED, dtype=z.dtype).exponential_(generator=generator)
    bias = -(z.gather(1, chosen) * shares).sum(1, keepdim=True) / shares.sum(1, keepdim=True)
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)
    shifted: Tensor = z + bias
    return shifted
