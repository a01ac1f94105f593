"""What an evaluation measured, on the device, and how it comes to the host."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from worker.engine.data import Floats

Numbers = tuple[Floats, dict[str, Floats]]
"""Of one member: loss [C] in reported units, metrics name → [C]."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Of K members, on the device: losses [K, C]; of each group of them the metrics of all, name → [G, C]; float64.

    `names` are the metrics that each member was asked for.
    """

    losses: Tensor
    groups: list[tuple[Sequence[int], dict[str, Tensor]]]
    names: Sequence[Sequence[str]]

    def fetched(self) -> list[Numbers]:
        """What each member was asked for, on the host; read back at once."""
        measured = [column for _, columns in self.groups for column in columns.values()]
        rows = iter(torch.cat([self.losses, *measured]).cpu().numpy())
        losses = [next(rows) for _ in self.names]
        found: list[dict[str, Floats]] = [{} for _ in self.names]
        for positions, columns in self.groups:
            for name, position in product(columns, positions):
                found[position][name] = next(rows)
        return [(losses[i], {name: found[i][name] for name in names}) for i, names in enumerate(self.names)]
