"""What each parameter's own factors are, over the flat vector: of the learning rate, of the decay, and its unit.

With the NTK parametrization z = Vh/√d + b, V is what the optimizer should see, and W = V/√d what the engine has. Its `unit`
1/√d says so: ∂L/∂V is unit · ∂L/∂W, and a step of V is one of W times the unit. What an optimizer makes of that is exactly
what it would have done with V, `eps` and L2 decay included.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from app.domain.front import is_scaled
from worker.engine.layout import Layout

if TYPE_CHECKING:
    from app.domain.spec import ParameterGroup, ResolvedSpec


@dataclass(frozen=True)
class Scales:
    """float64 [K, P] each; `parts` are the parts of the network, in which they hardly differ."""

    rate: Tensor
    decay: Tensor
    unit: Tensor
    parts: list[slice]

    def runs(self) -> list[tuple[slice, tuple[float, float, float]]]:
        """Parts in a row whose first parameters are alike, of the first member, and the rate, decay and unit of these."""
        found = []
        for factors, parts in groupby(self.parts, key=lambda part: self._of(part.start)):
            run = list(parts)
            found.append((slice(run[0].start, run[-1].stop), factors))
        return found

    def strays(self) -> Tensor:
        """The places [n] of the first member's parameters that are not like the first of their run."""
        factors, found = torch.stack((self.rate[0], self.decay[0], self.unit[0])), list[Tensor]()
        for run, _ in self.runs():
            differ = factors[:, run] != factors[:, run.start, None]
            found.append(run.start + differ.any(0).nonzero()[:, 0])
        return torch.cat(found)

    def _of(self, place: int) -> tuple[float, float, float]:
        rate, decay, unit = (float(factors[0, place]) for factors in (self.rate, self.decay, self.unit))
        return rate, decay, unit

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
    return Scales(rate, decay, unit, layout.parts())


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
