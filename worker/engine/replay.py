"""Lists of calls that are recorded and then replayed as one: on a GPU as a CUDA graph, launched as one at any length.

A recorded call is what it was on the tensors it was given: no decision of the host is in it, so whatever changes from step to
step (coefficients, rows, masks) is written into those tensors before.
"""

import gc
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch

from worker.engine.activations import Call
from worker.engine.data import Member

log = logging.getLogger(__name__)

# Graphs of one stack take some kilobytes a call on the device. Most stacks need one or two, of any length; with dropout there
# may be one for each batch, and those beyond the first are recorded as long as all together have no more calls than these.
_SURE_GRAPHS, _MOST_CALLS = 64, 1 << 13
# Pieces that a GPU may be behind its host: enough that it never waits, few enough that a report is not kept waiting.
_BEHIND = 4


class Recorder(Protocol):
    """Turns calls into one."""

    failed: bool
    """A recording was broken off, and what torch keeps for recordings may be left in disorder."""

    def record(self, calls: Sequence[Call]) -> Call | None:
        """What does all that the calls do; nothing is computed yet. None where that cannot be had."""

    def pace(self) -> None:
        """Wait until the device is not too far behind."""


class OneByOne:
    """Records nothing."""

    failed = False

    def record(self, calls: Sequence[Call]) -> Call | None:
        """None."""
        return None

    def pace(self) -> None:
        """See `CudaGraphs`."""


class CudaGraphs(OneByOne):
    """CUDA graphs that share one pool of memory: they run one after the other, and nothing in it outlives a replay.

    They are captured on a stream of their own: when a graph dies, torch takes cuBLAS's memory from all of its stream's graphs.

    `recorded` counts them.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._pool = torch.cuda.graph_pool_handle()
        self.recorded, self._calls, self.failed = 0, 0, False
        self._behind = deque[torch.cuda.Event]()

    def record(self, calls: Sequence[Call]) -> Call | None:
        """The graph's replay; after a first failure nothing more is tried, and the calls go on one by one."""
        if self.failed or (self.recorded >= _SURE_GRAPHS and self._calls + len(calls) > _MOST_CALLS):
            return None
        try:
            replayed = self._captured(calls)
        except RuntimeError as error:  # while capturing nothing is computed: no weight and no moment has changed
            self.failed = True
            log.warning("A step cannot be recorded as a CUDA graph and is launched call by call: %s", error)
            return None
        self.recorded, self._calls = self.recorded + 1, self._calls + len(calls)
        return replayed

    def pace(self) -> None:
        """Let the host be a few pieces ahead, no more."""
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]  # as above
        event.record()
        self._behind.append(event)
        if len(self._behind) > _BEHIND:
            self._behind.popleft().synchronize()

    def _captured(self, calls: Sequence[Call]) -> Call:
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream), _no_collection():
            # What torch keeps for all graphs of a process is made here, and other stacks use it without this one's mode.
            with torch.inference_mode(False):
                graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                for call in calls:
                    call()
            finally:
                graph.capture_end()
        current.wait_stream(self._stream)
        return graph.replay


class Piece:
    """Calls that run one by one the first time, which also warms up what they use, and are recorded when wanted again."""

    def __init__(self, calls: Sequence[Call], recorder: Recorder) -> None:
        self._calls, self._recorder = calls, recorder
        self._fresh = True
        self._replay: Call | None = None

    def __call__(self) -> None:
        """Do what the calls do."""
        if self._fresh:
            self._fresh = False
            self._one_by_one()
            return
        if self._replay is None:
            # Where there is no recording, recording nothing costs nothing.
            self._replay = self._recorder.record(self._calls) or self._one_by_one
        self._replay()

    def _one_by_one(self) -> None:
        for call in self._calls:
            call()


def of(members: Sequence[Member], device: torch.device) -> Recorder | None:
    """How steps are recorded: not at all on a CPU, where a call costs little, and not with an operator's own code in them."""
    if device.type != "cuda":
        return None
    if any(member.custom_loss is not None for member in members):
        log.info("Steps with a custom loss are launched call by call.")
        return OneByOne()
    return CudaGraphs(device)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Nothing that was left behind may be torn down on the device in the middle of a capture."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
