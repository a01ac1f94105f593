"""The parameters after each of the last C epochs, so that a small network's epochs are evaluated many at once.

Epoch e (from 1) reads slot (e - 1) mod C and writes the slot after it. C depends on shapes alone and slots on the epoch alone,
and what is evaluated is always the whole tape: so no number depends on when a report was due or a job was resumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from worker.engine.dropout import MASKS_OF_ONE_DRAW, block_of
from worker.engine.layout import LayerViews, Layout
from worker.engine.network import dropout_rates

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec

_LONGEST = 256
# Seconds of training that one tape may hold.
_SECONDS = 0.1
# Matrices of one batched product: a grid of CUDA has no more places in its last dimension.
_MATRICES = (1 << 16) - 1
# Cells of inputs, targets and logits that are gathered at once.
_WINDOW = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Cells of all buffers of a tape together; about the seconds of a step, and of one parameter and row; windows."""

    cells: int
    step: float
    product: float
    windows: int
    """How many times as many cells are gathered at once: a GPU's host waits for each window's losses."""


# On a CPU a tape is 16 MB in float32, about its cache; on a GPU 2 GB, so that hundreds of members are judged rarely.
ON_CPU, ON_GPU = Limits(1 << 22, 40e-6, 1.2e-9, 1), Limits(1 << 29, 60e-6, 3e-13, 16)


@dataclass(frozen=True, slots=True)
class Slot:
    """One epoch's parameters: as layers, and all trained ones [K, P]; `statistics` [K, S] of batch normalization."""

    layers: list[LayerViews]
    trained: Tensor
    statistics: Tensor | None


class Tape:
    """C + 1 slots of parameters [C + 1, K, total]; squeezed slots lack the K of 1."""

    def __init__(self, layout: Layout, *, epochs: int, members: int, squeezed: bool, like: Tensor) -> None:
        self.epochs = epochs
        self.flat = like.new_zeros(epochs + 1, members, layout.total)
        self.slots = [slot_of(layout, flat[0] if squeezed else flat) for flat in self.flat]

    def before(self, epoch: int) -> int:
        """The slot of the parameters that an epoch (from 1) starts with; those after it stand in the next slot."""
        return (epoch - 1) % self.epochs

    def turn(self) -> None:
        """The tape is full: the next epoch starts from slot 0."""
        self.flat[0].copy_(self.flat[-1])

    def versions(self) -> Tensor:
        """[K, C, total]: the parameters after each epoch."""
        return self.flat[1:].transpose(0, 1).contiguous()

    def sound(self) -> Tensor:
        """[C, K] float64: 0 where all parameters after the epoch are finite, else NaN."""
        return (self.flat[1:] * 0).sum(-1).double()


def capacity(
    spec: "ResolvedSpec", layout: Layout, *, members: int, rows: int, validation_rows: int, limits: Limits = ON_CPU
) -> int:
    """C: how many epochs a tape holds, a power of two; 1 where the next epoch waits for this one's losses."""
    if spec.lr_schedule.name == "plateau":
        return 1
    outputs, steps = spec.layers[-1], -(-rows // spec.batch_size)
    parameters = layout.total + (layout.plain.total if layout.front else 0)
    cells = parameters + rows * outputs * (1 if steps == 1 else 3) + validation_rows * (max(spec.layers[1:]) + outputs)
    seconds = steps * limits.step + members * layout.plain.total * rows * limits.product
    fitting = min(_LONGEST, limits.cells // (members * cells), int(_SECONDS / seconds), _MATRICES // members)
    return 1 << max(0, fitting.bit_length() - 1)


def window(
    specs: "Sequence[ResolvedSpec]", layout: Layout, *, epochs: int, rows: int, taken: int, limits: Limits = ON_CPU
) -> int:
    """Batches that are gathered at once: all of an epoch, unless a single epoch's are too many; then a power of two.

    `taken` are the rows of a batch that a member learns from. Where any member drops units it is a whole number of draws.
    """
    size = min(specs[0].batch_size, rows)
    steps, cells = -(-rows // size), len(specs) * size * (layout.widths[0] + 2 * layout.widths[-1])
    fitting = 1 << max(1, min(limits.windows * _WINDOW // cells, MASKS_OF_ONE_DRAW)).bit_length() - 1
    drops = any(rate for spec in specs for rate in dropout_rates(spec))
    whole = max([fitting, *(block_of(width, taken) for width in layout.widths[1:-1])]) if drops else fitting
    return steps if epochs > 1 else min(steps, whole)


def slot_of(layout: Layout, flat: Tensor) -> Slot:
    """Flat parameters [K, total] as a slot."""
    statistics = flat[..., layout.trained :] if layout.total > layout.trained else None
    return Slot(layout.views(flat), flat[..., : layout.trained], statistics)
