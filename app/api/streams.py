"""A job's stream over HTTP: Server-Sent Events, or lines for people with curl."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Annotated
from weakref import WeakKeyDictionary

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from app.api.accept import preferred
from app.api.access import CallerOf
from app.api.answers import Job, rfc3339
from app.api.faults import HEADER, QUERY
from app.api.history import columns_to_json
from app.api.openapi import content, problems
from app.api.queries import LARGEST, CheckedQuery
from app.api.report_examples import STREAM, STREAM_LINES
from app.api.services import ServicesOf
from app.domain.errors import Invalid
from app.domain.job import Status
from app.persistence.rows import JobRow
from app.services.jobs import JobView
from app.services.streams import Done, Happened, Heartbeat, Item, NewEpochs, Position, status_after

router = APIRouter(prefix="/v1/jobs/{job_id}/stream", tags=["History"], dependencies=[CheckedQuery])

SSE, TEXT = "text/event-stream", "text/plain"
_POSITION = re.compile(r"([0-9]{1,10})(?:[.]([0-9]{1,10}))?")
_WRITTEN = {"pattern": f"^{_POSITION.pattern.replace('?:', '')}$"}
_ANSWER = content(
    {SSE: STREAM, TEXT: STREAM_LINES},
    description="Events `epochs`, `status`, `checkpoint`, and `done` last; or a line for each epoch.",
)
_ANSWER["content"][SSE]["schema"] = {}  # of a stream of events there is none before OpenAPI 3.2
_GONE = {"description": "`Last-Event-ID` is that of `done`, or a later one: there is nothing left to tell."}


@router.get("", operation_id="stream_job", response_class=Response, responses={**problems(404), 200: _ANSWER, 204: _GONE})
def stream(
    job_id: str,
    request: Request,
    caller: CallerOf,
    services: ServicesOf,
    every: Annotated[int, Query(ge=1, le=LARGEST, description="Epoch 1 and each n-th.")] = 1,
    after: Annotated[
        str | None, Query(description="An event's id: what followed it; or an epoch.", json_schema_extra=_WRITTEN)
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="The id of the last event that was received.", json_schema_extra=_WRITTEN)
    ] = None,
) -> Response:
    """What was missed, then what comes, until the job is over."""
    job = services.streams.find(caller, job_id)
    position = _position(after, f"{QUERY}after")
    if last_event_id is not None:  # a browser that reconnects sends its first URL again
        position = _position(last_event_id, f"{HEADER}Last-Event-ID")
        if services.streams.knows_the_end(job, position):
            return Response(status_code=204)
    items = services.streams.follow(job, position, every=every)
    type = preferred(request, (SSE, TEXT))
    return StreamingResponse(
        _PENS[type].write(items), media_type=type, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    )


def _position(text: str | None, place: str) -> Position:
    if text is None:
        return Position()
    match = _POSITION.fullmatch(text)
    if match is None:
        raise Invalid.at(place, "It is neither an event's id such as `120.3` nor an epoch.", code="bad_format")
    return Position(min(LARGEST, int(match[1])), min(LARGEST, int(match[2] or 0)))


class _Pen:
    """Writes items, and each only once, however many streams it is for."""

    def __init__(self, write: Callable[[Item], bytes]) -> None:
        self._write = write
        self._written: WeakKeyDictionary[Item, bytes] = WeakKeyDictionary()

    async def write(self, items: AsyncIterator[Item]) -> AsyncIterator[bytes]:
        """The bytes of a stream."""
        async for item in items:
            written = self._written.get(item)
            if written is None:
                written = self._written[item] = self._write(item)
            yield written


def _event(item: Item) -> bytes:
    if isinstance(item, Heartbeat):
        return format_sse_event(comment="nothing new")
    name, data = _named(item)
    id = f"{item.position.epoch}.{item.position.sequence}"
    return format_sse_event(event=name, id=id, data_str=orjson.dumps({"job": item.job.id, **data}).decode())


def _named(item: Item) -> tuple[str, dict[str, object]]:
    """An item's event and its data."""
    if isinstance(item, NewEpochs):
        return "epochs", columns_to_json(item.columns)
    if isinstance(item, Done):
        return "done", _ending(item.job)
    assert isinstance(item, Happened)
    event = item.event
    data: dict[str, object] = {"event": event.type, "created_at": rfc3339(event.created_at), **event.data}
    status = status_after(event)
    if status is None:
        return ("checkpoint" if "checkpoint" in event.type else "event"), data
    return "status", {"status": status, "terminal": status.terminal, **data}


def _ending(row: JobRow) -> dict[str, object]:
    job = Job.of(JobView(row=row))
    return job.model_dump(mode="json", include={"status", "terminal", "stop_reason", "error", "progress", "best", "test"})


def _lines(item: Item) -> bytes:
    if isinstance(item, Happened):
        return _sentence(item.job, status_after(item.event)).encode()
    if not isinstance(item, NewEpochs):
        return b""
    columns, epochs = item.columns, item.job.epochs
    rows = zip(columns.epoch, columns.train_loss, columns.val_loss, strict=True)
    return "".join(_line(epoch, epochs, train=train, val=val) for epoch, train, val in rows).encode()


def _sentence(job: JobRow, status: Status | None) -> str:
    """Why no epoch follows, where the job still stands so."""
    sentences = {
        Status.QUEUED: "Queued.",
        Status.PAUSED: f"Paused at epoch {job.epoch}.",
        Status.CANCELLED: f"Cancelled at epoch {job.epoch}.",
        Status.FAILED: f"Failed at epoch {job.epoch}, {job.error_code}: {job.error_message}",
    }
    return f"{sentences[status]}\n" if status is job.status and status in sentences else ""


def _line(epoch: int, epochs: int, *, train: float | None, val: float | None) -> str:
    losses = [f"{name}: {value:.4f}" for name, value in (("Loss", train), ("Val loss", val)) if value is not None]
    return ", ".join([f"Epoch [{epoch}/{epochs}]", *losses]) + "\n"


_PENS = {SSE: _Pen(_event), TEXT: _Pen(_lines)}
