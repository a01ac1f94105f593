"""Plans: what a job would be, without making one."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.admission import Room, fault_of, rooms_of
from app.domain.caller import Caller
from app.domain.duration import Duration, duration, slowness_of
from app.domain.errors import Fault, Invalid
from app.domain.planning import columns_of
from app.domain.schema import Column
from app.domain.spec import JobSpec, ResolvedSpec
from app.domain.streaming import settled
from app.persistence import datasets, pace
from app.persistence.database import Database
from app.services.admission import Admission
from app.services.resolver import Resolver

MOST_COLUMNS = 1000


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """A spec with nothing open: where it would train, and the first columns that its features become."""

    spec: ResolvedSpec
    room: Room
    columns: list[str]
    duration: Duration | None
    """None on a GPU."""
    measured_jobs: int
    """How many earlier jobs told how quick their machine is."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a job would be, None where the spec does not fit its datasets; and why it would be refused."""

    outlook: Outlook | None
    warnings: Sequence[str] = ()
    faults: Sequence[Fault] = ()


class Plans:
    """Reads, and writes nothing."""

    def __init__(self, database: Database, resolver: Resolver, admission: Admission) -> None:
        self._database = database
        self._resolver = resolver
        self._admission = admission

    def plan(self, caller: Caller, spec: JobSpec) -> Plan:
        """What `Jobs.create` would make of the spec, or every reason why it would not."""
        try:
            new = self._resolver.new_job(spec, self._resolver.facts(caller))
        except Invalid as error:
            return Plan(outlook=None, faults=error.faults)
        memory = self._admission.memory()
        resolved = settled(new.resolved_spec, memory)
        rooms = rooms_of(resolved, memory)
        fault = fault_of(rooms)
        outlook = self._outlook(caller, resolved, rooms[0])
        return Plan(outlook=outlook, warnings=new.warnings, faults=[fault] if fault else [])

    def _outlook(self, caller: Caller, spec: ResolvedSpec, room: Room) -> Outlook:
        columns = self._columns(caller, spec)
        if room.device != "cpu":
            return Outlook(spec=spec, room=room, columns=columns, duration=None, measured_jobs=0)
        with self._database.read() as connection:
            paces = pace.measured(connection, project_id=caller.project_id)
        expected = duration(spec, slowness=slowness_of(paces))
        return Outlook(spec=spec, room=room, columns=columns, duration=expected, measured_jobs=len(paces))

    def _columns(self, caller: Caller, spec: ResolvedSpec) -> list[str]:
        with self._database.read() as connection:
            dataset = datasets.find(connection, spec.dataset, project_id=caller.project_id)
        described = [Column.model_validate(column) for column in dataset.columns] if dataset else []
        return columns_of(spec, described, most=MOST_COLUMNS)
