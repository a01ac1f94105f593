"""Loss and metrics of one split for many versions of the parameters at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from app.domain.output import output_activation
from worker.engine import data, embeddings, forward, losses, metrics
from worker.engine.activations import ACTIVATIONS
from worker.engine.data import AnyPart, Member, Part
from worker.engine.layout import LayerViews, Layout
from worker.engine.sources import design, row_weights

# One slab of rows: cells of the widest layer, and multiplications, so that a report is never kept waiting.
_CELLS, _PRODUCTS = 1 << 21, 1 << 31
_GPU_CELLS, _GPU_PRODUCTS = 1 << 25, 1 << 38


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one member: loss [C] in reported units, metrics name → [C]; float64."""

    loss: Tensor
    metrics: dict[str, Tensor]


class Evaluation:
    """One split of K members with equally many rows n."""

    def __init__(self, members: Sequence[Member], parts: Sequence[AnyPart], layout: Layout, *, like: Tensor) -> None:
        self._members, self._parts, self._layout, self._like = members, parts, layout, like
        spec = members[0].spec
        self._loss = losses.of(members, dtype=like.dtype, device=like.device)
        self._embeddings = embeddings.of(layout, like)
        self._normalize = forward.evaluating(spec.network.normalization)
        self._activate = ACTIVATIONS[spec.network.activation].apply
        self._link = output_activation(spec)
        held = [part for part in parts if isinstance(part, Part)]
        self._rows, self._x = parts[0].rows, _inputs(held, like) if held else None
        weights = [row_weights(part) / part.weight for part in parts]
        tables = [self._loss.table(i, data.tensor(part.y), weights[i]) for i, part in enumerate(parts)]
        self._targets = self._loss.parts(torch.stack(tables).to(like))
        self._y = [data.tensor(part.y).to(like.device) for part in parts]
        self._w = [None if part.w is None else data.tensor(part.w).to(like.device) for part in parts]
        self._together = _together(members, parts, like.device)

    def run(self, flat: Tensor, names: Sequence[Sequence[str]]) -> Iterator[None]:
        """Evaluate parameters [K, C, total], asking each member for the metrics `names`; pauses after each slab of rows.

        Afterwards `scores` holds one Scores a member.
        """
        k, versions, _ = flat.shape
        layers = self._layout.views(flat.reshape(k * versions, -1))
        first = self._layout.views(flat)[0].augmented.flatten(1, 2)
        z = flat.new_empty(k * versions, self._layout.widths[-1], self._rows)
        for columns in self._slabs(k * versions):
            z[..., columns] = self._logits(self._first(first, layers[0], self._slab(columns)), layers)
            yield
        logits = z.view(k, versions, *z.shape[1:])
        rows = self._loss.reported(logits.transpose(0, 1), self._targets)
        sums = rows.sum(-1, dtype=torch.float64)
        outputs = self._outputs(logits).transpose(-1, -2).contiguous()  # the metrics' argmax is ten times slower without
        found = {position: scores for group in self._together for position, scores in self._measured(group, outputs, names)}
        self.scores = [Scores(sums[:, i] * self._loss.factors[i], found[i]) for i in range(k)]

    def _slabs(self, networks: int) -> Iterator[slice]:
        rows, widest = self._rows, max(self._layout.widths)
        cells, products = (_GPU_CELLS, _GPU_PRODUCTS) if self._like.is_cuda else (_CELLS, _PRODUCTS)
        step = max(1, min(cells // (networks * widest), products // (networks * (self._layout.total - self._layout.tables))))
        return (slice(start, min(start + step, rows)) for start in range(0, rows, step))

    def _slab(self, columns: slice) -> Tensor:
        """[K, F + 1, m]: inputs of some rows, from disk where they are stored there."""
        if self._x is not None:
            return self._x[..., columns]
        return _inputs([part.read([columns]) for part in self._parts if not isinstance(part, Part)], self._like)

    def _first(self, shared: Tensor, layer: LayerViews, x: Tensor) -> Tensor:
        """From `shared`, a member's first layers [K, C·out, F + 1]: [K, C·out, n]; where inputs are embedded [K·C, out, n]."""
        if self._embeddings is None or layer.tables is None:
            return torch.bmm(shared, x)
        return torch.bmm(layer.augmented, self._embeddings.inputs(layer.tables, x))

    def _logits(self, first: Tensor, layers: Sequence[LayerViews]) -> Tensor:
        """[K·C, O, n] from the product of all first layers."""
        z = first.view(len(layers[0].bias), self._layout.widths[1], -1)
        return forward.outputs(z, layers, normalize=self._normalize, activate=self._activate)

    def _outputs(self, logits: Tensor) -> Tensor:
        match self._link:
            case "softmax":
                return torch.softmax(logits, -2)
            case "sigmoid":
                return torch.sigmoid(logits)
            case "exp":
                return torch.exp(logits)
        return logits

    def _measured(
        self, group: Sequence[int], outputs: Tensor, names: Sequence[Sequence[str]]
    ) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """The metrics of members that share their targets, from outputs [K, C, n, O]: as if one had all their versions."""
        arrays, task = self._members[group[0]].arrays, self._members[group[0]].spec.task
        center, scale = arrays.target_center, arrays.target_scale
        y, w, wanted = self._y[group[0]], self._w[group[0]], list(dict.fromkeys(chain(*(names[i] for i in group))))
        versions = outputs[group[0]] if len(group) == 1 else outputs[list(group)].flatten(0, 1)
        found = metrics.evaluate(task, versions, y, w, center=center, scale=scale, names=wanted) if wanted else {}
        each = {name: column.view(len(group), -1) for name, column in found.items()}
        for row, position in enumerate(group):
            yield position, {name: each[name][row] for name in names[position]}


def _together(members: Sequence[Member], parts: Sequence[AnyPart], device: torch.device) -> list[list[int]]:
    """Positions whose metrics are one: on a GPU, where launches are what metrics cost, those with the same targets."""
    return _alike(members, parts) if device.type == "cuda" else [[position] for position in range(len(members))]


def _alike(members: Sequence[Member], parts: Sequence[AnyPart]) -> list[list[int]]:
    groups: dict[object, list[int]] = {}
    for position, (member, part) in enumerate(zip(members, parts, strict=True)):
        units = [np.asarray(value).tobytes() for value in (member.arrays.target_center, member.arrays.target_scale)]
        key = (part.y.tobytes(), None if part.w is None else part.w.tobytes(), *units)
        groups.setdefault(key, []).append(position)
    return list(groups.values())


def _inputs(parts: Sequence[Part], like: Tensor) -> Tensor:
    """[K, F + 1, n]."""
    return torch.stack([design(part.x, like) for part in parts]).transpose(1, 2).contiguous()


def grouped(members: Sequence[Member], layout: Layout, *, like: Tensor) -> list[tuple[list[int], Evaluation]]:
    """The validation splits: together where all have equally many rows, else one by one; members without one are left out."""
    parts = [
        (position, part) for position, member in enumerate(members) if (part := data.validation(member.arrays)) is not None
    ]
    together = len({part.rows for _, part in parts}) == 1
    groups = [parts] if together else [[pair] for pair in parts]
    return [
        ([i for i, _ in group], Evaluation([members[i] for i, _ in group], [part for _, part in group], layout, like=like))
        for group in groups
    ]


def finished(work: Iterator[None]) -> None:
    """Run an evaluation through."""
    for _ in work:
        pass
