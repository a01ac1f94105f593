"""Logits of one split for many versions of the parameters at once."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from worker.engine import embeddings, forward
from worker.engine.activations import ACTIVATIONS
from worker.engine.data import AnyPart, Part
from worker.engine.folding import folded
from worker.engine.layout import LayerViews, Layout
from worker.engine.sources import design

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec

# One slab of rows: cells of the widest layer, and multiplications, so that a report is never kept waiting.
_CELLS, _PRODUCTS = 1 << 21, 1 << 31
_GPU_CELLS, _GPU_PRODUCTS = 1 << 25, 1 << 38


class Logits:
    """Of K networks like that of `spec`, each on its own rows, equally many n; or all on the rows of one part."""

    def __init__(self, spec: "ResolvedSpec", parts: Sequence[AnyPart], layout: Layout, *, like: Tensor) -> None:
        self._parts, self._trained, self._layout, self._like = parts, layout, layout.plain, like
        self._embeddings = embeddings.of(self._layout, like)
        self._normalize = forward.evaluating(spec.network.normalization)
        self._activate = ACTIVATIONS[spec.network.activation].apply
        held = [part for part in parts if isinstance(part, Part)]
        self._rows, self._x = parts[0].rows, _inputs(held, like) if held else None

    def run(self, flat: Tensor) -> Iterator[None]:
        """Of parameters [K, C, total]; pauses after each slab of rows. Afterwards `found` holds [K, C, O, n]."""
        k, versions, _ = flat.shape
        flat = folded(self._trained, flat)
        layers = self._layout.views(flat.reshape(k * versions, -1))
        first = self._layout.views(flat)[0].augmented.flatten(1, 2)
        z = flat.new_empty(k * versions, self._layout.widths[-1], self._rows)
        for columns in self._slabs(k * versions):
            z[..., columns] = self._logits(self._first(first, layers[0], self._slab(columns)), layers)
            yield
        self.found = z.view(k, versions, *z.shape[1:])

    def _slabs(self, networks: int) -> Iterator[slice]:
        rows, widest = self._rows, max(self._layout.widths)
        cells, products = (_GPU_CELLS, _GPU_PRODUCTS) if self._like.is_cuda else (_CELLS, _PRODUCTS)
        step = max(1, min(cells // (networks * widest), products // (networks * (self._layout.total - self._layout.tables))))
        return (slice(start, min(start + step, rows)) for start in range(0, rows, step))

    def _slab(self, columns: slice) -> Tensor:
        """[K, F + 1, m], or [1, F + 1, m]: inputs of some rows, from disk where they are stored there."""
        if self._x is not None:
            return self._x[..., columns]
        return _inputs([part.read([columns]) for part in self._parts if not isinstance(part, Part)], self._like)

    def _first(self, shared: Tensor, layer: LayerViews, x: Tensor) -> Tensor:
        """From `shared`, first layers [K, C·out, F + 1], their products; where inputs are embedded [K·C, out, n].

        Else [K, C·out, n], of rows that all have in common [1, K·C·out, n].
        """
        if self._embeddings is None or layer.tables is None:
            return torch.bmm(shared, x) if len(x) == len(shared) else torch.bmm(shared.flatten(0, 1)[None], x)
        return torch.bmm(layer.augmented, self._embeddings.inputs(layer.tables, x))

    def _logits(self, first: Tensor, layers: Sequence[LayerViews]) -> Tensor:
        """[K·C, O, n] from the product of all first layers."""
        z = first.view(len(layers[0].bias), self._layout.widths[1], -1)
        return forward.outputs(z, layers, normalize=self._normalize, activate=self._activate)


def _inputs(parts: Sequence[Part], like: Tensor) -> Tensor:
    """[K, F + 1, n]."""
    return torch.stack([design(part.x, like) for part in parts]).transpose(1, 2).contiguous()
