"""Jobs as scripts: the plain torch loop that trains the same."""

from sqlalchemy import Connection

from app.code.script import script_of
from app.domain.caller import Caller
from app.domain.errors import Conflict, NotFound
from app.domain.resolve_findings import Findings
from app.domain.schema import Column
from app.domain.spec import ResolvedSpec
from app.persistence import datasets, jobs
from app.persistence.database import Database


class Scripts:
    """Reads the job and its datasets' columns; nothing is trained and no row is read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_job(self, caller: Caller, job_id: str) -> str:
        """A job's script; NotFound, Conflict where a dataset is gone, NotSupported where no script says what it does."""
        with self._database.read() as connection:
            job = jobs.find(connection, job_id, project_id=caller.project_id)
            if job is None:
                raise NotFound("job", job_id)
            if job.start_checkpoint is not None:
                findings = Findings()
                findings.unsupported(what="Starting from a checkpoint in a script")
                findings.raise_faults()
            described = _columns(connection, job.dataset_id, caller)
            own = job.validation_dataset_id
            validation = _columns(connection, own, caller) if own else None
        return script_of(ResolvedSpec.model_validate(job.resolved_spec), described, validation=validation, job=job.id)


def _columns(connection: Connection, id: str, caller: Caller) -> dict[str, Column]:
    dataset = datasets.find(connection, id, project_id=caller.project_id)
    if dataset is None:
        raise Conflict(f"The dataset {id} was deleted, and a script needs what its columns were.")
    columns = [Column.model_validate(column) for column in dataset.columns]
    return {column.name: column for column in columns}
