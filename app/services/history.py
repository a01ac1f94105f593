"""The history of a job, page by page."""

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import replace
from math import lcm

from anyio import to_thread
from sqlalchemy import Connection

from app.domain.caller import Caller
from app.domain.errors import NotFound
from app.domain.history import EpochColumns, stored
from app.persistence import epochs, jobs
from app.persistence.database import Database
from app.persistence.rows import JobState
from app.services.deadline import Deadline
from app.services.downloads import Writer
from app.services.pages import HistoryPage, Window, metrics_of, names_of, read_page, read_window
from app.services.remembered import Remembered
from app.services.samples import Samples, Stretch
from app.services.sketches import Curves
from app.services.watcher import Watcher

EPOCHS_IN_A_PIECE = 10_000

Knows = Callable[[JobState], bool]


Write = Callable[[HistoryPage], bytes]
Bodies = Remembered[tuple[int, int, Window], bytes]
"""By the job's number and revision: what is told of a job that is over stays as it is."""
ENTRY_BYTES = 300
"""What each of them takes beside its body, measured."""


def body_bytes(body: bytes) -> int:
    """What a remembered body takes in memory."""
    return len(body) + ENTRY_BYTES


class Overtaken(Exception):
    """Raised when a job lost epochs that an answer, which had begun, was still to have."""


class Histories:
    """Reads epochs as columns; waits without a thread."""

    def __init__(self, database: Database, watcher: Watcher, samples: Samples, bodies: Bodies) -> None:
        self._database = database
        self._watcher = watcher
        self._samples = samples
        self._bodies = bodies

    async def page(
        self,
        caller: Caller,
        job_id: str,
        window: Window,
        *,
        wait: float = 0,
        knows: Knows | None = None,
        write: Write | None = None,
    ) -> HistoryPage | JobState:
        """A page; with `wait` not before there is something new in it, the job is over, or so many seconds went by.

        Only the job's state where the caller knows the job as it stands: that is asked first, and is one small question. Then
        with `wait` anything new about the job ends it.
        With `write` the page has its `body`; that of a job that is over is written once, and comes without its columns then.
        """
        deadline = Deadline(wait)
        while True:
            found = await to_thread.run_sync(self._look, caller, job_id, window, knows, write)
            state, news = (found, 0) if isinstance(found, JobState) else (found.job, len(found.columns))
            if news or state.status.terminal or not deadline.left or (knows and not isinstance(found, JobState)):
                return found
            await self._watcher.changed(state.number, seen=state.revision, timeout=deadline.left)
            if self._watcher.closed:
                return found

    async def pieces(self, job: JobState, window: Window, writer: Writer) -> AsyncIterator[bytes]:
        """The epochs of a window that the job had when its row was read, written piece by piece.

        Raises Overtaken: a crash took back some of them, or the job is gone; the end of a file that lacks epochs tells nothing.
        Between two pieces neither a thread nor a connection is held, however slowly they are taken.
        """
        end = job.epoch + 1 if window.before is None else min(window.before, job.epoch + 1)
        left, more = window.limit, True
        while more:
            part = replace(window, before=end, limit=min(left, EPOCHS_IN_A_PIECE))
            columns, piece = await to_thread.run_sync(self._piece, job, part, writer)
            yield piece
            left, more = left - len(columns), len(columns) == part.limit < left
            window = replace(window, after=columns.epoch[-1]) if more else window
        yield writer.end

    def _piece(self, job: JobState, window: Window, writer: Writer) -> tuple[EpochColumns, bytes]:
        with self._database.read() as connection:
            columns = read_window(connection, job, window)
            now = jobs.by_number(connection, job.number)  # after the epochs: what it says to have was there
        if now is None or now.epoch < job.epoch:
            raise Overtaken(job.id)
        return columns, writer.write(columns)

    async def until_over(self, caller: Caller, job_id: str, *, seconds: float) -> None:
        """Return when the job is terminal, or after so many seconds."""
        deadline = Deadline(seconds)
        while True:
            [job] = await self.states(caller, [job_id])
            if job.status.terminal or not deadline.left or self._watcher.closed:
                return
            await self._watcher.changed(job.number, seen=job.revision, timeout=deadline.left)

    async def states(self, caller: Caller, job_ids: Collection[str]) -> list[JobState]:
        """How some jobs stand; NotFound where one is not there."""
        return await to_thread.run_sync(self._states, caller, job_ids)

    def _states(self, caller: Caller, job_ids: Collection[str]) -> list[JobState]:
        with self._database.read() as connection:
            found = jobs.states(connection, job_ids, project_id=caller.project_id)
        if missing := [id for id in job_ids if id not in found]:
            raise NotFound("job", missing[0])
        return [found[id] for id in job_ids]

    def _look(
        self, caller: Caller, job_id: str, window: Window, knows: Knows | None, write: Write | None
    ) -> HistoryPage | JobState:
        """The job is read first: what it says to be over has all its epochs already."""
        with self._database.read() as connection:
            job = _found(connection, caller, job_id)
            if knows and knows(job):
                return job
            if write and (body := self._bodies.get(_key(job, window))):
                return HistoryPage(job=job, body=body)
            page = read_page(connection, job, window) if window.max_points is None else None
        page = page or self._sample(caller, job, window)
        return self._written(page, window, write) if write else page

    def _written(self, page: HistoryPage, window: Window, write: Write) -> HistoryPage:
        body = write(page)
        if page.job.status.terminal:
            self._bodies.put(_key(page.job, window), body)
        return replace(page, body=body)

    def _sample(self, caller: Caller, job: JobState, window: Window) -> HistoryPage:
        """Chosen from what stands now; tried again where a crash took epochs back meanwhile."""
        most = window.max_points or 0
        while stretch := self._stretch(job, window, most):
            chosen = self._samples.choose(stretch, most=most)
            with self._database.read() as connection:
                columns = epochs.at(connection, job.number, chosen, names=names_of(job, window.columns))
                now = _found(connection, caller, job.id)
            if now.attempt == job.attempt and len(columns) == len(chosen):
                return HistoryPage(job=job, columns=columns, total=stretch.count, next=columns.epoch[-1], sampled=True)
            self._samples.forget(stretch.curves)
            job = now
        with self._database.read() as connection:
            return read_page(connection, job, replace(window, limit=most))

    def _stretch(self, job: JobState, window: Window, most: int) -> Stretch | None:
        """None where there are no more epochs than may be shown."""
        if window.after >= job.epoch:
            return None
        with self._database.read() as connection:
            stretch = stretch_of(connection, job, window)
        return stretch if stretch and stretch.count > most else None


def stretch_of(connection: Connection, job: JobState, window: Window) -> Stretch | None:
    """What a sample of a window is drawn from, if anything."""
    ends = epochs.ends(connection, job.number, after=window.after, before=window.before, every=window.every)
    if ends is None:
        return None
    record_every = job.resolved_spec["record_every"]
    names, step = (*epochs.LOSSES, *metrics_of(job)), lcm(record_every, window.every)
    curves = Curves(number=job.number, attempt=job.attempt, names=names, step=step, every=window.every)
    count = stored(ends[1], record_every=record_every, after=window.after, every=window.every)
    return Stretch(curves=curves, after=window.after, first=ends[0], last=ends[1], count=count)


def _key(job: JobState, window: Window) -> tuple[int, int, Window]:
    return job.number, job.revision, window


def _found(connection: Connection, caller: Caller, job_id: str) -> JobState:
    job = jobs.state(connection, job_id, project_id=caller.project_id)
    if job is None:
        raise NotFound("job", job_id)
    return job
