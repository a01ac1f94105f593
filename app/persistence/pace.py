"""How quick earlier jobs were, so that a plan knows the machine."""

from typing import Final

from sqlalchemy import Connection, select

from app.domain.custom import is_custom
from app.domain.job import Status
from app.domain.spec import ResolvedSpec
from app.persistence.tables import jobs

# Jobs that are looked at, those of them that count, and the training that tells something, in seconds.
_NEWEST, _MOST, _LEAST_SECONDS = 200, 9, 1.0
_CPU: Final = "cpu"


def measured(connection: Connection, *, project_id: str) -> list[tuple[ResolvedSpec, float]]:
    """A project's newest jobs that were alone in their stack on a CPU, and their seconds an epoch; those that are over.

    But for those of which the estimate knows nothing: with a loss of somebody's own, or streamed.
    """
    newest = select(jobs.c.number).where(jobs.c.project_id == project_id).order_by(jobs.c.id.desc()).limit(_NEWEST)
    alone = (jobs.c.stack_size == 1, jobs.c.seconds >= _LEAST_SECONDS, jobs.c.epoch > 0)
    query = (
        select(jobs.c.resolved_spec, jobs.c.seconds / jobs.c.epoch)
        .where(jobs.c.number.in_(newest), jobs.c.status == Status.SUCCEEDED, *alone)
        .where(jobs.c.reproducibility["device"].as_string() == _CPU)
        .order_by(jobs.c.id.desc())
        .limit(_MOST)
    )
    found = [(ResolvedSpec.model_validate(spec), pace) for spec, pace in connection.execute(query)]
    return [(spec, pace) for spec, pace in found if not is_custom(spec.loss.name) and not spec.streaming]
