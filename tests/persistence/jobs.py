"""Jobs for tests that need no training: a spec, its resolution, and rows."""

from collections.abc import Mapping

from app.domain.caller import DEFAULT_PROJECT
from app.domain.ids import new_id
from app.domain.schema import Task
from app.domain.spec import JobSpec, ResolvedSpec
from app.persistence import jobs
from app.persistence.database import Database
from app.persistence.jobs import NewJob
from app.persistence.rows import JobRow

SPEC = JobSpec(dataset="ds_1", target="species", epochs=100, pack=False)
RESOLVED = ResolvedSpec.model_validate(
    {
        **SPEC.model_dump(),
        "features": ["a", "b"],
        "task": Task.BINARY,
        "classes": ["no", "yes"],
        "loss": {"name": "bce"},
        "batch_size": 8,
        "train_rows": 80,
        "validation_rows": 20,
        "test_rows": 0,
        "layers": [2, 64, 64, 1],
        "parameters": 4417,
    }
)


def queued(
    database: Database,
    *,
    priority: int = 0,
    device: str = "auto",
    project_id: str = DEFAULT_PROJECT,
    pack: bool = False,
    sweep_id: str | None = None,
    other: Mapping[str, object] | None = None,
) -> JobRow:
    """A job that waits, for nobody's company unless `pack`; `other` changes what it resolved to."""
    new = NewJob(
        id=new_id("job"),
        project_id=project_id,
        spec=SPEC.model_copy(update={"priority": priority}),
        resolved_spec=RESOLVED.model_copy(update={"pack": pack, **(other or {})}),
        warnings=[],
        dataset_sha256="0" * 64,
        device=device,
        sweep_id=sweep_id,
    )
    with database.write() as connection:
        return jobs.add(connection, new)
