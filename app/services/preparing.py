"""From a spec to a job that can be queued: the dataset found, everything resolved."""

from dataclasses import dataclass

from sqlalchemy import Connection

from app.domain import ids
from app.domain.caller import Caller
from app.domain.errors import Invalid
from app.domain.resolve import resolve
from app.domain.schema import Column
from app.domain.spec import JobSpec
from app.persistence import datasets
from app.persistence.jobs import NewJob


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What of a dataset its jobs are resolved against."""

    sha256: str
    rows: int
    columns: list[Column]

    def prepare(self, caller: Caller, spec: JobSpec, *, most_parameters: int) -> NewJob:
        """The job; Invalid where the spec does not fit the dataset."""
        resolved = resolve(spec, columns=self.columns, rows=self.rows, most_parameters=most_parameters)
        return NewJob(
            id=ids.new_id("job"),
            project_id=caller.project_id,
            spec=spec,
            resolved_spec=resolved.spec,
            warnings=resolved.warnings,
            dataset_sha256=self.sha256,
            device=spec.device,
        )


def ground_of(connection: Connection, caller: Caller, dataset_id: str) -> Ground | None:
    """Of one of the caller's datasets, if there is one of that id."""
    dataset = datasets.find(connection, dataset_id, project_id=caller.project_id)
    if dataset is None:
        return None
    columns = [Column.model_validate(column) for column in dataset.columns]
    return Ground(sha256=dataset.sha256, rows=dataset.rows, columns=columns)


def hold(connection: Connection, dataset_id: str, *, at: str = "/dataset") -> None:
    """Keep a dataset from being deleted until the transaction ends; Invalid where it is gone."""
    if not datasets.hold(connection, dataset_id):
        raise no_dataset(at)


def no_dataset(at: str = "/dataset") -> Invalid:
    """The fault of a spec whose dataset is not there."""
    return Invalid.at(at, "There is no such dataset.", code="not_found")
