"""Embedded columns: of each row's code in the design matrix, the vector of that number in the column's table.

All tables of a network are one flat vector [T], one after the other, each [levels + 1, width]. The embedded inputs are D, all
widths together; input u, number i of its column's vector, is for code c the element start + c · width + i of the flat vector.
So the way forward is one gather and the way back one scattered sum, whatever the number of columns and members; one-hot rows,
whose product with the tables this is, are never built. Code 0 is what nothing is known of: its vector is zeros and gets no
gradient, like the `padding_idx` of torch's nn.Embedding.
"""

from functools import partial
from itertools import accumulate

import torch
from torch import Tensor

from worker.engine.activations import Call
from worker.engine.batches import Batch
from worker.engine.layout import LayerViews, Layout


class Embeddings:
    """The tables of a layout, and where in them an input finds its number."""

    def __init__(self, layout: Layout, like: Tensor) -> None:
        tables = layout.embeddings
        if max(table.levels for table in tables) >= 2 / torch.finfo(like.dtype).eps:
            raise ValueError(f"{like.dtype} cannot hold every code of a column.")
        widths = [table.width for table in tables]
        starts = accumulate((table.size for table in tables[:-1]), initial=0)
        self.width, self.beside, self.count = sum(widths), layout.widths[0] - sum(widths), len(tables)
        self._starts = torch.tensor(list(starts), device=like.device)[:, None]
        self._widths = torch.tensor(widths, device=like.device)[:, None]
        self._columns = torch.arange(self.count, device=like.device).repeat_interleave(self._widths[:, 0])
        self._units = torch.cat([torch.arange(width, device=like.device) for width in widths])[:, None]
        self._unknown = (self._starts[self._columns] + self._units).flatten()

    def places(self, x: Tensor) -> Tensor:
        """Where in the flat tables the embedded inputs of designs x [..., C + 1, n] stand: int64 [..., D · n]."""
        codes = x.narrow(-2, self.beside, self.count).long()
        rows = torch.addcmul(self._starts, codes, self._widths)
        return rows.index_select(-2, self._columns).add_(self._units).flatten(-2)

    def inputs(self, tables: Tensor, x: Tensor) -> Tensor:
        """The first layer's inputs [N, in + 1, n] by tables [N, T]; x is [M, C + 1, n], each for N / M tables in a row."""
        members, rows = x.shape[0], x.shape[-1]
        found = x.new_ones(members, len(tables) // members, self.beside + self.width + 1, rows)
        found[:, :, : self.beside] = x[:, None, : self.beside]
        places = self.places(x)[:, None].expand(-1, found.shape[1], -1)
        chosen = tables.view(*found.shape[:2], -1).gather(-1, places)
        found[:, :, self.beside : -1] = chosen.view(*found.shape[:2], self.width, rows)
        return found.flatten(0, 1)

    def scatter_inputs(self, x: Tensor, g: Tensor, into: Tensor) -> None:
        """The same from ∂L/∂inputs g [N, in + 1, n] of designs x [N, C + 1, n], or of one x for all."""
        self.scatter(self.places(x).expand(len(g), -1), g.narrow(-2, self.beside, self.width).flatten(-2), into)

    def scatter(self, places: Tensor, g: Tensor, into: Tensor) -> None:
        """∂L/∂tables [..., T], from ∂L/∂embedded inputs g [..., D · n] and their places."""
        into.zero_()
        if into.is_cuda:  # where scatter_add_ sums in any order; here it is slower
            lead = [torch.arange(len(into), device=into.device)[:, None]] if into.dim() > 1 else []
            into.index_put_((*lead, places), g, accumulate=True)
        else:
            into.scatter_add_(-1, places, g)
        into.index_fill_(-1, self._unknown, 0)


class Lookup:
    """The embedded inputs of batches of one size, and the way back, by prepared calls on buffers that were allocated once."""

    def __init__(self, embeddings: Embeddings, rows: int, *, like: Tensor) -> None:
        self._embeddings = embeddings
        beside, width, lead = embeddings.beside, embeddings.width, like.shape[:-1]
        self.inputs = like.new_ones(*lead, beside + width + 1, rows)
        self.inputs_t = self.inputs.transpose(-1, -2)
        self._beside = self.inputs.narrow(-2, 0, beside)
        self._vectors = self.inputs.narrow(-2, beside, width).view(*lead, width * rows)
        self._g = like.new_zeros(*lead, width, rows)
        self._places = torch.zeros_like(self._vectors, dtype=torch.int64, memory_format=torch.contiguous_format)

    def forward(self, layer: LayerViews, batch: Batch) -> list[Call]:
        """Fill `inputs` [..., in + 1, b] from the batch's design x [..., C + 1, b]."""
        assert layer.tables is not None
        x = batch.x
        return [
            partial(self._beside.copy_, x.narrow(-2, 0, self._embeddings.beside)),
            lambda: self._places.copy_(self._embeddings.places(x)),
            partial(torch.gather, layer.tables, -1, self._places, out=self._vectors),
        ]

    def augmented(self, layer: LayerViews) -> Tensor:
        """[..., out, in + 1] for these inputs."""
        return layer.augmented

    def backward(self, layer: LayerViews, batch: Batch, g: Tensor, *, dense: Tensor, into: Tensor) -> list[Call]:
        """Turn ∂L/∂z of the first layer, g [..., out, b], into ∂L/∂tables; neither the design nor ∂L/∂weight is needed."""
        weight_t = layer.weight_t.narrow(-2, self._embeddings.beside, self._embeddings.width)
        return [
            partial(torch.matmul, weight_t, g, out=self._g),
            partial(self._embeddings.scatter, self._places, self._g.flatten(-2), into),
        ]


def of(layout: Layout, like: Tensor) -> Embeddings | None:
    """None where nothing is embedded."""
    return Embeddings(layout, like) if layout.embeddings else None
