"""Predictions with a checkpoint: from the body of a request, in whichever format, to the answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

import structlog
from anyio import CapacityLimiter, to_thread

from app.domain.errors import Conflict, Invalid, NotFound, TooLarge, Unavailable
from app.services.deadline import Deadline
from app.services.ports import CheckpointFiles
from app.serving.features import Features
from app.serving.findings import Findings
from app.serving.predict import Inputs, Outputs
from app.serving.sent import PREDICTIONS, Asked, Wanted
from app.serving.sessions import Ready, Sessions, Unreadable
from app.serving.told import Told

log = structlog.get_logger()

T = TypeVar("T")

# More would take the interpreter from each other, at every step of numpy again.
THREADS = 2
# Multiplications of a run that is not worth a thread: about a millisecond.
ON_THE_LOOP = 20_000_000


class Source(Protocol):
    """The body of a request in one format."""

    @property
    def is_small(self) -> bool:
        """Whether reading it is not worth a thread."""

    def read(self, features: Features) -> Asked:
        """What is asked of such a model; raises Unparsable, Invalid, InvalidData or TooLarge."""


class Served(NamedTuple):
    """What is served: a checkpoint, and the model and version where it was asked for by them."""

    checkpoint_id: str
    model: str | None = None
    version: int | None = None


@dataclass(frozen=True, kw_only=True)
class PredictionLimits:
    """Of one call."""

    rows: int = 10_000
    seconds: float = 60.0


class _Question(NamedTuple):
    inputs: Inputs
    wanted: Wanted
    findings: Findings


class Predictions:
    """Predicts with any checkpoint whose files can be read; `predicted` is told how many rows were."""

    def __init__(
        self,
        files: CheckpointFiles,
        sessions: Sessions,
        *,
        limits: PredictionLimits | None = None,
        predicted: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self._files = files
        self.sessions = sessions
        self._limits = limits or PredictionLimits()
        self._predicted = predicted
        self._turns = CapacityLimiter(THREADS)

    def predict(self, source: Source, write: Callable[[Told], T], served: Served, *, deadline: Deadline | None = None) -> T:
        """The answer as `write` writes it; loads the checkpoint where it is not in memory.

        Raises:
            Invalid: the rows do not fit the model; every fault has its row and column.
            TooLarge: more rows than a call may have, or than can be predicted in its time.
            Unavailable: the time passed before anything was done.

        """
        deadline = deadline or Deadline(self._limits.seconds)
        return self._predict(source, self.ready(served.checkpoint_id), write, served=served, deadline=deadline)

    async def predict_soon(self, source: Source, write: Callable[[Told], T], served: Served) -> T:
        """As `predict`, for an event loop: little work is done at once, all else in a thread; a load has threads of its own."""
        deadline = Deadline(self._limits.seconds)
        ready = self.sessions.peek(served.checkpoint_id)
        if ready is None:
            ready = await self.ready_soon(served.checkpoint_id)
            _refuse_late(deadline)
        if not source.is_small:
            return await self._in_thread(partial(self._predict, source, ready, write, served=served, deadline=deadline))
        question = self._read(source, ready)
        answer = partial(self._answer, question, ready, write, served=served, deadline=deadline)
        return answer() if _is_quick(question, ready) else await self._in_thread(answer)

    def predict_at_once(self, source: Source, write: Callable[[Told], T], served: Served) -> T | None:
        """As `predict_soon`, without any waiting; None where there would be some, and nothing was done then."""
        ready = self.sessions.peek(served.checkpoint_id)
        if ready is None or not source.is_small:
            return None
        question = self._read(source, ready)
        if not _is_quick(question, ready):
            return None
        return self._answer(question, ready, write, served=served, deadline=Deadline(self._limits.seconds))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await to_thread.run_sync(work, limiter=self._turns)

    def load(self, checkpoint_id: str) -> None:
        """Have the checkpoint in memory; Damaged, or Conflict where its files are gone or of no use."""
        try:
            self.ready(checkpoint_id)
        except NotFound:
            raise Conflict(f"Checkpoint {checkpoint_id} cannot be loaded: its files are gone.") from None
        except Unreadable as error:
            log.error("checkpoint.unreadable", checkpoint=checkpoint_id, error=str(error))
            raise Conflict(f"Checkpoint {checkpoint_id} cannot be loaded by this version of the service.") from None

    def ready(self, checkpoint_id: str) -> Ready:
        """The checkpoint in memory, loaded if need be."""
        return self.sessions.get(checkpoint_id, partial(self._files.read, checkpoint_id))

    async def ready_soon(self, checkpoint_id: str) -> Ready:
        """As `ready`, for an event loop: who waits for a load holds no thread."""
        loading = self.sessions.ask(checkpoint_id, partial(self._files.read, checkpoint_id))
        return await asyncio.shield(asyncio.wrap_future(loading))

    def _predict(self, source: Source, ready: Ready, write: Callable[[Told], T], *, served: Served, deadline: Deadline) -> T:
        _refuse_late(deadline)
        return self._answer(self._read(source, ready), ready, write, served=served, deadline=deadline)

    def _read(self, source: Source, ready: Ready) -> _Question:
        asked, findings = source.read(ready.features), Findings()
        if PREDICTIONS not in asked.wanted and not ready.features.has_probabilities:
            raise Invalid.at(asked.place, "A regression has no probabilities.", code="not_allowed")
        inputs = ready.reader.read(asked.sent, max_rows=self._limits.rows, findings=findings)
        return _Question(inputs, asked.wanted, findings)

    def _answer(
        self, question: _Question, ready: Ready, write: Callable[[Told], T], *, served: Served, deadline: Deadline
    ) -> T:
        go_on = partial(self._go_on, deadline)
        outputs = ready.predictor.predict(question.inputs, question.wanted, go_on=go_on)
        told = _told(outputs, ready, question.findings, served)
        written = write(told)
        self._predicted(question.inputs.rows)
        return written

    def _go_on(self, deadline: Deadline) -> None:
        if not deadline.left:
            raise TooLarge(f"Predicting takes more than {self._limits.seconds:g} seconds: send fewer rows in a call.")


def _is_quick(question: _Question, ready: Ready) -> bool:
    return question.inputs.rows * ready.predictor.multiplications <= ON_THE_LOOP


def _refuse_late(deadline: Deadline) -> None:
    if not deadline.left:
        raise Unavailable("The service is too busy to predict now.")


def _told(outputs: Outputs, ready: Ready, findings: Findings, served: Served) -> Told:
    target = ready.manifest.target
    return Told(
        checkpoint=served.checkpoint_id,
        outputs=outputs,
        target=target.names,
        classes=target.classes,
        warnings=findings.warnings(),
        model=served.model,
        version=served.version,
    )
