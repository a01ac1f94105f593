"""Streaming: a job whose rows do not fit into memory reads them from disk; decided when it is created, and fixed then."""

from collections.abc import Mapping

from app.domain.admission import rooms_of
from app.domain.memory import columns_of, estimate, host_estimate
from app.domain.spec import ResolvedSpec, Window

# Cells of a window: enough for a shuffle, and read in a tenth of a second, so that no report is late.
_FEWEST, _MOST = 1 << 20, 1 << 24
# Places of the file that are mixed in a window. With 64 a file that is sorted by class trains unsteadily (docs/experiments.md).
_BLOCKS = 256


def settled(spec: ResolvedSpec, budgets: Mapping[str, int]) -> ResolvedSpec:
    """The spec as it is where the job fits into memory somewhere, or nowhere even without its rows; else streamed.

    An ensemble is never streamed.
    """
    rooms = rooms_of(spec, budgets)
    if spec.ensemble or any(room.enough for room in rooms):
        return spec
    fitting = [room for room in rooms if room.enough_without_rows]
    if not fitting:
        return spec
    room = max(fitting, key=lambda room: room.need.budget or 0)
    budget = (room.host and room.host.budget) or room.need.budget or 0
    return streamed(spec, budget, gpu=room.device == "cuda")


def streamed(spec: ResolvedSpec, budget: int, *, gpu: bool = False) -> ResolvedSpec:
    """The spec with a window for `budget` bytes: half of what is left beside all else that the job needs.

    With `gpu` these are the host's, for there the window is.
    """
    smallest = _with_window(spec, _FEWEST)
    left = budget - (host_estimate(smallest) if gpu else estimate(smallest)).total
    size = 8 if spec.precision == "fp64" else 4
    return _with_window(spec, min(_MOST, max(_FEWEST, left // 2 // size)))


def _with_window(spec: ResolvedSpec, cells: int) -> ResolvedSpec:
    block_rows = max(1, cells // _BLOCKS // (columns_of(spec) + 4))
    return spec.model_copy(update={"streaming": True, "window": Window(block_rows=block_rows, blocks=_BLOCKS)})
