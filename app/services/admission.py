"""Admission: no job is queued that cannot fit into the memory of a worker that may take it."""

from dataclasses import replace

from app.domain.admission import Room, device_of, fault_of, rooms_of
from app.domain.errors import Invalid
from app.domain.spec import ResolvedSpec
from app.persistence import workers
from app.persistence.database import Database
from app.persistence.jobs import NewJob


class Admission:
    """`memory` is what a training process may use for a job, in bytes, as long as no live worker says what it has."""

    def __init__(self, database: Database, *, memory: int) -> None:
        self._database = database
        self._memory = memory

    def rooms(self, spec: ResolvedSpec) -> list[Room]:
        """Where the job may train, the best place first."""
        with self._database.read() as connection:
            reported = workers.memory(connection)
        return rooms_of(spec, {"cpu": self._memory} | reported)

    def admit(self, new: NewJob) -> NewJob:
        """The job with the device that it fits on; Invalid where there is none."""
        rooms = self.rooms(new.resolved_spec)
        if fault := fault_of(rooms):
            raise Invalid([fault])
        return replace(new, device=device_of(new.resolved_spec, rooms))
