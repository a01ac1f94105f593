"""The history of a job, page by page."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from math import lcm

from anyio import to_thread
from sqlalchemy import Connection

from app.domain.caller import Caller
from app.domain.errors import NotFound
from app.domain.history import EpochColumns, stored
from app.persistence import epochs, jobs
from app.persistence.database import Database
from app.persistence.jobs import Pulse
from app.persistence.rows import JobRow
from app.services.deadline import Deadline
from app.services.downloads import Writer
from app.services.pages import HistoryPage, Window, metrics_of, next_after, part, read_window
from app.services.remembered import Remembered
from app.services.samples import Samples, Stretch
from app.services.sketches import Curves
from app.services.watcher import Watcher

EPOCHS_IN_A_PIECE = 10_000

Knows = Callable[[Pulse], bool]


Write = Callable[[HistoryPage], bytes]
Bodies = Remembered[tuple[int, int, Window], bytes]
"""By the job's number and revision: what is told of a job that is over stays as it is."""


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
    ) -> HistoryPage | Pulse:
        """A page; with `wait` not before there is something new in it, the job is over, or so many seconds went by.

        Only the job's pulse where the caller knows the job as it stands: that is asked first, and costs one small question.
        With `write` the page has its `body`; that of a job that is over is written once, and comes without its columns then.
        """
        deadline = Deadline(wait)
        while True:
            found = await to_thread.run_sync(self._look, caller, job_id, window, knows, write)
            state, news = (found, 0) if isinstance(found, Pulse) else (found.job, len(found.columns))
            if news or state.status.terminal or not deadline.left:
                return found
            await self._watcher.changed(state.number, seen=state.revision, timeout=deadline.left)
            if self._watcher.closed:
                return found

    async def pieces(self, job: JobRow, window: Window, writer: Writer) -> AsyncIterator[bytes]:
        """The epochs of a window that the job had when its row was read, written piece by piece.

        Between two pieces neither a thread nor a connection is held, however slowly they are taken.
        """
        end = job.epoch + 1 if window.before is None else min(window.before, job.epoch + 1)
        left, more = window.limit, True
        while more:
            part = replace(window, before=end, limit=min(left, EPOCHS_IN_A_PIECE))
            columns, piece = await to_thread.run_sync(self._piece, job, part, writer)
            yield piece
            left, more = left - len(columns), len(columns) == part.limit < left
            window = replace(window, after=columns.epoch[-1] if more else 0)
        yield writer.end

    def _piece(self, job: JobRow, window: Window, writer: Writer) -> tuple[EpochColumns, bytes]:
        with self._database.read() as connection:
            columns = read_window(connection, job, window)
        return columns, writer.write(columns)

    async def until_over(self, caller: Caller, job_id: str, *, seconds: float) -> None:
        """Return when the job is terminal, or after so many seconds."""
        deadline = Deadline(seconds)
        while True:
            job = await to_thread.run_sync(self._job, caller, job_id)
            if job.status.terminal or not deadline.left or self._watcher.closed:
                return
            await self._watcher.changed(job.number, seen=job.revision, timeout=deadline.left)

    def _job(self, caller: Caller, job_id: str) -> JobRow:
        with self._database.read() as connection:
            return _found(connection, caller, job_id)

    async def states(self, caller: Caller, job_ids: Iterable[str]) -> list[Pulse]:
        """How some jobs stand; NotFound where one is not there."""
        return await to_thread.run_sync(self._states, caller, job_ids)

    def _states(self, caller: Caller, job_ids: Iterable[str]) -> list[Pulse]:
        with self._database.read() as connection:
            return [_pulse(connection, caller, id) for id in job_ids]

    def _look(
        self, caller: Caller, job_id: str, window: Window, knows: Knows | None, write: Write | None
    ) -> HistoryPage | Pulse:
        if knows:
            [pulse] = self._states(caller, [job_id])
            if knows(pulse):
                return pulse
        return self._written(caller, job_id, window, write) if write else self._read(caller, job_id, window)

    def _written(self, caller: Caller, job_id: str, window: Window, write: Write) -> HistoryPage:
        job = self._job(caller, job_id)
        key = job.number, job.revision, window
        if body := self._bodies.get(key):
            return HistoryPage(job=job, body=body)
        page = self._read(caller, job_id, window)
        body = write(page)
        if page.job.status.terminal and page.job.revision == job.revision:
            self._bodies.put(key, body)
        return replace(page, body=body)

    def _read(self, caller: Caller, job_id: str, window: Window) -> HistoryPage:
        return self._page(caller, job_id, window) if window.max_points is None else self._sample(caller, job_id, window)

    def _page(self, caller: Caller, job_id: str, window: Window) -> HistoryPage:
        """The job is read first: what it says to be over has all its epochs already."""
        with self._database.read() as connection:
            job = _found(connection, caller, job_id)
            columns = read_window(connection, job, replace(window, limit=window.limit + 1))
            total = epochs.count(connection, job.number, record_every=job.resolved_spec["record_every"])
        has_more = len(columns) > window.limit
        columns = part(columns, 0, window.limit) if has_more else columns
        return HistoryPage(job=job, columns=columns, total=total, next=next_after(columns, window), has_more=has_more)

    def _sample(self, caller: Caller, job_id: str, window: Window) -> HistoryPage:
        """Chosen from what stands now; tried again where a crash took epochs back meanwhile."""
        most = window.max_points or 0
        while True:
            job, stretch = self._stretch(caller, job_id, window)
            if stretch is None or stretch.count <= most:
                return self._page(caller, job_id, replace(window, limit=most))
            chosen = self._samples.choose(stretch, most=most)
            with self._database.read() as connection:
                columns = epochs.at(connection, job.number, chosen, metrics=metrics_of(job))
                now = _found(connection, caller, job_id)
            if now.attempt == job.attempt and len(columns) == len(chosen):
                next = next_after(columns, window)
                return HistoryPage(job=job, columns=columns, total=stretch.count, next=next, sampled=True)
            self._samples.forget(stretch.curves)

    def _stretch(self, caller: Caller, job_id: str, window: Window) -> tuple[JobRow, Stretch | None]:
        with self._database.read() as connection:
            job = _found(connection, caller, job_id)
            ends = epochs.ends(connection, job.number, after=window.after, before=window.before, every=window.every)
        if ends is None:
            return job, None
        record_every = job.resolved_spec["record_every"]
        curves = Curves(
            number=job.number,
            attempt=job.attempt,
            names=(*epochs.LOSSES, *metrics_of(job)),
            step=lcm(record_every, window.every),
            every=window.every,
        )
        count = stored(ends[1], record_every=record_every, after=window.after, every=window.every)
        return job, Stretch(curves=curves, after=window.after, first=ends[0], last=ends[1], count=count)


def _pulse(connection: Connection, caller: Caller, job_id: str) -> Pulse:
    pulse = jobs.pulse(connection, job_id, project_id=caller.project_id)
    if pulse is None:
        raise NotFound("job", job_id)
    return pulse


def _found(connection: Connection, caller: Caller, job_id: str) -> JobRow:
    job = jobs.find(connection, job_id, project_id=caller.project_id)
    if job is None:
        raise NotFound("job", job_id)
    return job
