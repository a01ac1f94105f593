"""What a job takes of memory: an estimate before anything is allocated, from the shapes of its resolved spec alone.

The factors count the copies that exist at once at the worst moment, as loading, the engine and the checkpoints make them; they
were fitted to measured peaks (benchmarks/memory.py, docs/experiments.md). What a training process takes without any job is
not in it.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace

from app.domain.custom import is_custom
from app.domain.front import front_of_spec, is_scaled
from app.domain.spec import ResolvedSpec

# Bytes of a cell and of a row while a dataset is read, and of a row's output while metrics are computed (float64, sorted).
_READ_CELL, _READ_ROW, _SCORED_CELL, _EPOCH_CELL = 21, 128, 150, 80
# Bytes of a row while a dataset is split and fitted column by column; of a cell of a row group on its way, and its most cells.
_FITTED_ROW, _GROUP_CELL, _GROUP_CELLS = 48, 56, 1 << 20
# Cells that the engine keeps of several epochs together, and the most of them (worker/engine/tape.py); on a GPU more cells, but
# no more steps than these.
_TAPE_CELLS, _TAPE_EPOCHS = 1 << 22, 256
_GPU_TAPE_CELLS, _GPU_TAPE_STEPS = 1 << 29, 1700
# Of weights, and of each moment: in a checkpoint's files while they are written; in the recovery point that a member goes on
# from or has ended with (worker/engine/keeping.py).
_WRITTEN, _WRITTEN_MOMENT = 11, 1.5
_POINT, _POINT_MOMENT = 3, 1
# Of bf16, in float32's bytes: a step's rounded weights, twice, and its rounded activations.
_ROUNDED_WEIGHTS, _ROUNDED = 1, 1.5
# Vectors as long as the parameters, where these are trained by groups: of rates, decays and units.
_SCALES = 3
# Cells that are gathered for the steps to come (worker/engine/tape.py), and units' masks that dropout draws at once.
_WINDOW_CELLS, _GPU_WINDOW_CELLS, _DRAWN_MASKS = 1 << 20, 1 << 24, 1 << 16
# Copies of a batch's hidden layers: written by hand, with dropout's masks, and as autograd keeps them; of embedded inputs.
_BY_HAND, _MASKS, _BY_AUTOGRAD, _EMBEDDED = 3, 2, 12, 7


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Bytes at the peak: of the rows, of weights and their checkpoints, of gradients and moments, of a batch on its way."""

    data: int
    parameters: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All parts."""
        return self.data + self.resident

    @property
    def resident(self) -> int:
        """What is needed however the rows come."""
        return self.parameters + self.optimizer + self.activations

    def __str__(self) -> str:
        """As people read it."""
        parts = {"data": self.data, "parameters": self.parameters, "optimizer": self.optimizer, "activations": self.activations}
        return f"{readable(self.total)} ({', '.join(f'{name} {readable(part)}' for name, part in parts.items())})"

    @property
    def without_data(self) -> "Estimate":
        """The same with no rows in memory."""
        return replace(self, data=0)

    @property
    def cure(self) -> str:
        """What to change, by the part that takes most."""
        if self.data > self.resident:
            return "use fewer rows or columns"
        if self.activations > self.parameters + self.optimizer:
            return "use a smaller batch_size or narrower hidden_layers"
        return "use narrower or fewer hidden_layers, fewer features, or an optimizer with fewer moments"


def readable(size: int) -> str:
    """Bytes in MB, or in GB from a thousand of them."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def estimate(spec: ResolvedSpec, *, members: int = 1, gpu: bool = False) -> Estimate:
    """Of `members` jobs of this shape in one stack: in a training process's memory, or with `gpu` in the device's."""
    size = 8 if spec.precision == "fp64" else 4
    moments, weights = _moments(spec), size * _weights(spec)
    scales = _SCALES * is_scaled(spec)
    # On a GPU the copies of a checkpoint are made in the host's memory.
    written = (0, 0.0) if gpu else (_WRITTEN, _WRITTEN_MOMENT * moments)
    return Estimate(
        data=_streamed(spec, size, gpu=gpu) if spec.streaming else _held(spec, size, members=members, gpu=gpu),
        parameters=weights * ((8 + _ROUNDED_WEIGHTS * (spec.precision == "bf16")) * members + written[0]),
        optimizer=int(weights * (members * (2.5 + 2.5 * moments + scales) + written[1])),
        activations=_activations(spec, size, members, gpu=gpu),
    )


def host_estimate(spec: ResolvedSpec, *, members: int = 1) -> Estimate:
    """Of `members` jobs of this shape in one stack on a GPU: in the memory of its host, beside what the device's holds."""
    size = 8 if spec.precision == "fp64" else 4
    moments, weights = _moments(spec), size * _weights(spec)
    return Estimate(
        data=_streamed(spec, size, gpu=False) if spec.streaming else _loaded(spec, members),
        parameters=weights * (_POINT * members + _WRITTEN),
        optimizer=int(weights * moments * (_POINT_MOMENT * members + _WRITTEN_MOMENT)),
        activations=0,
    )


def most_fitting(spec: ResolvedSpec, budget: int | None, *, most: int, gpu: bool, host: int | None = None) -> int:
    """How many members of this shape fit together, at most `most`; 0 where not even one does.

    With `gpu` into `budget` bytes of the device's memory and `host` bytes of the host's; None where nobody has said.
    """
    fitting = _most(lambda members: estimate(spec, members=members, gpu=gpu), budget, most)
    return _most(lambda members: host_estimate(spec, members=members), host, fitting) if gpu else fitting


def _most(estimated: Callable[[int], Estimate], budget: int | None, most: int) -> int:
    return most if budget is None else bisect_right(range(1, most + 1), budget, key=lambda members: estimated(members).total)


def _held(spec: ResolvedSpec, size: int, *, members: int, gpu: bool) -> int:
    """All rows, as the engine has them and on their way there."""
    engine = members * (_tensors(spec, size) + _gathered(spec, size, gpu=gpu)) + _scores(spec)
    return engine if gpu else engine + _loaded(spec, members)


def _loaded(spec: ResolvedSpec, members: int) -> int:
    """All rows on their way to the engine: read one member after the other, and kept as each has split them."""
    return members * _arrays(spec) + _reading(spec)


def _weights(spec: ResolvedSpec) -> int:
    """Parameters, and the first layer's weight as it is used beside what it is trained as."""
    return spec.parameters + (spec.networks * (spec.layers[0] + 1) * spec.layers[1] if front_of_spec(spec) else 0)


def _judged(spec: ResolvedSpec) -> int:
    """Parameters that are copied of an epoch to be judged: all of them, what a front is folded into, and the first layer.

    The copy that tells whether all are finite is gone by then (worker/engine/ledger.py).
    """
    if front_of_spec(spec):
        return 2 * _weights(spec)
    return spec.parameters + spec.networks * (spec.layers[0] + 1) * spec.layers[1]


def _rows(spec: ResolvedSpec) -> int:
    return spec.train_rows + spec.validation_rows + spec.test_rows


def _targets(spec: ResolvedSpec) -> int:
    return 1 if isinstance(spec.target, str) else len(spec.target)


def columns_of(spec: ResolvedSpec) -> int:
    """Of a design matrix: an embedded category is one code."""
    return spec.layers[0] - sum(embedding.width - 1 for embedding in spec.embeddings)


def _reading(spec: ResolvedSpec) -> int:
    """The raw columns and their parts."""
    return _READ_CELL * _cells(spec) + _READ_ROW * _rows(spec)


def _cells(spec: ResolvedSpec) -> int:
    """Of the raw columns; text takes two, and what became a code or more than one input was text."""
    features, front = len(spec.features), front_of_spec(spec)
    inputs = spec.layers[0] - (front.columns * front.features if front else 0)
    return _rows(spec) * (features + min(features, max(0, inputs - features)) + _targets(spec) + 1)


def _arrays(spec: ResolvedSpec) -> int:
    """Inputs and targets in float64, and the targets' tables before they are cast."""
    folded = spec.judged_rows - spec.validation_rows
    weights = 8 * spec.networks * folded
    return (
        weights
        + 8 * (_rows(spec) + folded) * (columns_of(spec) + _targets(spec) + 1)
        + 24 * spec.train_rows * (spec.layers[-1] + 1)
    )


def _tensors(spec: ResolvedSpec, size: int) -> int:
    """Design matrices with their column of ones, twice while they are stacked or in another order, and the targets' tables.

    The networks of an ensemble share the former and have tables of their own.
    """
    inputs = 2 * spec.train_rows + 2 * spec.judged_rows + spec.test_rows
    return size * (inputs * (columns_of(spec) + 1) + 2 * spec.networks * spec.train_rows * (spec.layers[-1] + 1))


def _gathered(spec: ResolvedSpec, size: int, *, gpu: bool) -> int:
    """The rows of the next batches, of each network its own: where folds are left out, and no front reads the same for all."""
    front = front_of_spec(spec)
    if not spec.has_folds or (front and not front.embedded and is_by_hand(spec)):
        return 0
    columns = columns_of(spec) + 1
    most = _GPU_WINDOW_CELLS if gpu else _WINDOW_CELLS
    rows = max(most // (spec.networks * (columns + 2 * spec.layers[-1])), spec.batch_size)
    if spec.network.dropout:
        rows = max(rows, _DRAWN_MASKS // min(spec.layers[1:-1], default=1))
    return size * spec.networks * min(rows, spec.train_rows) * columns


def _validated_at_once(spec: ResolvedSpec) -> int:
    """Rows on which a network is validated: of folds its own."""
    return spec.validation_rows or -(-spec.judged_rows // spec.networks)


def _streamed(spec: ResolvedSpec, size: int, *, gpu: bool) -> int:
    """At first a column after the other; then a window of training rows, and what is one number a row of those held out."""
    window = min(spec.train_rows, spec.window.block_rows * spec.window.blocks) if spec.window else 0
    targets = 8 * (_targets(spec) + 1)
    held_out = max(spec.validation_rows, spec.test_rows) * (targets + size * (spec.layers[-1] + 1)) + _scores(spec)
    if gpu:
        return held_out
    fitting = _rows(spec) * (_FITTED_ROW + 8 * (_targets(spec) - 1)) + _GROUP_CELL * min(_GROUP_CELLS, _cells(spec))
    return max(fitting, _rows(spec) + window * (size * columns_of(spec) + targets) + held_out)


def _scores(spec: ResolvedSpec) -> int:
    """All metrics of the larger held-out part."""
    return _SCORED_CELL * max(spec.judged_rows, spec.test_rows) * max(2, spec.layers[-1])


def is_by_hand(spec: ResolvedSpec) -> bool:
    """Whether the engine differentiates by itself, and not by autograd."""
    return spec.network.normalization == "none" and spec.loss.name != "focal" and not is_custom(spec.loss.name)


def _activations(spec: ResolvedSpec, size: int, members: int, *, gpu: bool) -> int:
    """Of a batch, and what is kept of several epochs of a small network."""
    hidden, outputs = spec.layers[1:-1], spec.layers[-1]
    copies = (_BY_HAND if is_by_hand(spec) else _BY_AUTOGRAD) + (_MASKS if spec.network.dropout else 0)
    embedded = sum(embedding.width for embedding in spec.embeddings)
    rows = members * spec.networks * min(spec.batch_size, spec.train_rows)
    batch = rows * (copies * sum(hidden) + _EMBEDDED * embedded + 4 * outputs)
    if spec.streaming:  # batches are gathered from the window, on a GPU many at once
        row = columns_of(spec) + outputs + 2
        many = min(_GPU_WINDOW_CELLS // row, spec.train_rows) if gpu else 0
        batch += max(2 * min(spec.batch_size, spec.train_rows), many) * row
    held_out = _validated_at_once(spec) * (max(spec.layers[1:]) + outputs)
    # In mini-batches the engine keeps of a training row the targets too; on a CPU those are within what was measured.
    trained = spec.train_rows * outputs * (3 if gpu and _steps(spec) > 1 else 1)
    cells = _weights(spec) + spec.networks * (trained + held_out)
    most = _GPU_TAPE_CELLS if gpu else _TAPE_CELLS
    kept = min(most, _epochs_kept(spec, cells, gpu=gpu) * members * cells)
    # Of each member's first epoch they are among its parameters; on a CPU, whose tape is small, of all.
    judged = max(0, kept // cells - members) * _judged(spec) if gpu else 0
    scored = _EPOCH_CELL * kept * spec.judged_rows * max(2, outputs) // cells
    rounded = _ROUNDED if spec.precision == "bf16" else 1
    return int(size * (batch * rounded + kept + judged)) + scored


def _epochs_kept(spec: ResolvedSpec, cells: int, *, gpu: bool) -> int:
    """Of a job alone, with so many cells each; of a pack's jobs no more. On a GPU a power of two, as it is in the engine."""
    if not gpu:
        return _TAPE_EPOCHS
    fitting = min(_TAPE_EPOCHS, _GPU_TAPE_STEPS // _steps(spec), _GPU_TAPE_CELLS // cells)
    return 1 << max(0, fitting.bit_length() - 1)


def _steps(spec: ResolvedSpec) -> int:
    return -(-spec.train_rows // spec.batch_size)


def _moments(spec: ResolvedSpec) -> int:
    """Numbers that the optimizer keeps of each parameter."""
    optimizer = spec.optimizer
    match optimizer.name:
        case "sgd":
            return int(optimizer.momentum > 0)
        case "rmsprop":
            return 1 + int(optimizer.momentum > 0) + int(optimizer.centered)
        case "adagrad":
            return 1
    return 2
