"""Admission: no job is queued that cannot fit into the memory of a worker that may take it."""

from collections.abc import Mapping
from dataclasses import replace

from app.domain.admission import device_of, fault_of, rooms_of
from app.domain.errors import Invalid
from app.domain.streaming import settled
from app.persistence import workers
from app.persistence.database import Database
from app.persistence.jobs import NewJob


class Admission:
    """`memory` is what a training process may use for a job, in bytes, as long as no live worker says what it has."""

    def __init__(self, database: Database, *, memory: int) -> None:
        self._database = database
        self._memory = memory

    def memory(self) -> Mapping[str, int]:
        """What there is by kind of device; to be shared by all specs of one request."""
        with self._database.read() as connection:
            return {"cpu": self._memory} | workers.memory(connection)

    def admit(self, new: NewJob, memory: Mapping[str, int]) -> NewJob:
        """The job with the device that it fits on, its rows streamed where they do not; Invalid where there is none."""
        spec = settled(new.resolved_spec, memory)
        rooms = rooms_of(spec, memory)
        if fault := fault_of(rooms):
            raise Invalid([fault])
        return replace(new, resolved_spec=spec, device=device_of(spec, rooms))
