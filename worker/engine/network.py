"""A spec's network as torch's own modules, and its weights by the names of a state_dict."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from worker.engine.folding import factored, folded
from worker.engine.layout import Layout

if TYPE_CHECKING:
    from app.domain.spec import Embedding, ResolvedSpec

Weights = dict[str, NDArray[Any]]

_MODULES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}


def dropout_rates(spec: "ResolvedSpec") -> list[float]:
    """One rate for each hidden layer."""
    rate = spec.network.dropout
    return list(rate) if isinstance(rate, list) else [rate] * len(spec.network.hidden_layers)


class Embedded(nn.Sequential):
    """Plain modules behind an nn.Embedding for each of the last columns of x [n, C], which hold codes."""

    def __init__(self, embeddings: Sequence["Embedding"], modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(table.levels + 1, table.width, padding_idx=0) for table in embeddings)
        for index, module in enumerate(modules):
            self.add_module(str(index), module)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [n, O]."""
        numbers, codes = x[:, : -len(self.embeddings)], x[:, -len(self.embeddings) :].long()
        z = torch.cat([numbers, *(table(code) for table, code in zip(self.embeddings, codes.T, strict=True))], 1)
        for module in list(self)[1:]:
            z = module(z)
        return z


def sequential(spec: "ResolvedSpec") -> nn.Sequential:
    """The network as plain modules, with torch's own random weights: Linear, normalization, activation, Dropout a layer."""
    modules: list[nn.Module] = []
    for into, out, rate in zip(spec.layers, spec.layers[1:-1], dropout_rates(spec), strict=False):
        modules.append(nn.Linear(into, out))
        if spec.network.normalization != "none":
            modules.append(nn.BatchNorm1d(out) if spec.network.normalization == "batch" else nn.LayerNorm(out))
        modules.append(_MODULES[spec.network.activation]())
        if rate > 0:
            modules.append(nn.Dropout(rate))
    modules.append(nn.Linear(spec.layers[-2], spec.layers[-1]))
    return Embedded(spec.embeddings, modules) if spec.embeddings else nn.Sequential(*modules)


def named(spec: "ResolvedSpec", flat: NDArray[np.floating], *, steps: int) -> Weights:
    """A flat vector [total] as the state_dict of `sequential(spec)`; `steps` is what batch normalization has counted."""
    layout, weights = Layout(spec), Weights()
    for index, parts in _modules(spec, layout.plain, folded(layout, torch.from_numpy(flat))):
        weights |= {f"{index}.{name}": part.contiguous().numpy() for name, part in parts.items()}
        if "running_mean" in parts:
            weights[f"{index}.num_batches_tracked"] = np.asarray(steps)
    return weights


def vector_of(spec: "ResolvedSpec", weights: Weights) -> NDArray[np.float64]:
    """The way back, also from a network with other dropout, whose modules have other numbers: [total].

    A front begins as what multiplies to these weights. Raises ValueError: the shapes are not those of the spec's network.
    """
    layout = Layout(spec)
    flat = torch.zeros(layout.plain.total, dtype=torch.float64)
    ours = list(_modules(spec, layout.plain, flat))
    theirs = sorted({name.rpartition(".")[0] for name in weights}, key=_order)
    if len(ours) != len(theirs):
        raise ValueError(f"These are the weights of {len(theirs)} modules, and the network has {len(ours)}.")
    for (_, parts), prefix in zip(ours, theirs, strict=True):
        for name, part in parts.items():
            given = torch.from_numpy(np.array(weights[f"{prefix}.{name}"], dtype=np.float64))
            if given.shape != part.shape:
                raise ValueError(f"{prefix}.{name} is {list(given.shape)}, and the network has {list(part.shape)} there.")
            part.copy_(given)
    return factored(layout, flat).numpy()


def _order(prefix: str) -> tuple[bool, int]:
    """Tables of embeddings stand before the modules that are numbered."""
    kind, _, number = prefix.rpartition(".")
    return not kind, int(number)


def _modules(spec: "ResolvedSpec", layout: Layout, flat: Tensor) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Views of flat [total] by the names of `sequential(spec)`: of each module with parameters its number and its parts."""
    if layout.embeddings:
        yield from ((f"embeddings.{place}", {"weight": table}) for place, table in enumerate(layout.split(flat)))
    index = 0
    for views, rate in zip(layout.views(flat), [*dropout_rates(spec), 0.0], strict=True):
        yield str(index), {"weight": views.weight, "bias": views.bias.squeeze(-1)}
        parts = {"weight": views.scale, "bias": views.shift, "running_mean": views.mean, "running_var": views.variance}
        norm = {name: part.squeeze(-1) for name, part in parts.items() if part is not None}
        if norm:
            yield str(index + 1), norm
        index += 2 + bool(norm) + (rate > 0)
