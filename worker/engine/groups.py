"""What each parameter's own factors are, over the flat vector: of the learning rate, of the decay, and its unit.

With the NTK parametrization z = Vh/√d + b, V is what the optimizer should see, and W = V/√d what the engine has. Its `unit`
1/√d says so: ∂L/∂V is unit · ∂L/∂W, and a step of V is one of W times the unit. What an optimizer makes of that is exactly
what it would have done with V, `eps` and L2 decay included.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from app.domain.front import is_scaled
from worker.engine.layout import Layout

if TYPE_CHECKING:
    from app.domain.spec import ParameterGroup, ResolvedSpec


@dataclass(frozen=True)
class Scales:
    """float64 [K, P] each."""

    rate: Tensor
    decay: Tensor
    unit: Tensor

    @staticmethod
    def placed(numbers: Tensor, like: Tensor) -> Tensor:
        """Such numbers beside parameters like [K, P] or [P]; [1, P] where they are the same for all members."""
        shared = numbers[:1] if bool((numbers == numbers[0]).all()) else numbers
        return (shared[0] if like.dim() == 1 else shared).to(like)


def of(specs: Sequence["ResolvedSpec"], layout: Layout) -> Scales | None:
    """None where no member has any factor but 1."""
    if not any(is_scaled(spec) for spec in specs):
        return None
    each = [_of_member(spec, layout) for spec in specs]
    rate, decay, unit = (torch.stack(vectors)[:, : layout.trained] for vectors in zip(*each, strict=True))
    return Scales(rate, decay, unit)


def _of_member(spec: "ResolvedSpec", layout: Layout) -> tuple[Tensor, Tensor, Tensor]:
    """[total] each."""
    rate, decay, unit = (torch.ones(layout.total, dtype=torch.float64) for _ in range(3))
    for vector, name in ((rate, "learning_rate_factor"), (decay, "weight_decay_factor")):
        _fill(vector, layout, spec, name)
    if spec.network.parametrization == "ntk":
        for views, slot in zip(layout.views(unit), layout.slots, strict=True):
            views.weight.fill_(slot.inputs**-0.5)
    return rate, decay, unit


def _fill(vector: Tensor, layout: Layout, spec: "ResolvedSpec", name: str) -> None:
    groups, layers = spec.parameter_groups, layout.views(vector)
    of_first: list[tuple[Tensor | None, ParameterGroup]] = [
        (layers[0].mixtures, groups.numeric_features),
        (layers[0].factors, groups.input_scaling),
    ]
    for part, group in [*((layer.bias, groups.bias) for layer in layers), *of_first]:
        if part is not None:
            part.fill_(getattr(group, name))
