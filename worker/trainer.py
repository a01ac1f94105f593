"""A training process: warm, and then at work on whatever is due, jobs or a batch prediction."""

import os
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING

import structlog
import torch
from sqlalchemy import Connection
from structlog.contextvars import bound_contextvars

from app.domain.job import devices_taken
from app.persistence import due, workers
from app.persistence.batch_rows import BatchPredictionRow
from app.persistence.database import Database
from app.persistence.due import Claimed
from app.persistence.rows import JobRow
from app.storage.storage import Storage
from app.upkeep.periodically import Periodically
from worker.dataset_files import remove_left_copies
from worker.engine.precision import use_whole_float32
from worker.failures import DeviceLost
from worker.plugins import loss_names
from worker.pulse import Periods, Pulse
from worker.run import Run
from worker.warming import train_a_little

if TYPE_CHECKING:
    from worker.batch.run import BatchRun

log = structlog.get_logger()


class Trainer:
    """One per process; trains one pack of jobs after the other, and predicts between them.

    `most_running` is how many jobs and batch predictions of a project may run at once, 0 for any number.
    `stopping` is asked before each claim and after each report; `interrupted`, by default the same, while a job is prepared.
    """

    def __init__(
        self,
        *,
        database: Database,
        storage: Storage,
        name: str,
        device: str,
        threads: int,
        memory: int | None = None,
        host_memory: int | None = None,
        most_running: int = 0,
        periods: Periods,
        stopping: Callable[[], bool],
        interrupted: Callable[[], bool] | None = None,
        alive: Callable[[], None] = lambda: None,
        replace: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._storage = storage
        self._name = name
        self._device = device
        self._threads = threads
        self._memory, self._host_memory = memory, host_memory
        self._most_running = most_running
        self._periods = periods
        self._stopping = stopping
        self._interrupted = interrupted
        self._replace = replace
        self._pulse = Pulse(database, name=name, periods=periods, register=self._register, alive=alive)
        # Celery's own thread waits for messages: with a dead or frozen broker jobs start later, not never.
        self._lookout = Periodically(self._look, name="lookout", period=periods.idle)
        self._at_work = Lock()

    def warm_up(self) -> None:
        """Set the threads, run the code once, and say that this process is ready."""
        torch.set_num_threads(self._threads)
        use_whole_float32()
        train_a_little(self._device)
        remove_left_copies()
        with self._database.write() as connection:
            self._register(connection)
        self._pulse.start()
        self._lookout.start()
        log.info("trainer.warm", name=self._name, device=self._device)

    def _register(self, connection: Connection) -> None:
        workers.register(
            connection,
            self._name,
            device=self._device,
            threads=self._threads,
            torch=torch.__version__,
            custom_losses=loss_names(),
            memory=self._memory,
            host_memory=self._host_memory,
        )

    def leave(self) -> None:
        """Say that this process is gone, once the training in hand has been given back."""
        self._lookout.stop(timeout=None)  # a training that it found goes first: to its next report
        with self._at_work:
            self._pulse.stop()
            with self._database.write() as connection:
                workers.leave(connection, self._name)
            self._database.close()

    def work_off(self, *, hint: str) -> None:
        """Work on what is due until there is nothing or the worker stops; the hint only says that there may be one.

        Where this process is at work already it will look for the next job by itself.
        """
        log.debug("doorbell.heard", job=hint)
        if not self._at_work.acquire(blocking=False):
            return
        try:
            while not self._stopping() and (claimed := self._claim()):
                if isinstance(claimed, BatchPredictionRow):
                    self._predict(claimed)
                else:
                    self._train(claimed)
        finally:
            self._at_work.release()

    def _look(self) -> None:
        torch.set_num_threads(self._threads)  # OpenMP counts for each thread of a process anew
        self.work_off(hint="")

    def _claim(self) -> Claimed | None:
        with self._database.write() as connection:
            claimed = due.claim(
                connection,
                owner=self._name,
                devices=devices_taken(self._device),
                lease_seconds=self._periods.lease,
                most_running=self._most_running,
            )
            workers.beat(connection, self._name, job_id=_id_of(claimed))
        return claimed

    def _train(self, pack: Sequence[JobRow]) -> None:
        for job in pack:
            log.info("job.claimed", **job.words, epoch=job.epoch, stack_size=job.stack_size)
        with bound_contextvars(**_words_of(pack)):
            self._run(self._run_of(pack))
            log.info("jobs.left")

    def _predict(self, row: BatchPredictionRow) -> None:
        with bound_contextvars(**row.words):
            log.info("batch_prediction.claimed", predicted=row.predicted, rows=row.rows)
            self._run(self._batch_run_of(row))
            log.info("batch_prediction.left")

    def _run_of(self, pack: Sequence[JobRow]) -> Run:
        return Run(
            pack,
            database=self._database,
            storage=self._storage,
            pulse=self._pulse,
            periods=self._periods,
            device="cpu" if pack[0].device == "cpu" else self._device,
            stopping=self._stopping,
            interrupted=self._interrupted,
        )

    def _batch_run_of(self, row: BatchPredictionRow) -> "BatchRun":
        from worker.batch.run import BatchRun  # onnxruntime takes 20 MB: not of those who only train

        return BatchRun(
            row,
            database=self._database,
            storage=self._storage,
            pulse=self._pulse,
            periods=self._periods,
            stopping=self._stopping,
        )

    def _run(self, run: "Run | BatchRun") -> None:
        try:
            run.run()
        except DeviceLost:
            os._exit(1)  # CUDA does not come back within a process; the parent starts another
        if run.spoiled:
            log.warning("process.spoiled", name=self._name)
            self._replace()


def _id_of(claimed: Claimed | None) -> str | None:
    if isinstance(claimed, BatchPredictionRow):
        return claimed.id
    return claimed[0].id if claimed else None


def _words_of(pack: Sequence[JobRow]) -> dict[str, object]:
    """What the log says during a run: which job, or which jobs; a line about one of several names that one beside."""
    return {"jobs": [job.id for job in pack], **(pack[0].words if len(pack) == 1 else {})}
