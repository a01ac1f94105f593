"""One run of a claimed pack, from the claim until every member has ended or was given back."""

from collections.abc import Callable, Sequence
from functools import partial

import structlog
import torch

from app.persistence import leases
from app.persistence.database import Database
from app.persistence.rows import JobRow
from app.storage.storage import Storage
from worker.attempt import Attempt
from worker.bookkeeper import Bookkeeper
from worker.dataset_files import DatasetFiles, dataset_files
from worker.engine.recovery import position_of
from worker.engine.stack import Stack
from worker.failures import DeviceLost, release
from worker.insisting import AWAY, insist
from worker.pack import Pack, Stopped
from worker.preparation import Prepared, prepare
from worker.provenance import provenance
from worker.publishing import Publisher
from worker.pulse import Periods, Pulse

log = structlog.get_logger()

# bf16 rounds the factors of products alone.
DTYPES = {"fp32": torch.float32, "fp64": torch.float64, "bf16": torch.float32}


class Run:
    """Trains the jobs of one stack and stores everything that comes of them; each by its own attempt."""

    def __init__(
        self,
        jobs: Sequence[JobRow],
        *,
        database: Database,
        storage: Storage,
        pulse: Pulse,
        periods: Periods,
        device: str,
        stopping: Callable[[], bool],
        interrupted: Callable[[], bool] | None = None,
    ) -> None:
        self._database = database
        self._storage = storage
        self._pulse = pulse
        self._periods = periods
        self._device = device
        self._stopping = stopping
        self._interrupted = interrupted or stopping
        attempts = [Attempt(job, database=database, storage=storage, periods=periods) for job in jobs]
        self._pack = Pack(attempts, device=device)

    @property
    def spoiled(self) -> bool:
        """An error may have left this process unfit for another job."""
        return self._pack.spoiled

    def run(self) -> None:
        """Train to the end, or until every job is paused, cancelled, yielded or taken away."""
        with self._pulse.holding(self._pack.held):
            try:
                self._train()
            except DeviceLost:
                raise
            except Stopped:
                self._return_all()
            except AWAY as error:
                log.exception("database.failed", jobs=self._pack.ids, error=type(error).__name__)
                self._return_all(wait_seconds=self._periods.pause)
            except Exception as error:
                self._pack.check_device(error)
                log.exception("run.failed", jobs=self._pack.ids)
                self._pack.break_up(error)
                release(error)

    def _return_all(self, *, wait_seconds: float = 0) -> None:
        """Give the jobs back, as soon as the database answers."""
        insist(partial(self._pack.give_back, wait_seconds), stopping=self._stopping, alive=self._pulse.progress)

    def _train(self) -> None:
        prepared = self._prepared()
        if not prepared:
            return
        stack = self._stacked(prepared)
        books = Bookkeeper(
            self._pack,
            stack,
            database=self._database,
            storage=self._storage,
            pulse=self._pulse,
            periods=self._periods,
            stopping=self._stopping,
        )
        try:
            self._follow(stack, books)
        finally:
            self._pack.spoiled |= stack.spoiled

    def _follow(self, stack: Stack, books: Bookkeeper) -> None:
        for reports in stack.train():
            self._pulse.progress()
            books.handle(reports)
            if not self._pack:
                return

    def _prepared(self) -> dict[int, Prepared]:
        """The members that can train, by their place; a job that cannot be read fails by itself."""
        prepared: dict[int, Prepared] = {}
        with dataset_files(self._storage, alive=self._alive) as files:
            for position in self._pack.positions:
                with self._pack.about(position) as attempt:
                    if one := self._prepare(attempt, position, files):
                        prepared[position] = one
        return self._in_step(prepared)

    def _prepare(self, attempt: Attempt, position: int, files: DatasetFiles) -> Prepared | None:
        """None where the storage does not answer: the job waits until it may."""
        try:
            return prepare(attempt.job, database=self._database, storage=self._storage, files=files, alive=self._alive)
        except OSError as error:
            with self._pack.leaving(position):
                attempt.put_off(error)
            return None

    def _alive(self) -> None:
        self._pulse.progress()
        if self._interrupted():
            raise Stopped

    def _in_step(self, prepared: dict[int, Prepared]) -> dict[int, Prepared]:
        """Without those that fell back behind a damaged recovery point: they train on their own."""
        places = {position: _place(one) for position, one in prepared.items()}
        for position in [position for position, place in places.items() if place != next(iter(places.values()))]:
            del prepared[position]
            with self._pack.about(position) as attempt, self._pack.leaving(position):
                attempt.give_back()
        return prepared

    def _stacked(self, prepared: dict[int, Prepared]) -> Stack:
        places = range(self._pack.size)
        spec = next(iter(prepared.values())).member.spec
        stack = Stack(
            [prepared[place].member if place in prepared else None for place in places],
            dtype=DTYPES[spec.precision],
            device=self._device,
            states=[prepared[place].state if place in prepared else None for place in places],
            report_seconds=self._periods.report,
        )
        self._pack.train_in(stack)
        for position, one in prepared.items():
            with self._pack.about(position) as attempt:
                self._begin(attempt, one, stack=stack, position=position)
        return stack

    def _begin(self, attempt: Attempt, prepared: Prepared, *, stack: Stack, position: int) -> None:
        spec = prepared.member.spec
        facts = provenance(attempt.job, spec, device=self._device, continued=prepared.state is not None)
        publisher = Publisher(
            attempt.job, spec, prepared.fitted, database=self._database, storage=self._storage, provenance=facts
        )
        attempt.begin(spec, stack=stack, position=position, publisher=publisher)
        with self._database.write() as connection:
            leases.note(connection, attempt.fence, reproducibility=facts)


def _place(prepared: Prepared) -> tuple[int, int]:
    return position_of(prepared.state) if prepared.state else (0, 0)
