"""The history of a job over HTTP: columns, straight to bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from app.api.accept import preferred
from app.api.access import CallerOf
from app.api.answer_examples import shown
from app.api.answers import Answer
from app.api.etags import known_by, weak
from app.api.faults import QUERY
from app.api.openapi import Responses, media, problems
from app.api.queries import LARGEST, LONGEST_WAIT, CheckedQuery
from app.api.report_examples import HISTORY, HISTORY_CSV, HISTORY_LINES
from app.api.services import ServicesOf
from app.domain.errors import Invalid
from app.domain.history import EpochColumns
from app.domain.job import Status
from app.domain.numbers import JsonNumber, column_to_json
from app.persistence.rows import JobState
from app.services.downloads import Arrow, Csv, JsonLines, Writer
from app.services.history import Knows
from app.services.pages import Columns, HistoryPage, Window, metrics_of

router = APIRouter(prefix="/v1/jobs/{job_id}/history", tags=["History"], dependencies=[CheckedQuery])

MOST_EPOCHS = 10_000
CACHING = {"Cache-Control": "no-cache", "Vary": "Accept"}
JSON = "application/json"


@dataclass(frozen=True)
class _Form:
    """A form of the whole other than JSON."""

    type: str
    suffix: str
    writer: Callable[[Sequence[str]], Writer]


_FORMS = {
    form.type: form
    for form in (
        _Form("text/csv", "csv", Csv),
        _Form("application/x-ndjson", "jsonl", JsonLines),
        _Form("application/vnd.apache.arrow.stream", "arrows", Arrow),
    )
}


class HistoryQuery(BaseModel):
    """Which epochs."""

    after: int = Field(0, ge=0, le=LARGEST, description="Epochs beyond this one.")
    before: int | None = Field(None, ge=0, le=LARGEST, description="None of this epoch or later.")
    limit: int = Field(1000, ge=1, le=MOST_EPOCHS, description="How many epochs at most.")
    every: int = Field(1, ge=1, le=LARGEST, description="Epoch 1 and each n-th.")
    max_points: int | None = Field(
        None, ge=2, le=MOST_EPOCHS, description="The whole range in so many epochs, with every curve's extremes; no `limit`."
    )
    columns: Columns = Field("all", description="Everything, or only `epoch`, `train_loss` and `val_loss`.")
    wait: float = Field(0, ge=0, le=LONGEST_WAIT, description="Hold the answer until there is something new, at most so long.")

    @property
    def window(self) -> Window:
        """As the service takes it."""
        return Window(**self.model_dump(exclude={"wait"}))

    @property
    def whole(self) -> Window:
        """The same for a file, which has every epoch unless a `limit` is given."""
        if self.columns != "all":
            raise Invalid.at(f"{QUERY}columns", "Only JSON leaves columns out, a file has all of them.", code="not_allowed")
        if self.max_points is not None:
            raise Invalid.at(f"{QUERY}max_points", "Only JSON is sampled, a file has every epoch.", code="not_allowed")
        return self.window if "limit" in self.model_fields_set else replace(self.window, limit=LARGEST)


class History(Answer):
    """Columns of one length, ascending by epoch; `next` continues as `after`.

    `learning_rate`, `seconds` and `metrics` are left out where only the losses were asked for.
    """

    model_config = {**shown(HISTORY), "json_schema_serialization_defaults_required": False}

    object: Literal["history"]
    job: str
    epoch: list[int]
    train_loss: list[JsonNumber]
    val_loss: list[JsonNumber]
    learning_rate: list[JsonNumber] = []
    seconds: list[float] = []
    metrics: dict[str, list[JsonNumber]] = {}
    total: int
    sampled: bool
    next: int
    has_more: bool
    status: Status
    terminal: bool


_DOWNLOADS = media(dict(zip(_FORMS, (HISTORY_CSV, HISTORY_LINES, None), strict=True)))
_ANSWERS: Responses = {
    **problems(404),
    200: {"model": History, "content": _DOWNLOADS},
    304: {"description": "`If-None-Match` names the job as it stands."},
}


@router.get("", operation_id="get_history", responses=_ANSWERS)
async def get(
    job_id: str,
    query: Annotated[HistoryQuery, Query()],
    request: Request,
    caller: CallerOf,
    services: ServicesOf,
    if_none_match: Annotated[str | None, Header(description="The `ETag` of an answer that is known.")] = None,
) -> Response:
    """Losses and metrics by epoch; `wait` and `If-None-Match` make polling cheap.

    As CSV, JSON Lines or Arrow everything that the job has, streamed: there `limit` counts only where it is given.
    """
    form = _FORMS.get(preferred(request, (JSON, *_FORMS)))
    window = query.window if form is None else replace(query.whole, limit=1)
    write = None if form else partial(history_json, columns=query.columns)
    found = await services.histories.page(
        caller, job_id, window, wait=query.wait, knows=_knows(if_none_match, form), write=write
    )
    headers = {"ETag": weak(version(found if isinstance(found, JobState) else found.job, form)), **CACHING}
    if isinstance(found, JobState):
        return Response(status_code=304, headers=headers)
    if form is None:
        return Response(found.body, media_type=JSON, headers=headers)
    pieces = services.histories.pieces(found.job, query.whole, form.writer(metrics_of(found.job)))
    headers["Content-Disposition"] = f'attachment; filename="{job_id}.{form.suffix}"'
    return StreamingResponse(pieces, media_type=form.type, headers=headers)


def _knows(if_none_match: str | None, form: _Form | None) -> Knows | None:
    known = known_by(if_none_match)
    return None if known is None else lambda job: known(version(job, form))


def version(job: JobState, form: _Form | None = None) -> str:
    """What changes with everything that an answer about the job's epochs could tell."""
    return f"{job.revision}" + (f"-{form.suffix}" if form else "")


def history_json(page: HistoryPage, *, columns: Columns = "all") -> bytes:
    """The answer; pydantic would take longer than all the rest."""
    job = page.job
    return orjson.dumps(
        {
            "object": "history",
            "job": job.id,
            **(columns_to_json if columns == "all" else _losses_to_json)(page.columns),
            "total": page.total,
            "sampled": page.sampled,
            "next": page.next,
            "has_more": page.has_more,
            "status": job.status,
            "terminal": job.status.terminal,
        }
    )


def columns_to_json(columns: EpochColumns) -> dict[str, Any]:
    """The columns, non-finite numbers as strings."""
    return {
        **_losses_to_json(columns),
        "learning_rate": column_to_json(columns.learning_rate),
        "seconds": columns.seconds,
        "metrics": {name: column_to_json(values) for name, values in columns.metrics.items()},
    }


def _losses_to_json(columns: EpochColumns) -> dict[str, Any]:
    return {
        "epoch": columns.epoch,
        "train_loss": column_to_json(columns.train_loss),
        "val_loss": column_to_json(columns.val_loss),
    }
