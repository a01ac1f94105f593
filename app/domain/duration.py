"""What a job takes of time on a CPU: an estimate before it runs, from the shapes of its resolved spec alone.

The rates are those of one thread of an ordinary processor, fitted to measured epochs of 28 shapes (docs/experiments.md); how
much slower a machine is, its earlier jobs tell. Early stopping cannot be foreseen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from app.domain.front import front_of_spec, is_in_one_pass
from app.domain.memory import columns_of, is_by_hand
from app.domain.planning import steps_per_epoch
from app.domain.spec import ResolvedSpec

# Seconds of an epoch that is shuffled, of a step, with mixtures or scales before the first layer, and of each layer that
# autograd differentiates.
_SHUFFLED, _STEP, _FRONT, _BY_AUTOGRAD = 2.5e-4, 2.6e-5, 1.9e-4, 1.1e-4
# Of an epoch that is judged by itself, since the next one's rate depends on it.
_JUDGED_ALONE = 1.2e-3
# Of a row: of each parameter in training and in validation, of each hidden unit, normalized, dropped, and with mish, of an
# output's score.
_TRAINED, _JUDGED, _UNIT, _NORMALIZED, _DROPPED, _MISH, _SCORED = 3.2e-11, 6.7e-11, 1.8e-9, 1.07e-8, 2.2e-9, 1e-8, 5.4e-8
# Of a parameter in a step: the optimizer's update, and as one pass over all.
_UPDATED, _PASSED_OVER = 3.5e-9, 1.5e-9
# How often best and last are measured and stored while a job trains (the default of TRAINYARD_CHECKPOINT_SECONDS).
_SAVED_EVERY = 30.0
# Of a job, of a cell of the dataset, of the network's inputs and of those that are numeric features, and of a parameter.
_JOB, _READ, _PREPARED, _FEATURE, _STORED = 0.15, 4e-8, 1.3e-8, 6e-8, 1e-7
# What a machine that nothing is known of takes of these rates, in the middle of 0.8 and 1.8 on two kinds of processors.
_UNKNOWN = 1.2


@dataclass(frozen=True, kw_only=True)
class Duration:
    """Seconds: of an epoch with its share of the checkpoints, of all before and after the epochs, and of the whole job."""

    overhead: float
    epoch: float
    total: float


def duration(spec: ResolvedSpec, *, slowness: float = 1.0) -> Duration:
    """Of a job alone in its stack, on a machine that takes `slowness` times as long as the one that was measured.

    It trains all its epochs, or as long as it may, by the clock that stands still while checkpoints are stored.
    """
    saving, epoch = slowness * _saving(spec), slowness * _epoch(spec)
    overhead, shared = slowness * _preparation(spec) + saving, 1 + saving / _SAVED_EVERY
    training = spec.epochs * epoch
    if spec.max_seconds is not None:
        training = min(training, max(epoch, spec.max_seconds))
    return Duration(overhead=overhead, epoch=shared * epoch, total=overhead + shared * training)


def slowness_of(measured: Sequence[tuple[ResolvedSpec, float]]) -> float:
    """How much longer jobs took than is estimated, from their seconds an epoch; a usual one where there is none."""
    return median(seconds / _epoch(spec) for spec, seconds in measured) if measured else _UNKNOWN


def _epoch(spec: ResolvedSpec) -> float:
    width = 2 if spec.precision == "fp64" else 1
    steps = steps_per_epoch(spec)
    shuffled = _SHUFFLED if steps > 1 else 0.0
    alone = _JUDGED_ALONE if spec.lr_schedule.name == "plateau" else 0.0
    kept = _saving(spec) / spec.checkpoints.every if spec.checkpoints.every else 0.0
    rows = width * (_trained_rows(spec) + _judged_rows(spec)) + _scored(spec)
    return shuffled + alone + steps * _step(spec, width) + rows + kept


def _step(spec: ResolvedSpec, width: int) -> float:
    """What does not depend on the rows of a batch."""
    layers = 0 if is_by_hand(spec) else len(spec.layers) - 1
    fronted, updated = front_of_spec(spec) is not None, _PASSED_OVER if is_in_one_pass(spec) else _UPDATED
    return _STEP + _FRONT * fronted + _BY_AUTOGRAD * layers + updated * width * spec.parameters


def _trained_rows(spec: ResolvedSpec) -> float:
    """Forth and back through all networks, of folds through all but one; an embedding is looked up, not multiplied."""
    multiplied = spec.parameters - spec.networks * sum(table.size for table in spec.embeddings)
    unit = (
        _UNIT
        + (_MISH if spec.network.activation == "mish" else 0)
        + _NORMALIZED * (spec.network.normalization != "none")
        + _DROPPED * (_drops(spec))
    )
    passes_over = spec.has_folds and steps_per_epoch(spec) > 1
    through = (spec.networks - 1) / spec.networks if passes_over else 1.0
    return through * spec.train_rows * (_TRAINED * multiplied + unit * spec.networks * sum(spec.layers[1:-1]))


def _judged_rows(spec: ResolvedSpec) -> float:
    """Forth: with folds each row through the network that has not seen it, else through all; by plain first layers."""
    plain = sum((inputs + 1) * outputs for inputs, outputs in pairwise(spec.layers))
    return _JUDGED * spec.judged_rows * plain * (1 if spec.has_folds else spec.networks)


def _drops(spec: ResolvedSpec) -> bool:
    rates = spec.network.dropout
    return any(rates) if isinstance(rates, list) else rates > 0


def _scored(spec: ResolvedSpec) -> float:
    return _SCORED * spec.judged_rows * max(2, spec.layers[-1])


def _preparation(spec: ResolvedSpec) -> float:
    """Reading the rows, fitting and scaling them."""
    rows, front = spec.train_rows + spec.validation_rows + spec.test_rows, front_of_spec(spec)
    features = front.columns * front.features if front else 0
    cells = _READ * (len(spec.features) + 1) + _PREPARED * (columns_of(spec) + spec.layers[-1]) + _FEATURE * features
    return _JOB + rows * cells


def _saving(spec: ResolvedSpec) -> float:
    """All metrics of best and last, and their files; a temperature is fitted to the same predictions once more."""
    measured = 3.5 if spec.calibration == "temperature" else 2
    return measured * (_judged_rows(spec) + _scored(spec)) + _STORED * spec.parameters
