"""A member's recovery point as plain named arrays, and back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.engine.progress import Progress, Row
from worker.engine.reports import EpochLosses
from worker.engine.schedules import PlateauState, Rates

State = dict[str, NDArray[Any]]


def host_state(progress: Progress, rates: Rates) -> State:
    """What is decided on the host: latest and best epoch, stopper, schedule."""
    state: State = {
        "stopper": np.array(progress.stopper.numbers(), dtype=np.float64),
    }
    if len(progress.means.recent):
        state["recent"] = progress.means.recent
    if progress.latest:
        state["latest"] = np.array([*_numbers(progress.latest.losses), progress.latest.rate, progress.latest.seconds])
    if progress.best:
        state["best.losses"] = np.array([*_numbers(progress.best), progress.best_value])
    if rates.plateau:
        state["plateau"] = np.array([rates.plateau.rate, rates.plateau.best, rates.plateau.bad], dtype=np.float64)
    return state


def restore_host(state: State, progress: Progress, rates: Sequence[Rates]) -> None:
    """Put back what `host_state` took."""
    progress.stopper.restore(_floats(state["stopper"]))
    if "recent" in state:
        progress.means.recent = np.array(_floats(state["recent"]))
    if "latest" in state:
        *numbers, rate, seconds = _floats(state["latest"])
        progress.latest = Row(_losses(numbers, progress), rate, seconds)
        progress.last = progress.latest.losses
    if "best.losses" in state:
        *numbers, progress.best_value = _floats(state["best.losses"])
        progress.best = _losses(numbers, progress)
    for each in rates if "plateau" in state else ():
        rate, lowest, bad = _floats(state["plateau"])
        each.plateau = PlateauState(rate, lowest, int(bad)) if each.plateau else None


def first_state(vector: NDArray[Any]) -> State:
    """The state before the first epoch that begins with the parameters `vector` [total], of an ensemble [networks, total]."""
    return {
        "position": np.zeros(2, dtype=np.int64),
        "stopper": np.array([np.inf, 0.0]),
        "partial": np.zeros(1 if vector.ndim == 1 else len(vector)),
        "seconds": np.zeros(1),
        "parameters": vector,
    }


def is_state(arrays: State) -> bool:
    """False for what are weights alone."""
    return "position" in arrays


def position_of(state: State) -> tuple[int, int]:
    """The finished epochs, and the batches done of the one after."""
    epoch, batch = state["position"].tolist()
    return epoch, batch


def _numbers(losses: EpochLosses) -> list[float]:
    val = np.nan if losses.val_loss is None else losses.val_loss
    return [losses.epoch, losses.train_loss, val, *losses.metrics.values()]


def _losses(numbers: list[float], progress: Progress) -> EpochLosses:
    epoch, train, val, *scores = numbers
    names = [f"val_{name}" for name in progress.names]
    return EpochLosses(int(epoch), train, val if progress.validated else None, dict(zip(names, scores, strict=True)))


def _floats(array: NDArray[Any]) -> list[float]:
    return [float(value) for value in array.tolist()]
