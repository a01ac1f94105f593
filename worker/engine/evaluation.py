"""Loss and metrics of one split for many versions of the parameters at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from worker.engine import data, embeddings, forward, losses, metrics
from worker.engine.activations import ACTIVATIONS
from worker.engine.data import AnyPart, Member, Part
from worker.engine.layout import LayerViews, Layout
from worker.engine.network import output_activation
from worker.engine.sources import design, row_weights

# One slab of rows: cells of the widest layer, and multiplications, so that a report is never kept waiting.
_CELLS, _PRODUCTS = 1 << 21, 1 << 31


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
        self.scores = [self._score(i, sums[:, i], outputs[i], names[i]) for i in range(k)]

    def _slabs(self, networks: int) -> Iterator[slice]:
        rows, widest = self._rows, max(self._layout.widths)
        step = max(1, min(_CELLS // (networks * widest), _PRODUCTS // (networks * (self._layout.total - self._layout.tables))))
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

    def _score(self, position: int, loss: Tensor, outputs: Tensor, names: Sequence[str]) -> Scores:
        arrays, task = self._members[position].arrays, self._members[position].spec.task
        center, scale = arrays.target_center, arrays.target_scale
        y, w = self._y[position], self._w[position]
        found = metrics.evaluate(task, outputs, y, w, center=center, scale=scale, names=names) if names else {}
        return Scores(loss * self._loss.factors[position], found)


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
