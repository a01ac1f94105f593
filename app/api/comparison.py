"""The histories of several jobs in one answer, for comparing."""

import hashlib
from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, Field

from app.api.access import CallerOf
from app.api.answer_examples import IDS
from app.api.answers import Listing
from app.api.etags import known_by, weak
from app.api.faults import QUERY
from app.api.history import CACHING, JSON, MOST_EPOCHS, History, history_json, version
from app.api.openapi import Responses, problems
from app.api.queries import LARGEST, CheckedQuery
from app.api.services import ServicesOf
from app.domain.errors import Invalid
from app.persistence.rows import JobState
from app.services.pages import HistoryPage, Window

router = APIRouter(prefix="/v1/history", tags=["History"], dependencies=[CheckedQuery])

MOST_JOBS = 100
MOST_POINTS = 200_000
_ANSWERS: Responses = {
    **problems(404),
    200: {"model": Listing[History]},
    304: {"description": "`If-None-Match` names the jobs as they stand."},
}


class ComparisonQuery(BaseModel):
    """Which jobs, and which of their epochs."""

    job: list[str] = Field(
        min_length=1, max_length=MOST_JOBS, description="An id; given once for each job.", examples=[[IDS["job_id"]]]
    )
    after: int = Field(0, ge=0, le=LARGEST, description="Epochs beyond this one.")
    before: int | None = Field(None, ge=0, le=LARGEST, description="None of this epoch or later.")
    every: int = Field(1, ge=1, le=LARGEST, description="Epoch 1 and each n-th.")
    max_points: int = Field(
        500, ge=2, le=MOST_EPOCHS, description=f"Epochs of each job, at most; {MOST_POINTS} of all jobs together."
    )

    @property
    def jobs(self) -> list[str]:
        """Each once; Invalid where the answer would be too long."""
        jobs = list(dict.fromkeys(self.job))
        if len(jobs) * self.max_points > MOST_POINTS:
            detail = f"{len(jobs)} jobs have room for {MOST_POINTS // len(jobs)} points each."
            raise Invalid.at(f"{QUERY}max_points", detail, code="too_large")
        return jobs


@router.get("", operation_id="compare_histories", responses=_ANSWERS)
async def get(
    query: Annotated[ComparisonQuery, Query()],
    caller: CallerOf,
    services: ServicesOf,
    if_none_match: Annotated[str | None, Header(description="The `ETag` of an answer that is known.")] = None,
) -> Response:
    """Losses and metrics of up to a hundred jobs in the order asked for, each in at most `max_points` epochs."""
    ids = query.jobs
    states = await services.histories.states(caller, ids)
    tag, known = _version(states), known_by(if_none_match)
    headers = {"ETag": weak(tag), **CACHING}
    if known and known(tag):
        return Response(status_code=304, headers=headers)
    window = Window(**query.model_dump(exclude={"job"}))
    pages = [await services.histories.page(caller, job, window, write=history_json) for job in ids]
    bodies = b",".join(page.body for page in pages if isinstance(page, HistoryPage))
    body = b'{"object":"list","data":[%s],"has_more":false,"next":null}' % bodies
    return Response(body, media_type=JSON, headers=headers)


def _version(jobs: Iterable[JobState]) -> str:
    """Of all jobs together, short enough for a header."""
    return hashlib.sha256(" ".join(f"{job.id}-{version(job)}" for job in jobs).encode()).hexdigest()[:32]
