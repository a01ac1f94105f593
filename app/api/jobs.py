"""Jobs over HTTP."""

from collections.abc import Sequence
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import Field

from app.api.access import CallerOf
from app.api.answers import Event, Job, Listing
from app.api.examples import IRIS_BY_HAND
from app.api.once import KeyOf, Once, key_of
from app.api.openapi import Responses, content, created, problems
from app.api.queries import MOST_ITEMS, CheckedQuery, Paging, Wait, cursor_of, entries_of
from app.api.report_examples import SCRIPT
from app.api.services import ServicesOf
from app.api.texts import CheckedText
from app.api.times import Instant, first_told_as, last_told_as
from app.api.widths import CheckedValues
from app.domain.job import Status
from app.domain.spec import JobSpec
from app.persistence.filters import Filter
from app.services.idempotency import Transaction
from app.services.jobs import JobView

router = APIRouter(prefix="/v1/jobs", tags=["Jobs"], dependencies=[CheckedQuery])


PYTHON = "text/x-python"
_SCRIPT: Responses = {**problems(404, 409), 200: content({PYTHON: SCRIPT}, description="A Python script.")}
_METADATA: dict[str, Any] = {
    "parameters": [
        {
            "name": "metadata",
            "in": "query",
            "style": "deepObject",
            "explode": True,
            "required": False,
            "description": "`metadata[team]=a`: the job has that value under that key; may be given for several keys.",
            "schema": {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {"type": "string"}},
            "example": {"team": "a"},
        }
    ]
}
_CREATED = created(Job)


class JobQuery(Paging):
    """Which jobs, and which page of them."""

    after: Annotated[str | None, cursor_of("job")] = None
    status: list[Status] = Field([], description="May be given more than once.")
    dataset: str | None = Field(None, description="The id of the dataset that they train on.")
    name: str | None = Field(None, description="Their whole name.")
    sweep: str | None = Field(None, description="The id of the sweep whose trials they are.")
    created_after: Instant | None = Field(None, description="`created_at` is later than this.")
    created_before: Instant | None = Field(None, description="`created_at` is earlier than this.")

    def filter(self, metadata: Sequence[tuple[str, str]]) -> Filter:
        """As the tables take it."""
        return Filter(
            statuses=self.status,
            dataset=self.dataset,
            name=self.name,
            sweep=self.sweep,
            metadata=metadata,
            created_after=self.created_after and last_told_as(self.created_after),
            created_before=self.created_before and first_told_as(self.created_before),
        )


@router.post("", status_code=201, operation_id="create_job", responses=_CREATED, dependencies=[CheckedValues, CheckedText])
def create(
    spec: Annotated[JobSpec, Body(openapi_examples=IRIS_BY_HAND)],
    caller: CallerOf,
    services: ServicesOf,
    idempotency_key: KeyOf = None,
) -> Response:
    """Queue a job. Only `dataset` and `target` are required; `resolved_spec` shows what became of the rest."""
    once = Once(services.idempotency, key_of(caller, idempotency_key, "job", spec))

    def remember(transaction: Transaction, view: JobView) -> None:
        once.remember(transaction, Job.of(view), location=f"/v1/jobs/{view.row.id}")

    return once.run(lambda: services.jobs.create(caller, spec, remember))


@router.get("", operation_id="list_jobs", responses=problems(), openapi_extra=_METADATA)
def list_jobs(query: Annotated[JobQuery, Query()], request: Request, caller: CallerOf, services: ServicesOf) -> Listing[Job]:
    """Jobs, newest first; those for which all of the parameters hold."""
    filter = query.filter(entries_of(request, "metadata"))
    views = services.jobs.page(caller, query.page("job"), filter)
    return Listing[Job].of(views, limit=query.limit, answer=Job.of, cursor=lambda job: job.id)


@router.get("/{job_id}", operation_id="get_job", responses=problems(404))
async def get(job_id: str, caller: CallerOf, services: ServicesOf, wait: Wait = 0) -> Job:
    """One job; with `wait` as soon as it is terminal, or as it is after that many seconds."""
    if wait:
        await services.histories.until_over(caller, job_id, seconds=wait)
    return Job.of(await to_thread.run_sync(services.jobs.find, caller, job_id))


@router.delete("/{job_id}", status_code=204, response_class=Response, operation_id="delete_job", responses=problems(404, 409))
def delete(job_id: str, caller: CallerOf, services: ServicesOf) -> None:
    """Delete a job that is over, with its history and checkpoints."""
    services.jobs.delete(caller, job_id)


@router.post("/{job_id}/cancel", operation_id="cancel_job", responses=problems(404))
def cancel(job_id: str, caller: CallerOf, services: ServicesOf) -> Job:
    """Stop a job and keep what it learned; one that is over is answered unchanged."""
    return Job.of(services.jobs.cancel(caller, job_id))


@router.post("/{job_id}/pause", operation_id="pause_job", responses=problems(404, 409))
def pause(job_id: str, caller: CallerOf, services: ServicesOf) -> Job:
    """Give the worker back; `resume` continues exactly where the job stood."""
    return Job.of(services.jobs.pause(caller, job_id))


@router.post("/{job_id}/resume", operation_id="resume_job", responses=problems(404, 409))
def resume(job_id: str, caller: CallerOf, services: ServicesOf) -> Job:
    """Queue a paused job again."""
    return Job.of(services.jobs.resume(caller, job_id))


@router.get("/{job_id}/code", operation_id="get_job_code", response_class=Response, responses=_SCRIPT)
def code(job_id: str, caller: CallerOf, services: ServicesOf) -> Response:
    """The job as a plain torch script: reads the dataset as CSV and prints the losses that are stored here, epoch by epoch.

    422 `not_supported` names what a script cannot say yet; 409 where a dataset that it reads is gone.
    """
    script = services.scripts.of_job(caller, job_id)
    headers = {"Content-Disposition": f'attachment; filename="{job_id}.py"'}
    return Response(script, media_type=PYTHON, headers=headers)


@router.get("/{job_id}/events", operation_id="list_job_events", responses=problems(404))
def list_events(
    job_id: str,
    caller: CallerOf,
    services: ServicesOf,
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS, description="How many events at most.")] = 20,
    after: Annotated[str | None, Query(max_length=64, description="The `next` of the page before, or an event's id.")] = None,
) -> Listing[Event]:
    """What happened to a job, oldest first."""
    rows = services.jobs.events(caller, job_id, after=after, limit=limit + 1)
    return Listing[Event].of(rows, limit=limit, answer=Event.of, cursor=lambda event: event.id)
