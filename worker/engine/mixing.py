"""The inputs of a first layer that has a front, for batches of one size, and the way back, without folding anything.

A product with few mixtures is smaller than one with all features, and where the batch is the same for all members (or there is
one member) all their mixtures of a column are one product. Of a batch with a cut they are computed for all rows, and each
member has the inputs of those that it takes. Buffers were allocated once.
"""

from functools import partial

import torch
from torch import Tensor

from app.domain.front import Front
from worker.engine.activations import Call
from worker.engine.batches import Batch
from worker.engine.dealing import Cut
from worker.engine.embeddings import Embeddings
from worker.engine.layout import LayerViews, Layout


class Mixing:
    """See above; `sizes` are the rows that a member takes of a batch, the columns of `inputs`, and all of the batch.

    More columns than rows are zeros. Squeezed tensors lack the K of 1.
    """

    def __init__(
        self, layout: Layout, front: Front, embeddings: Embeddings | None, sizes: tuple[int, int, int], *, like: Tensor
    ) -> None:
        lead, members, (rows, columns, whole) = like.shape[:-1], like[..., 0].numel(), sizes
        self._layout, self._front, self._embeddings, self._k, self._rows = layout, front, embeddings, members, rows
        self.inputs = like.new_zeros(*lead, front.inputs + 1, columns)
        self.inputs_t = self.inputs.transpose(-1, -2)
        own = self.inputs.view(members, front.inputs + 1, columns).narrow(-1, 0, rows)
        own[:, -1] = 1
        mixed = front.columns * front.width
        self._raw, self._vectors = own.narrow(1, 0, front.raw), own.narrow(1, front.raw + mixed, front.embedded)
        self._mixed = own.narrow(1, front.raw, mixed).view(members, front.columns, front.width, rows)
        self._weight = like.new_zeros(*lead, layout.widths[1], front.inputs + 1)
        self._g = like.new_zeros(*lead, mixed + front.embedded, columns)
        self._by_column = like.new_zeros(front.columns, members * front.width, whole)
        self._p = like.new_zeros(front.columns, members, front.width, front.features + 1)
        self._d = like.new_zeros(front.columns, members * front.width, front.features)
        self._places = torch.zeros(members, front.embedded * rows, dtype=torch.int64, device=like.device)

    def augmented(self, first: LayerViews) -> Tensor:
        """[..., out, in + 1]: the layer's weight and bias for these inputs, as `forward` leaves them."""
        return first.augmented if first.factors is None else self._weight

    def forward(self, first: LayerViews, batch: Batch) -> list[Call]:
        """Fill `inputs` from the design x [1, C + 1, b] (squeezed: [C + 1, b])."""
        design, cut = _design(batch), batch.cut
        calls = _take(design.narrow(1, 0, self._front.raw), self._raw, cut)
        if first.mixtures is not None:
            mix = partial(self._mix, first.mixtures, self._features(design))
            calls += [mix, *_take(self._as_mixed(), self._mixed, cut)]
        if first.tables is not None and self._embeddings:
            calls.append(partial(self._look_up, self._embeddings, first.tables, design))
        if first.factors is not None:
            calls += [
                partial(torch.mul, first.weight, first.factors, out=self._weight[..., :-1]),
                partial(self._weight[..., -1:].copy_, first.bias),
            ]
        return calls

    def backward(self, first: LayerViews, batch: Batch, g: Tensor, *, dense: Tensor, into: Tensor) -> list[Call]:
        """∂L/∂(tables, mixtures and factors) into [..., head], from ∂L/∂z g [..., out, b]; `dense` is ∂L/∂`augmented`."""
        calls: list[Call] = []
        mixtures, factors = self._layout.fronted(into)
        if self._g.shape[-2]:
            weight = self.augmented(first).narrow(-1, self._front.raw, self._g.shape[-2])
            calls.append(partial(torch.matmul, weight.transpose(-1, -2), g, out=self._g))
        if mixtures is not None:
            calls += _put(self._g_mixed(), self._as_mixed(), batch.cut)
            calls.append(partial(self._unmix, self._features(_design(batch)), mixtures))
        if first.tables is not None and self._embeddings:
            vectors = self._g.view(self._k, -1, g.shape[-1])[:, -self._front.embedded :]
            calls.append(partial(self._scatter, self._embeddings, vectors, self._layout.embedded(into)))
        if factors is not None and first.factors is not None:
            calls.append(partial(_unscale, first.weight, first.factors, dense[..., :-1], factors))
        return calls

    def _features(self, design: Tensor) -> Tensor:
        """[columns, features, b]."""
        front = self._front
        part = design[0].narrow(0, front.raw, front.columns * front.features)
        return part.unfold(0, front.features, front.features).transpose(1, 2) if front.columns else part

    def _mix(self, mixtures: Tensor, features: Tensor) -> None:
        self._p.copy_(mixtures.view(self._k, *mixtures.shape[-3:]).transpose(0, 1))
        p = self._p.flatten(1, 2)
        torch.baddbmm(p[..., -1:], p[..., :-1], features, out=self._by_column)

    def _as_mixed(self) -> Tensor:
        """[K, columns, width, b] of what stands by column."""
        return self._by_column.view(self._front.columns, self._k, self._front.width, -1).transpose(0, 1)

    def _g_mixed(self) -> Tensor:
        """[K, columns, width, b]: ∂L/∂mixtures of the rows that each member takes."""
        front = self._front
        g = self._g.view(self._k, -1, self._g.shape[-1])[:, : front.columns * front.width, : self._rows]
        return g.view(self._k, front.columns, front.width, -1)

    def _unmix(self, features: Tensor, into: Tensor) -> None:
        front = self._front
        torch.bmm(self._by_column, features.transpose(1, 2), out=self._d)
        found = into.view(self._k, *into.shape[-3:])
        found[..., :-1] = self._d.view(front.columns, self._k, front.width, -1).transpose(0, 1)
        found[..., -1] = self._as_mixed().sum(-1)

    def _look_up(self, embeddings: Embeddings, tables: Tensor, design: Tensor) -> None:
        self._places.copy_(embeddings.places(design))
        self._vectors.copy_(tables.view(self._k, -1).gather(1, self._places).view_as(self._vectors))

    def _scatter(self, embeddings: Embeddings, vectors: Tensor, into: Tensor) -> None:
        embeddings.scatter(self._places, vectors.flatten(1), into.view(self._k, -1))


def cuts(layout: Layout) -> bool:
    """True where the inputs of batches with a cut can be made."""
    return layout.front is not None and not layout.front.embedded


def _design(batch: Batch) -> Tensor:
    """[1, C + 1, b]."""
    return batch.x if batch.x.dim() > 2 else batch.x[None]


def _take(whole: Tensor, into: Tensor, cut: Cut | None) -> list[Call]:
    """From [K, …, b], or [1, …, b] for all, the rows that each member takes [K, …, m]."""
    if cut is None:
        return [partial(into.copy_, whole)]
    each = whole.expand(len(into), *whole.shape[1:])
    pieces = [(i, *piece) for i in range(len(into)) for piece in cut.pieces(i)]
    return [partial(into[i, ..., own].copy_, each[i, ..., place]) for i, place, own in pieces]


def _put(taken: Tensor, into: Tensor, cut: Cut | None) -> list[Call]:
    """The way back: what a member does not take is 0."""
    if cut is None:
        return [partial(into.copy_, taken)]
    pieces = [(i, *piece) for i in range(len(into)) for piece in cut.pieces(i)]
    gaps = [partial(into[i, ..., cut.gap(i)].zero_) for i in range(len(into)) if cut.count]
    return [*gaps, *(partial(into[i, ..., place].copy_, taken[i, ..., own]) for i, place, own in pieces)]


def _unscale(weight: Tensor, factors: Tensor, dense: Tensor, into: Tensor) -> None:
    """∂L/∂factors from ∂L/∂(weight · factors) `dense`, which becomes ∂L/∂weight."""
    into.copy_((dense * weight).sum(-2, keepdim=True))
    dense.mul_(factors)
