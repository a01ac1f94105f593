"""A batch's gradient: by hand for chains of linear layers, activations and dropout, by autograd for all else.

By hand a gradient is a list of prepared calls, each writing into a buffer that was allocated once: for a small network the cost
of calling torch, one to three microseconds an operation, is all there is. Forwards Z = W·A, A' = σ(Z) ⊙ mask; backwards
∂W = G·Aᵀ, G' = (Wᵀ·G ⊙ mask) ⊙ σ'(Z), the bias within W.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from worker.engine import embeddings, forward, mixing, precision
from worker.engine.activations import ACTIVATIONS, Call
from worker.engine.batches import Batch
from worker.engine.dropout import Masks
from worker.engine.embeddings import Lookup
from worker.engine.layout import LayerViews, Layout
from worker.engine.losses import Loss
from worker.engine.mixing import Mixing
from worker.engine.precision import Affine, Exact, Mixed, Product


@dataclass(frozen=True, slots=True)
class _Hidden:
    """Buffers of one hidden layer for batches of one size: a [K, w, b] is all but the last row of source [K, w + 1, b].

    With room for more columns than a batch has rows, the last ones are zeros in the inputs and in every g, so they add nothing.
    """

    z: Tensor
    a: Tensor
    source: Tensor
    source_t: Tensor
    g: Tensor


@dataclass(frozen=True, slots=True)
class _Workspace:
    """All buffers for batches of one size; of `wide`, ∂L/∂logits with all columns, g is what the loss writes."""

    hidden: list[_Hidden]
    logits: Tensor
    g: Tensor
    wide: Tensor
    lookup: Lookup | Mixing | None


class ByHand:
    """∂L/∂parameters of a batch into `flat` [K, P] (K = 1: [P])."""

    def __init__(
        self, layout: Layout, loss: Loss, *, activation: str, like: Tensor, dropping: Sequence[bool], mixed: bool = False
    ) -> None:
        self._layout, self._loss, self._like, self._dropping = layout, loss, like, dropping
        self._activation = ACTIVATIONS[activation]
        self._squeezed = like.dim() == 1
        # Mixed inputs can have columns of zeros; designs are as they were gathered.
        self._widens = mixing.cuts(layout)
        self._products = (Mixed if mixed else Exact)(squeezed=self._squeezed)
        self.flat = torch.zeros_like(like)
        self._parts = layout.gradients(self.flat)
        if not self._squeezed:
            # A batched product falls back to one call a member unless what it writes is contiguous.
            self._parts = [torch.zeros_like(part, memory_format=torch.contiguous_format) for part in self._parts]
        self._flat_parts = [part.flatten(-2) for part in self._parts]
        self._whole = torch.zeros_like(self._parts[0])
        self._embeddings, self._before = embeddings.of(layout, like), self.flat[..., : layout.head]
        if layout.head and not self._squeezed:
            self._before = torch.zeros_like(self._before, memory_format=torch.contiguous_format)
            self._flat_parts.insert(0, self._before)
        self._spaces: dict[tuple[int, int], _Workspace] = {}

    def columns(self, rows: int) -> int:
        """Those of the masks for a batch of so many rows."""
        return precision.aligned(rows) if self._widens else rows

    def prepare(self, layers: Sequence[LayerViews], batch: Batch, masks: Masks) -> list[Call]:
        """The calls that write the gradient at `layers` into `flat`, and the batch's logits where they belong."""
        space = self._spaces.get((batch.rows, batch.x.shape[-1])) or self._allocate(batch.rows, batch.x.shape[-1])
        self._products.begin()
        scale = [] if batch.factor is None else [partial(space.g.mul_, batch.factor)]
        widened = [] if space.wide is space.g else [partial(space.wide.narrow(-1, 0, batch.rows).copy_, space.g)]
        joined = [] if self._squeezed else [partial(torch.cat, self._flat_parts, 1, out=self.flat)]
        gradient = self._loss.gradient(batch.logits, batch.targets, space.g)
        forward, backward = self._forward(layers, batch, space, masks), self._backward(layers, batch, space, masks)
        return [*forward, *gradient, *scale, *widened, *backward, *joined]

    def _product(self, a: Tensor, b: Tensor, out: Tensor) -> list[Call]:
        """What writes a·b into out; of rows that members share as one product."""
        if self._squeezed or len(a) == 1 or len(b) > 1:
            return self._products.calls(a, b, out)
        whole = self._whole if not a.is_contiguous() else a
        copied = [] if whole is a else [partial(whole.copy_, a)]
        return [*copied, *self._products.calls(whole.flatten(0, 1)[None], b, out.flatten(0, 1)[None])]

    def _forward(self, layers: Sequence[LayerViews], batch: Batch, space: _Workspace, masks: Masks) -> list[Call]:
        lookup = space.lookup
        calls, source = (lookup.forward(layers[0], batch), lookup.inputs) if lookup else (list[Call](), batch.x)
        weights = [layer.augmented for layer in layers]
        if lookup:
            weights[0] = lookup.augmented(layers[0])
        for weight, hidden, mask in zip(weights, space.hidden, masks, strict=False):
            calls += self._product(weight, source, hidden.z)
            calls += self._activated(hidden, mask)
            source = hidden.source
        if space.wide is space.g and (self._squeezed or batch.logits.is_contiguous()):
            return [*calls, *self._product(weights[-1], source, batch.logits)]
        last = self._product(weights[-1], source, space.logits)
        return [*calls, *last, partial(batch.logits.copy_, space.logits.narrow(-1, 0, batch.rows))]

    def _activated(self, hidden: _Hidden, mask: Tensor | None) -> list[Call]:
        write = self._activation.write
        if mask is None:
            return [write(hidden.z, hidden.a)]
        if self._activation.needs_input:
            return [write(hidden.z, hidden.a), partial(hidden.a.mul_, mask)]
        return [write(hidden.z, hidden.z), partial(torch.mul, hidden.z, mask, out=hidden.a)]

    def _backward(self, layers: Sequence[LayerViews], batch: Batch, space: _Workspace, masks: Masks) -> list[Call]:
        calls: list[Call] = []
        g = space.wide
        for index in range(len(layers) - 1, 0, -1):
            hidden, mask = space.hidden[index - 1], masks[index - 1]
            calls += self._products.calls(g, hidden.source_t, self._parts[index])
            calls += self._products.calls(layers[index].weight_t, g, hidden.g)
            g = hidden.g
            if mask is not None:
                calls.append(partial(g.mul_, mask))
            dropped = mask is not None and not self._activation.needs_input
            calls.append(self._activation.backward(g, hidden.z, hidden.z if dropped else hidden.a))
        lookup = space.lookup
        calls += self._product(g, lookup.inputs_t if lookup else batch.x_t, self._parts[0])
        if lookup is None:
            return calls
        return [*calls, *lookup.backward(layers[0], batch, g, dense=self._parts[0], into=self._before)]

    def settled(self, layers: Sequence[LayerViews]) -> list[Call]:
        """Nothing but the gradient comes from a batch."""
        return []

    def _allocate(self, rows: int, whole: int) -> _Workspace:
        widths, lead, columns = self._layout.widths, self._like.shape[:-1], self.columns(rows)
        hidden = [self._hidden(width, rows, drops) for width, drops in zip(widths[1:-1], self._dropping, strict=True)]
        wide = self._like.new_zeros(*lead, widths[-1], columns)
        g = wide if columns == rows else self._like.new_zeros(*lead, widths[-1], rows)
        space = _Workspace(hidden, torch.zeros_like(wide), g, wide, self._inputs(rows, whole))
        self._spaces[rows, whole] = space
        return space

    def _inputs(self, rows: int, whole: int) -> Lookup | Mixing | None:
        """What makes the first layer's inputs of a design that is not they."""
        if self._layout.front:
            sizes = rows, self.columns(rows), whole
            return Mixing(self._layout, self._layout.front, self._embeddings, sizes, like=self._like)
        return Lookup(self._embeddings, rows, like=self._like) if self._embeddings else None

    def _hidden(self, width: int, rows: int, drops: bool) -> _Hidden:
        lead, columns = self._like.shape[:-1], self.columns(rows)
        source = self._like.new_zeros(*lead, width + 1, columns)
        source[..., -1, :rows] = 1
        a = source.narrow(-2, 0, width)
        shared = self._squeezed and not drops and not self._activation.needs_input
        z = a if shared else self._like.new_zeros(*lead, width, columns)
        return _Hidden(z, a, source, source.transpose(-1, -2), self._like.new_zeros(*lead, width, columns))


class ByAutograd:
    """The same through torch's autograd, for normalized networks and losses without a formula; never squeezed."""

    def __init__(
        self, layout: Layout, loss: Loss, *, activation: str, normalization: str, like: Tensor, mixed: bool = False
    ) -> None:
        self._loss = loss
        self._product: Product = precision.mixed if mixed else torch.bmm
        self._affine: Affine = precision.mixed_affine if mixed else torch.baddbmm
        self._activate = ACTIVATIONS[activation].apply
        self._batch_norm = forward.ByBatch()
        self._normalize = self._batch_norm if normalization == "batch" else forward.evaluating(normalization)
        self.flat = torch.zeros_like(like)
        padded = like.new_zeros(*like.shape[:-1], layout.total)
        self._into = [_trained(views) for views in layout.views(padded)]
        self._embeddings, self._tables = embeddings.of(layout, like), layout.embedded(padded)
        self.flat = padded[..., : layout.trained]

    def columns(self, rows: int) -> int:
        """Those of the masks for a batch of so many rows."""
        return rows

    def prepare(self, layers: Sequence[LayerViews], batch: Batch, masks: Masks) -> list[Call]:
        """The call that writes the gradient at `layers` into `flat`, and the batch's logits where they belong."""
        return [partial(self._run, layers, batch, masks)]

    def settled(self, layers: Sequence[LayerViews]) -> list[Call]:
        """The call that moves the running statistics of `layers` after a gradient."""
        return [partial(self._batch_norm.settle, layers)]

    def _run(self, layers: Sequence[LayerViews], batch: Batch, masks: Masks) -> None:
        self._batch_norm.forget()
        x = self._inputs(layers[0], batch)
        with torch.enable_grad():
            leaves = [[part.detach().requires_grad_() for part in _trained(layer)] for layer in layers]
            logits = self._outputs(layers, leaves, x, masks)
            rows = self._loss.rows(logits, batch.targets).sum(-1)
            if batch.factor is not None:
                rows = rows * batch.factor.flatten()
            wanted = [leaf for group in leaves for leaf in group] + [x] * x.requires_grad
            found = torch.autograd.grad(rows.sum(), wanted)
        batch.logits.copy_(logits.detach())
        for into, gradient in zip((part for group in self._into for part in group), found, strict=False):
            into.copy_(gradient)
        if self._embeddings:
            self._embeddings.scatter_inputs(batch.x, found[-1], self._tables)

    def _inputs(self, layer: LayerViews, batch: Batch) -> Tensor:
        """The first layer's inputs [K, in + 1, b]; a leaf of autograd where embeddings are among them."""
        if self._embeddings is None or layer.tables is None:
            return batch.x
        return self._embeddings.inputs(layer.tables, batch.x).requires_grad_()

    def _outputs(self, layers: Sequence[LayerViews], leaves: list[list[Tensor]], x: Tensor, masks: Masks) -> Tensor:
        tracked = [_tracked(layer, group) for layer, group in zip(layers, leaves, strict=True)]
        first, affine = self._first(tracked[0].augmented, x), self._affine
        return forward.outputs(first, tracked, normalize=self._normalize, activate=self._activate, masks=masks, affine=affine)

    def _first(self, augmented: Tensor, x: Tensor) -> Tensor:
        """The first layer's product [K, out, b]; of rows that members share as one."""
        if len(x) == len(augmented):
            return self._product(augmented, x)
        return self._product(augmented.flatten(0, 1)[None], x).view(*augmented.shape[:2], -1)


def _trained(layer: LayerViews) -> list[Tensor]:
    return [part for part in (layer.augmented, layer.scale, layer.shift) if part is not None]


def _tracked(layer: LayerViews, leaves: list[Tensor]) -> LayerViews:
    """The layer with its trained tensors replaced by autograd's leaves."""
    augmented, inputs = leaves[0], layer.weight.shape[-1]
    weight = augmented.narrow(-1, 0, inputs)
    scale, shift = leaves[1:] if len(leaves) > 1 else (None, None)
    bias = augmented.narrow(-1, inputs, 1)
    return LayerViews(augmented, weight, weight.transpose(-1, -2), bias, scale, shift, layer.mean, layer.variance)
