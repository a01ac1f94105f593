"""A training process: warm, and then at work on whatever job is due."""

from collections.abc import Callable

import structlog
import torch
from sqlalchemy import Connection

from app.domain.job import devices_taken
from app.persistence import leases, workers
from app.persistence.database import Database
from app.persistence.rows import JobRow
from app.storage.storage import Storage
from worker.pulse import Periods, Pulse
from worker.run import Run
from worker.warming import train_a_little

log = structlog.get_logger()


class Trainer:
    """One per process; trains one job after the other."""

    def __init__(
        self,
        *,
        database: Database,
        storage: Storage,
        name: str,
        device: str,
        threads: int,
        periods: Periods,
        stopping: Callable[[], bool],
    ) -> None:
        self._database = database
        self._storage = storage
        self._name = name
        self._device = device
        self._threads = threads
        self._periods = periods
        self._stopping = stopping
        self._pulse = Pulse(database, name=name, periods=periods, register=self._register)

    def warm_up(self) -> None:
        """Set the threads, run the code once, and say that this process is ready."""
        torch.set_num_threads(self._threads)
        train_a_little(self._device)
        with self._database.write() as connection:
            self._register(connection)
        self._pulse.start()
        log.info("trainer.warm", name=self._name, device=self._device)

    def _register(self, connection: Connection) -> None:
        workers.register(connection, self._name, device=self._device, threads=self._threads, torch=torch.__version__)

    def leave(self) -> None:
        """Say that this process is gone."""
        self._pulse.stop()
        with self._database.write() as connection:
            workers.leave(connection, self._name)
        self._database.close()

    def work_off(self, *, hint: str) -> None:
        """Train due jobs until there is none or the worker stops; the hint only says that there may be one."""
        log.debug("doorbell.heard", job=hint)
        while not self._stopping() and (job := self._claim()):
            log.info("job.claimed", job=job.id, attempt=job.attempt, epoch=job.epoch)
            self._run(job)
            log.info("job.left", job=job.id, attempt=job.attempt)

    def _claim(self) -> JobRow | None:
        with self._database.write() as connection:
            job = leases.claim(
                connection, owner=self._name, devices=devices_taken(self._device), lease_seconds=self._periods.lease
            )
            workers.beat(connection, self._name, job_id=job.id if job else None)
        return job

    def _run(self, job: JobRow) -> None:
        Run(
            job,
            database=self._database,
            storage=self._storage,
            pulse=self._pulse,
            periods=self._periods,
            device="cpu" if job.device == "cpu" else self._device,
            stopping=self._stopping,
        ).run()
