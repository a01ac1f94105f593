"""Operations over HTTP: is it alive, is it ready, who trains, what waits."""

from collections.abc import Collection, Mapping
from importlib.metadata import version
from typing import Literal, Self

from fastapi import APIRouter, Response

from app.api.access import CallerOf
from app.api.answer_examples import shown
from app.api.answers import Answer, Time
from app.api.openapi import Responses, problems, problems_of_a_probe
from app.api.problem_answers import SPARSE
from app.api.queries import CheckedQuery
from app.api.report_examples import ALIVE, NOT_READY, READY, SYSTEM
from app.api.services import ServicesOf
from app.persistence.rows import WorkerRow

router = APIRouter(tags=["Operations"], dependencies=[CheckedQuery])


class Worker(Answer):
    """A training process; a silent one was not heard of for six heartbeats.

    `job`, or the `batch_prediction` that it works on between jobs, is told of the caller's project only.
    """

    id: str
    status: Literal["idle", "training", "predicting", "silent"]
    device: str
    threads: int
    torch: str
    custom_losses: list[str]
    memory: int | None
    host_memory: int | None
    job: str | None
    batch_prediction: str | None
    started_at: Time
    heartbeat_at: Time

    @classmethod
    def of(cls, row: WorkerRow, *, own: Collection[str]) -> Self:
        """From its row."""
        told = row.job_id if row.job_id in own else None
        named = {"job": None, "batch_prediction": told} if row.predicts else {"job": told, "batch_prediction": None}
        return cls.model_validate({**vars(row), "status": row.status, **named})


class System(Answer):
    """The service: its version, who trains, how many jobs wait; `jobs` counts the caller's by their live status."""

    model_config = shown(SYSTEM)

    object: Literal["system"] = "system"
    version: str
    workers: list[Worker]
    queue_depth: int
    jobs: Mapping[str, int]


class Ready(Answer):
    """Each part by name: `ok`, `down`, `degraded` or `starting`."""

    model_config = {**shown(READY), **SPARSE}

    status: Literal["ready", "unavailable"]
    database: str
    queue: str
    storage: str
    workers: str | None = None


class Alive(Answer):
    """The process answers."""

    model_config = shown(ALIVE)

    status: Literal["ok"] = "ok"


_NOT_READY: Responses = {
    **problems_of_a_probe(),
    503: {
        "model": Ready,
        "description": "Something needed is down or still starting.",
        "content": {"application/json": {"example": NOT_READY}},
    },
}


@router.get("/livez", operation_id="livez", responses=problems_of_a_probe())
async def livez() -> Alive:
    """The process answers; needs no key."""
    return Alive()


@router.get("/readyz", operation_id="readyz", responses=_NOT_READY, response_model_exclude_none=True)
def readyz(services: ServicesOf, response: Response) -> Ready:
    """Database, queue and storage by name; needs no key. Without the queue jobs are accepted and start later."""
    readiness = services.health.readiness()
    if not readiness.ready:
        response.status_code = 503
        response.headers["Retry-After"] = "1"
    return Ready.model_validate({"status": "ready" if readiness.ready else "unavailable", **readiness.parts})


@router.get("/v1/system", operation_id="get_system", responses=problems())
def system(caller: CallerOf, services: ServicesOf) -> System:
    """Version, training processes, the length of the queue, and how many of the project's jobs are in each live status."""
    overview = services.health.overview(caller)
    return System(
        version=version("trainyard"),
        workers=[Worker.of(row, own=overview.own) for row in overview.workers],
        queue_depth=overview.queued,
        jobs=overview.statuses,
    )
