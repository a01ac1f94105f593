"""The matrix products of a step: as they are, or with their factors rounded to bfloat16.

With bfloat16 parameters, moments, activations and losses stay float32; only what goes into a product, and what comes out of it,
is rounded, as torch's autocast does it.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from worker.engine.activations import Call

HALF = torch.bfloat16
Product = Callable[[Tensor, Tensor], Tensor]
Affine = Callable[[Tensor, Tensor, Tensor], Tensor]
# Rows of rounded matrices start at multiples of 16 bytes, without which a GPU's tensor cores are slow or idle.
_ALIGNED = 8
# Fewer columns are as they are: so many more would cost more than they save.
_FEW_COLUMNS = 16


def aligned(columns: int) -> int:
    """As many, or some more with which products are quicker: on a CPU those of 29 columns take half as long again as of 32."""
    return columns if columns < _FEW_COLUMNS else _rounded_up(columns)


def _rounded_up(columns: int) -> int:
    return -(-columns // _ALIGNED) * _ALIGNED


class Exact:
    """Products of matrices [..., n, k] and [..., k, m]; squeezed they have no leading K."""

    def __init__(self, *, squeezed: bool) -> None:
        self._multiply = torch.mm if squeezed else torch.bmm

    def begin(self) -> None:
        """Another step is prepared."""

    def calls(self, a: Tensor, b: Tensor, out: Tensor) -> list[Call]:
        """What writes a·b into out."""
        return [partial(self._multiply, a, b, out=out)]


class Mixed(Exact):
    """Products of rounded factors; a factor that stands in two products of a step is rounded once.

    No step changes a factor between two products that use it.
    """

    def __init__(self, *, squeezed: bool) -> None:
        super().__init__(squeezed=squeezed)
        self._rounded: dict[tuple[object, ...], Tensor] = {}
        self._buffers: dict[tuple[object, ...], Tensor] = {}

    def begin(self) -> None:
        """Nothing that was rounded before holds any more; the buffers serve every step of the same shapes."""
        self._rounded.clear()
        self._taken = 0

    def calls(self, a: Tensor, b: Tensor, out: Tensor) -> list[Call]:
        """What writes a·b into out."""
        calls: list[Call] = []
        left, right, product = self._half(a, calls), self._half(b, calls), self._buffer(out)
        return [*calls, partial(self._multiply, left, right, out=product), partial(out.copy_, product)]

    def _half(self, factor: Tensor, calls: list[Call]) -> Tensor:
        """The rounded factor, and the call that rounds it where no other has."""
        if factor.stride(-1) != 1 and factor.stride(-2) == 1:
            return self._half(factor.transpose(-1, -2), calls).transpose(-1, -2)
        key = (factor.data_ptr(), factor.shape, factor.stride())
        if key not in self._rounded:
            self._rounded[key] = self._buffer(factor)
            calls.append(partial(self._rounded[key].copy_, factor))
        return self._rounded[key]

    def _buffer(self, like: Tensor) -> Tensor:
        """As large as `like`; the same for the same place in a step of the same shapes."""
        key, self._taken = (self._taken, like.shape), self._taken + 1
        if key not in self._buffers:
            *lead, columns = like.shape
            whole = like.new_zeros(*lead, _rounded_up(columns), dtype=HALF)
            self._buffers[key] = whole.narrow(-1, 0, columns)
        return self._buffers[key]


def mixed(a: Tensor, b: Tensor) -> Tensor:
    """A·b of rounded factors, for autograd."""
    return torch.bmm(a.to(HALF), b.to(HALF)).to(a.dtype)


def mixed_affine(bias: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Bias + a·b of rounded factors, for autograd."""
    return bias + mixed(a, b)


def use_whole_float32() -> None:
    """No float32 product of this process is rounded behind one's back: no TF32, and bfloat16 is summed up in float32."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
