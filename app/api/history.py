"""The history of a job over HTTP: columns, straight to bytes."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field

from app.api.accept import preferred
from app.api.access import CallerOf
from app.api.answers import Answer
from app.api.etags import known_by, weak
from app.api.faults import HEADER
from app.api.openapi import problems
from app.api.queries import LARGEST, LONGEST_WAIT, CheckedQuery
from app.api.services import ServicesOf
from app.domain.errors import Fault, NotSupported
from app.domain.history import EpochColumns
from app.domain.job import Status
from app.domain.numbers import JsonNumber, column_to_json
from app.persistence.jobs import Pulse
from app.persistence.rows import JobRow
from app.services.history import HistoryPage, Knows, Window

router = APIRouter(prefix="/v1/jobs/{job_id}/history", tags=["History"], dependencies=[CheckedQuery])

MOST_EPOCHS = 10_000
_CACHING = {"Cache-Control": "no-cache", "Vary": "Accept"}
_TYPES = (
    "application/json",
    "text/csv",
    "application/x-ndjson",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.arrow.file",
)


class HistoryQuery(BaseModel):
    """Which epochs."""

    after: int = Field(0, ge=0, le=LARGEST, description="Epochs beyond this one.")
    before: int | None = Field(None, ge=0, le=LARGEST, description="None of this epoch or later.")
    limit: int = Field(1000, ge=1, le=MOST_EPOCHS)
    every: int = Field(1, ge=1, le=LARGEST, description="Epoch 1 and each n-th.")
    max_points: int | None = Field(
        None, ge=2, le=MOST_EPOCHS, description="The whole range in so many epochs, with every curve's extremes; no `limit`."
    )
    wait: float = Field(0, ge=0, le=LONGEST_WAIT, description="Hold the answer until there is something new, at most so long.")


class History(Answer):
    """Columns of one length, ascending by epoch; `next` continues as `after`."""

    object: str = "history"
    job: str
    epoch: list[int]
    train_loss: list[JsonNumber]
    val_loss: list[JsonNumber]
    learning_rate: list[JsonNumber]
    seconds: list[float]
    metrics: dict[str, list[JsonNumber]]
    total: int
    sampled: bool
    next: int
    has_more: bool
    status: Status
    terminal: bool


@router.get(
    "", operation_id="get_history", responses={**problems(404), 200: {"model": History}, 304: {"description": "Unchanged."}}
)
async def get(
    job_id: str,
    query: Annotated[HistoryQuery, Query()],
    request: Request,
    caller: CallerOf,
    services: ServicesOf,
    if_none_match: Annotated[
        str | None, Header(description="The `ETag` of an answer before; 304 where it still holds.")
    ] = None,
) -> Response:
    """Losses and metrics by epoch; `wait` and `If-None-Match` make polling cheap."""
    if preferred(request, _TYPES) != _TYPES[0]:
        detail = "The history is answered as application/json in this version."
        raise NotSupported([Fault(f"{HEADER}Accept", "not_supported", detail)])
    window = Window(**query.model_dump(exclude={"wait"}))
    found = await services.histories.page(caller, job_id, window, wait=query.wait, knows=_knows(if_none_match))
    if isinstance(found, Pulse):
        return Response(status_code=304, headers={"ETag": weak(version(found)), **_CACHING})
    headers = {"ETag": weak(version(found.job)), **_CACHING}
    return Response(history_json(found, after=query.after), media_type="application/json", headers=headers)


def _knows(if_none_match: str | None) -> Knows | None:
    known = known_by(if_none_match)
    return None if known is None else lambda pulse: known(version(pulse))


def version(state: Pulse | JobRow) -> str:
    """What changes with everything that an answer about a job's epochs could tell."""
    return f"{state.number}-{state.revision}"


def history_json(page: HistoryPage, *, after: int) -> bytes:
    """The answer; pydantic would take longer than all the rest."""
    job, columns = page.job, page.columns
    return orjson.dumps(
        {
            "object": "history",
            "job": job.id,
            **columns_to_json(columns),
            "total": page.total,
            "sampled": page.sampled,
            "next": columns.epoch[-1] if columns.epoch else after,
            "has_more": page.has_more,
            "status": job.status,
            "terminal": job.status.terminal,
        }
    )


def columns_to_json(columns: EpochColumns) -> dict[str, Any]:
    """The columns, non-finite numbers as strings."""
    return {
        "epoch": columns.epoch,
        "train_loss": column_to_json(columns.train_loss),
        "val_loss": column_to_json(columns.val_loss),
        "learning_rate": column_to_json(columns.learning_rate),
        "seconds": columns.seconds,
        "metrics": {name: column_to_json(values) for name, values in columns.metrics.items()},
    }
