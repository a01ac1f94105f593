"""Jobs as scripts: the plain torch loop that trains the same."""

from app.code.script import script_of
from app.domain.caller import Caller
from app.domain.errors import Conflict, Fault, NotFound, NotSupported
from app.domain.schema import Column
from app.domain.spec import ResolvedSpec
from app.persistence import datasets, jobs
from app.persistence.database import Database


class Scripts:
    """Reads the job and its dataset's columns; nothing is trained and no row is read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_job(self, caller: Caller, job_id: str) -> str:
        """A job's script; NotFound, Conflict where its dataset is gone, NotSupported where no script says what it does."""
        with self._database.read() as connection:
            job = jobs.find(connection, job_id, project_id=caller.project_id)
            if job is None:
                raise NotFound("job", job_id)
            dataset = datasets.find(connection, job.dataset_id, project_id=caller.project_id)
        if job.start_checkpoint is not None:
            raise NotSupported([Fault("", "not_supported", "Starting from a checkpoint is not supported yet in a script.")])
        if dataset is None:
            raise Conflict(f"The dataset {job.dataset_id} was deleted, and a script needs what its columns were.")
        columns = [Column.model_validate(column) for column in dataset.columns]
        spec = ResolvedSpec.model_validate(job.resolved_spec)
        return script_of(spec, {column.name: column for column in columns}, job=job.id)
