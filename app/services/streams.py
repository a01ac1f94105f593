"""A job as a stream: its epochs and events in one order that a client can take up again where it stopped."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace

from anyio import to_thread

from app.domain.caller import Caller
from app.domain.errors import NotFound
from app.domain.history import EpochColumns
from app.domain.job import Status
from app.persistence import epochs, events, jobs
from app.persistence.database import Database
from app.persistence.rows import EventRow, JobRow
from app.services.pages import names_of, part
from app.services.watcher import Watcher

EPOCHS_AT_A_TIME = 1000
EVENTS_AT_A_TIME = 100
HEARTBEAT_SECONDS = 15.0


@dataclass(frozen=True, order=True)
class Position:
    """What a client has seen: the last epoch, and the sequence number of the last event."""

    epoch: int = 0
    sequence: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Item:
    """A piece of the stream; whoever has it stands at `position`."""

    position: Position
    job: JobRow


@dataclass(frozen=True, kw_only=True, eq=False)
class NewEpochs(Item):
    """Epochs that follow those before, ascending, none twice."""

    columns: EpochColumns


@dataclass(frozen=True, kw_only=True, eq=False)
class Happened(Item):
    """An event of the job."""

    event: EventRow


@dataclass(frozen=True, kw_only=True, eq=False)
class Done(Item):
    """The job is over and everything was told."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Heartbeat(Item):
    """Nothing happened for a while."""


@dataclass(frozen=True)
class _Batch:
    job: JobRow
    items: Sequence[Item]
    more: bool


class Streams:
    """Follows jobs; between two reads a stream is only a place in the watcher's list."""

    def __init__(self, database: Database, watcher: Watcher) -> None:
        self._database = database
        self._watcher = watcher
        self._readings: dict[tuple[int, Position, int], asyncio.Task[_Batch | None]] = {}

    @property
    def waiting(self) -> int:
        """How many streams and polls of this process wait for something new."""
        return self._watcher.waiting

    def find(self, caller: Caller, job_id: str) -> JobRow:
        """The job, or NotFound."""
        with self._database.read() as connection:
            job = jobs.find(connection, job_id, project_id=caller.project_id)
        if job is None:
            raise NotFound("job", job_id)
        return job

    def knows_the_end(self, job: JobRow, position: Position) -> bool:
        """True when a client at that position had `done` already, which counts as the event after the last."""
        if not job.status.terminal or not position.sequence:
            return False
        with self._database.read() as connection:
            return not events.after(connection, job.number, sequence=position.sequence - 1, limit=1)

    async def follow(self, job: JobRow, position: Position, *, every: int = 1) -> AsyncIterator[Item]:
        """Everything beyond `position`, then what comes, until the job is over or the service ends.

        Epochs that a crashed attempt had shown are trained again bit for bit, so the stream goes on after its own last one.
        """
        while not self._watcher.closed:
            batch = await self._shared(job, position, every)
            if batch is None:
                return
            for item in batch.items:
                position = item.position
                yield item
            if batch.more:
                continue
            if batch.job.status.terminal:
                end = Position(max(position.epoch, batch.job.epoch), position.sequence + 1)
                yield Done(position=end, job=batch.job)
                return
            if not await self._watcher.changed(job.number, seen=batch.job.revision, timeout=HEARTBEAT_SECONDS):
                yield Heartbeat(position=position, job=batch.job)

    async def _shared(self, job: JobRow, position: Position, every: int) -> _Batch | None:
        """One reading for all who stand at the same place: a thousand streams of a job are woken by the same report."""
        key = job.number, position, every
        if (reading := self._readings.get(key)) is None:
            reading = asyncio.create_task(to_thread.run_sync(self._read, job, position, every))
            self._readings[key] = reading
            reading.add_done_callback(lambda _: self._readings.pop(key))
        return await asyncio.shield(reading)

    def _read(self, job: JobRow, position: Position, every: int) -> _Batch | None:
        """The job is read first: what it says to be over has all its events and epochs already."""
        with self._database.read() as connection:
            now = jobs.by_number(connection, job.number)
            if now is None:
                return None
            happened = events.after(connection, job.number, sequence=position.sequence, limit=EVENTS_AT_A_TIME)
            columns = epochs.read(
                connection,
                job.number,
                after=position.epoch,
                limit=EPOCHS_AT_A_TIME,
                every=every,
                names=names_of(now),
            )
        return _Merge(now, position, columns).batch(happened)


class _Merge:
    """Puts each event behind the epochs that it speaks of, so that a replay tells the story in the order it had."""

    def __init__(self, job: JobRow, position: Position, columns: EpochColumns) -> None:
        self._job, self._position, self._columns = job, position, columns
        self._told = 0
        self._full = len(columns) == EPOCHS_AT_A_TIME

    def batch(self, happened: Sequence[EventRow]) -> _Batch:
        """What to tell now; `more` where a page was full."""
        more = self._full or len(happened) == EVENTS_AT_A_TIME
        return _Batch(self._job, list(self._items(happened)), more)

    def _items(self, happened: Sequence[EventRow]) -> Iterator[Item]:
        for event in happened:
            border = self._border(event)
            yield from self._until(border)
            if self._full and self._told == len(self._columns) and self._columns.epoch[-1] < border:
                return  # epochs before this event are on the next page
            self._position = replace(self._position, sequence=event.sequence)
            yield Happened(position=self._position, job=self._job, event=event)
        if len(happened) < EVENTS_AT_A_TIME:
            yield from self._until(math.inf)

    def _until(self, epoch: float) -> Iterator[Item]:
        start, stop = self._told, self._told
        while stop < len(self._columns) and self._columns.epoch[stop] <= epoch:
            stop += 1
        if stop > start:
            self._told = stop
            columns = part(self._columns, start, stop)
            self._position = replace(self._position, epoch=columns.epoch[-1])
            yield NewEpochs(position=self._position, job=self._job, columns=columns)

    def _border(self, event: EventRow) -> float:
        status = status_after(event)
        if status is not None and status.terminal:
            return math.inf
        epoch = event.data.get("epoch", 0)
        return epoch if isinstance(epoch, int | float) else 0


_QUEUED_AGAIN = frozenset({"job.created", "job.yielded", "job.worker_lost", "job.resumed"})


def status_after(event: EventRow) -> Status | None:
    """The job's status once this happened; None for events that are about something else."""
    if event.type in _QUEUED_AGAIN:
        return Status.QUEUED
    name = event.type.removeprefix("job.")
    if name == "started":
        return Status.RUNNING
    return Status(name) if name in set(Status) else None
