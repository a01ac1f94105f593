"""What stands before the first layer, and the NTK parametrization, as modules of torch whose parameters are what is trained."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from app.domain.front import front_of_spec, is_scaled
from app.domain.spec import ResolvedSpec
from worker.engine.initial import initial_vector
from worker.engine.layout import Layout
from worker.engine.network import sequential


def is_explicit(spec: ResolvedSpec) -> bool:
    """True where the plain modules are not what is trained, or not all alike."""
    return front_of_spec(spec) is not None or is_scaled(spec) or spec.network.initialization == "data_driven"


class Before(nn.Module):
    """Raw inputs, mixtures of each column's features, and embedded vectors, each times a factor."""

    def __init__(self, spec: ResolvedSpec) -> None:
        super().__init__()
        kind, self.columns = spec.network.numeric_features, len(spec.numeric_feature_columns)
        self.features = kind.count if kind else 0
        self.mixtures = nn.ModuleList(nn.Linear(self.features, kind.width if kind else 0) for _ in range(self.columns))
        self.embeddings = nn.ModuleList(nn.Embedding(t.levels + 1, t.width, padding_idx=0) for t in spec.embeddings)
        self.raw = spec.layers[0] - self.columns * self.features - sum(t.width for t in spec.embeddings)
        width = self.raw + sum(t.width for t in spec.embeddings) + self.columns * (kind.width if kind else 0)
        self.width, self.factors = width, nn.Parameter(torch.ones(width)) if spec.network.input_scaling else None

    def forward(self, x: Tensor) -> Tensor:
        """[n, width]."""
        mixed = [
            mixture(x[:, self.raw + i * self.features : self.raw + (i + 1) * self.features])
            for i, mixture in enumerate(self.mixtures)
        ]
        codes = x[:, x.shape[1] - len(self.embeddings) :].long().T
        h = torch.cat([x[:, : self.raw], *mixed, *(table(code) for table, code in zip(self.embeddings, codes, strict=True))], 1)
        return h if self.factors is None else h * self.factors


class Ntk(nn.Linear):
    """z = Wh / √d + b."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight / self.in_features**0.5, self.bias)


def explicit(spec: ResolvedSpec, x: Any) -> nn.Sequential:
    """The network as it is trained, float64, with the engine's first parameters."""
    before = Before(spec)
    linear: type[nn.Linear] = Ntk if spec.network.parametrization == "ntk" else nn.Linear
    widths = iter([before.width, *spec.layers[1:]])
    plain = [module for module in sequential(spec) if not isinstance(module, nn.ModuleList)]
    modules = [linear(next(widths), m.out_features) if isinstance(m, nn.Linear) else m for m in plain]
    net = nn.Sequential(before, *modules).double()
    with torch.no_grad():
        _begin(spec, net, torch.from_numpy(initial_vector(spec, x)))
    return net


def _begin(spec: ResolvedSpec, net: nn.Sequential, vector: Tensor) -> None:
    layout, before = Layout(spec), net[0]
    assert isinstance(before, Before)
    layers = layout.views(vector)
    for table, vectors in zip(before.embeddings.parameters(), layout.split(vector), strict=True):
        table.copy_(vectors)
    for index, mixture in enumerate(before.mixtures):
        values = layers[0].mixtures[index]  # type: ignore[index]  # there are some
        for parameter, first in zip(mixture.parameters(), (values[:, :-1], values[:, -1]), strict=True):
            parameter.copy_(first)
    remaining = iter(layers)
    for module in list(net)[1:]:
        if isinstance(module, nn.Linear):
            layer = next(remaining)
            unit = module.in_features**0.5 if isinstance(module, Ntk) else 1
            module.weight.copy_(layer.weight * unit)
            module.bias.copy_(layer.bias[:, 0])


def groups_of(spec: ResolvedSpec, net: nn.Module) -> list[dict[str, Any]]:
    """torch's parameter groups, each with its factor of the learning rate; the first has the factor 1."""
    named: dict[str, list[nn.Parameter]] = {"": [], "bias": [], "input_scaling": [], "numeric_features": []}
    for name, module in net.named_modules():
        for kind, parameter in module.named_parameters(recurse=False):
            named[_group(name, module, kind)].append(parameter)
    found: list[dict[str, Any]] = []
    for name, parameters in named.items():
        group = getattr(spec.parameter_groups, name, None)
        factors = (group.learning_rate_factor, group.weight_decay_factor) if group else (1.0, 1.0)
        if parameters:
            decay = vars(spec.optimizer)["weight_decay"] * factors[1]
            found.append({"params": parameters, "weight_decay": decay, "factor": factors[0]})
    return found


def _group(name: str, module: nn.Module, kind: str) -> str:
    if ".mixtures." in f".{name}":
        return "numeric_features"
    if kind == "factors":
        return "input_scaling"
    return "bias" if kind == "bias" and isinstance(module, nn.Linear) else ""


def as_used(spec: ResolvedSpec, net: nn.Sequential) -> dict[str, np.ndarray[Any, Any]]:
    """The first layer's weight and bias as the plain network has them, by asking the modules for their answers."""
    before, first = net[0], net[1]
    assert isinstance(before, Before)
    width = spec.layers[0] - sum(table.width for table in spec.embeddings)
    with torch.no_grad():
        nothing = torch.zeros(1, width + len(before.embeddings), dtype=torch.float64)
        one = torch.eye(width, nothing.shape[1], dtype=torch.float64)
        bias = first(before(nothing))
        return {"0.weight": (first(before(one)) - bias).T.numpy(), "0.bias": bias[0].numpy()}
