"""The activations of hidden layers: as a function, as a prepared write into a buffer, and the way back by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Call = Callable[[], object]

_SELU = (1.6732632423543772, 1.0507009873554805)
# Operations of torch that its Python surface leaves out, or offers without `out=`.
_nn: Any = torch._C._nn
_aten: Any = torch.ops.aten


@dataclass(frozen=True)
class Activation:
    """a = σ(z); `write(z, a)` may be given one tensor twice; `backward(g, z, a)` turns ∂L/∂a into ∂L/∂z, in g."""

    apply: Callable[[Tensor], Tensor]
    write: Callable[[Tensor, Tensor], Call]
    backward: Callable[[Tensor, Tensor, Tensor], Call]
    needs_input: bool = False
    """True where `backward` reads z; else it reads a alone, and z may be overwritten."""


def _relu(z: Tensor, a: Tensor) -> Call:
    return partial(torch.relu_, a) if z is a else partial(torch.clamp_min, z, 0, out=a)


def _unchanged(z: Tensor, a: Tensor) -> Call:
    return partial(a.copy_, z)


def _back(operation: Any, *arguments: Any) -> Call:
    """The operation with its result written over its first argument; `_op` spares 0.3 µs of Python a call."""
    return partial(getattr(operation, "_op", operation), *arguments, grad_input=arguments[0])


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(torch.relu, _relu, lambda g, z, a: _back(_aten.threshold_backward.grad_input, g, a, 0)),
    "leaky_relu": Activation(
        functional.leaky_relu,
        lambda z, a: partial(_nn.leaky_relu, z, 0.01, out=a),
        lambda g, z, a: _back(_aten.leaky_relu_backward.grad_input, g, a, 0.01, True),
    ),
    "elu": Activation(
        functional.elu,
        lambda z, a: partial(_nn.elu, z, 1.0, out=a),
        lambda g, z, a: _back(_aten.elu_backward.grad_input, g, 1.0, 1.0, 1.0, True, a),
    ),
    "selu": Activation(
        functional.selu,
        lambda z, a: partial(_nn.elu, z, *_SELU, out=a),
        lambda g, z, a: _back(_aten.elu_backward.grad_input, g, *_SELU, 1.0, True, a),
    ),
    "gelu": Activation(
        functional.gelu,
        lambda z, a: partial(_nn.gelu, z, out=a),
        lambda g, z, a: _back(_aten.gelu_backward.grad_input, g, z),
        needs_input=True,
    ),
    "silu": Activation(
        functional.silu,
        lambda z, a: partial(_nn.silu, z, out=a),
        lambda g, z, a: _back(_aten.silu_backward.grad_input, g, z),
        needs_input=True,
    ),
    "mish": Activation(
        functional.mish,
        lambda z, a: partial(_nn.mish, z, out=a),
        lambda g, z, a: lambda: g.copy_(_aten.mish_backward(g, z)),
        needs_input=True,
    ),
    "tanh": Activation(
        torch.tanh,
        lambda z, a: partial(torch.tanh, z, out=a),
        lambda g, z, a: _back(_aten.tanh_backward.grad_input, g, a),
    ),
    "sigmoid": Activation(
        torch.sigmoid,
        lambda z, a: partial(torch.sigmoid, z, out=a),
        lambda g, z, a: _back(_aten.sigmoid_backward.grad_input, g, a),
    ),
    "identity": Activation(lambda z: z, _unchanged, lambda g, z, a: partial(int)),
}
