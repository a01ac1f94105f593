"""The jobs of one run, each with an end of its own: what goes wrong with one is that one's, and the others go on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import SQLAlchemyError
from structlog.contextvars import bound_contextvars

from app.domain.job import StopReason
from app.domain.spec import ResolvedSpec
from app.persistence.leases import Ending, LeaseLost
from app.persistence.rows import JobRow
from worker.attempt import Attempt
from worker.engine.stack import Stack
from worker.failures import DeviceLost, failure_of, is_device_lost, is_out_of_memory
from worker.held import Held
from worker.insisting import AWAY

log = structlog.get_logger()


class Stopped(Exception):
    """Raised where the worker stops while a job is still being prepared."""


class Pack:
    """Attempts at jobs, by their positions in a stack; who ended, was given back or taken away is no longer among them."""

    def __init__(self, attempts: Sequence[Attempt], *, device: str) -> None:
        self._first, self._device = attempts[0].job, device
        self._attempts = {_seat(attempt.job): attempt for attempt in attempts}
        self.held = Held({attempt.fence: attempt.job.id for attempt in attempts})
        """The leases of those that are there."""
        self.size = self._first.stack_size or 1
        """Of the whole stack, with the places of those that have left it."""
        self.spoiled = False
        """An error may have left this process unfit for another job."""
        self._stack: Stack | None = None

    def train_in(self, stack: Stack) -> None:
        """From now on who goes leaves the stack."""
        self._stack = stack

    def __bool__(self) -> bool:
        return bool(self._attempts)

    def __contains__(self, position: object) -> bool:
        return position in self._attempts

    def __getitem__(self, position: int) -> Attempt:
        return self._attempts[position]

    @property
    def positions(self) -> list[int]:
        """Of those that are there now."""
        return list(self._attempts)

    @property
    def ids(self) -> list[str]:
        """The jobs'."""
        return list(self.held.ids.values())

    @contextmanager
    def about(self, position: int) -> Iterator[Attempt]:
        """What goes wrong in here is this job's alone: it ends or is left to its new owner, the others go on."""
        attempt = self._attempts[position]
        with bound_contextvars(**attempt.job.words), self._alone(attempt, position):
            yield attempt

    @contextmanager
    def _alone(self, attempt: Attempt, position: int) -> Iterator[None]:
        try:
            yield
        except (*AWAY, Stopped):
            raise
        except Exception as error:
            self.check_device(error)
            if is_out_of_memory(error) and self.size > 1:
                raise  # the memory is the stack's: it is halved
            with self.leaving(position):
                self._end(attempt, error)
            if self._stack:
                self._stack.leave(position)

    @contextmanager
    def leaving(self, position: int) -> Iterator[None]:
        """Its end or its return is in this block: then it is no longer this run's."""
        with self.held.leaving(self._attempts[position].fence):
            yield
        del self._attempts[position]

    def give_back(self, wait_seconds: float) -> None:
        """Return all that are there."""
        self._stack = None
        for position in self.positions:
            with self.about(position) as attempt, self.leaving(position):
                attempt.give_back(wait_seconds=wait_seconds)

    def break_up(self, error: Exception) -> None:
        """The stack failed: a job that was alone in it fails, of several one may be to blame, so they go on apart."""
        self._stack, ending = None, self._failure(self._first, error)
        limit = self.size // 2 if ending.reason is StopReason.OUT_OF_MEMORY else 1
        try:
            for position in self.positions:
                self._break_off(position, ending, limit=limit)
        except SQLAlchemyError as failure:  # their leases run out, and that is counted as a crash
            log.exception("run.abandoned", jobs=self.ids, error=type(failure).__name__)

    def _break_off(self, position: int, ending: Ending, *, limit: int) -> None:
        with self.about(position) as attempt, self.leaving(position):
            if self.size == 1:
                attempt.fail(ending)
            else:
                attempt.unpack(limit=limit)

    def check_device(self, error: Exception) -> None:
        """A lost device is nobody's end: this process is, and its parent gives the jobs back as those of any that died."""
        if is_device_lost(error, gpu=self._device == "cuda"):
            log.error("device.lost", jobs=self.ids, error=str(error))
            raise DeviceLost from error

    def _end(self, attempt: Attempt, error: Exception) -> None:
        if isinstance(error, LeaseLost):
            attempt.note_loss()
            return
        log.exception("job.failed")
        try:
            attempt.fail(self._failure(attempt.job, error))
        except LeaseLost:
            attempt.note_loss()

    def _failure(self, job: JobRow, error: Exception) -> Ending:
        self.spoiled = self.spoiled or is_out_of_memory(error)
        return failure_of(error, ResolvedSpec.model_validate(job.resolved_spec), gpu=self._device == "cuda")


def _seat(job: JobRow) -> int:
    assert job.stack_position is not None
    return job.stack_position
