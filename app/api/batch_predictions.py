"""Batch predictions over HTTP."""

from collections.abc import Iterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Query, Response
from fastapi.responses import StreamingResponse

from app.api.access import CallerOf
from app.api.answers import Listing
from app.api.batch_answers import BatchPrediction
from app.api.batch_examples import BATCH_CSV, BATCH_LINES
from app.api.examples import BATCH
from app.api.files import FOREVER, AskedOf, Download, in_parts
from app.api.once import KeyOf, Once, key_of
from app.api.openapi import Example, Responses, content, created, problems
from app.api.queries import CheckedQuery, Paging, Wait, cursor_of
from app.api.services import ServicesOf
from app.api.texts import CheckedText
from app.api.widths import CheckedValues
from app.domain.batch_prediction import BatchSpec, Format
from app.persistence.batch_rows import BatchPredictionRow
from app.services.idempotency import Transaction

router = APIRouter(prefix="/v1/batch_predictions", tags=["Predictions"], dependencies=[CheckedQuery])

TYPES: dict[Format, str] = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv"}
LINES = "application/x-ndjson"
_SHOWN: dict[str, Example] = {TYPES["parquet"]: None, TYPES["csv"]: BATCH_CSV}
_CREATED = created(BatchPrediction)
_CONTENT: Responses = {
    **problems(404, 409, 416),
    200: content(_SHOWN, description="A row of predictions for each row of the dataset, in its order."),
    **in_parts(*TYPES.values()),
}
_WARNINGS: Responses = {
    **problems(404, 409),
    200: content({LINES: BATCH_LINES}, description="A line of JSON for each warning."),
}


class BatchQuery(Paging):
    """Which page of the batch predictions."""

    after: Annotated[str | None, cursor_of("bp")] = None


@router.post(
    "",
    status_code=201,
    operation_id="create_batch_prediction",
    responses=_CREATED,
    dependencies=[CheckedValues, CheckedText],
)
def create(
    spec: Annotated[BatchSpec, Body(openapi_examples=BATCH)],
    caller: CallerOf,
    services: ServicesOf,
    idempotency_key: KeyOf = None,
) -> Response:
    """Predict all rows of a dataset on the workers, with a checkpoint of a job or a version of a model, which is fixed now."""
    once = Once(services.idempotency, key_of(caller, idempotency_key, "batch_prediction", spec))

    def remember(transaction: Transaction, row: BatchPredictionRow) -> None:
        once.remember(transaction, BatchPrediction.of(row), location=f"/v1/batch_predictions/{row.id}")

    return once.run(lambda: services.batch_creation.create(caller, spec, remember))


@router.get("", operation_id="list_batch_predictions", responses=problems())
def list_batch_predictions(
    query: Annotated[BatchQuery, Query()], caller: CallerOf, services: ServicesOf
) -> Listing[BatchPrediction]:
    """Batch predictions, newest first."""
    rows = services.batch_predictions.page(caller, query.page("bp"))
    return Listing[BatchPrediction].of(rows, limit=query.limit, answer=BatchPrediction.of, cursor=lambda found: found.id)


@router.get("/{batch_id}", operation_id="get_batch_prediction", responses=problems(404))
async def get(batch_id: str, caller: CallerOf, services: ServicesOf, wait: Wait = 0) -> BatchPrediction:
    """One batch prediction; with `wait` as soon as it is terminal, or as it is after that many seconds."""
    if wait:
        await services.batch_predictions.until_over(caller, batch_id, seconds=wait)
    return BatchPrediction.of(await to_thread.run_sync(services.batch_predictions.find, caller, batch_id))


@router.delete(
    "/{batch_id}",
    status_code=204,
    response_class=Response,
    operation_id="delete_batch_prediction",
    responses=problems(404, 409),
)
def delete(batch_id: str, caller: CallerOf, services: ServicesOf) -> None:
    """Delete a batch prediction that is over, with what it predicted."""
    services.batch_predictions.delete(caller, batch_id)


@router.post("/{batch_id}/cancel", operation_id="cancel_batch_prediction", responses=problems(404))
def cancel(batch_id: str, caller: CallerOf, services: ServicesOf) -> BatchPrediction:
    """Stop a batch prediction and keep nothing of it; one that is over is answered unchanged."""
    return BatchPrediction.of(services.batch_predictions.cancel(caller, batch_id))


@router.post("/{batch_id}/pause", operation_id="pause_batch_prediction", responses=problems(404, 409))
def pause(batch_id: str, caller: CallerOf, services: ServicesOf) -> BatchPrediction:
    """Give the worker back; `resume` continues behind the last part."""
    return BatchPrediction.of(services.batch_predictions.pause(caller, batch_id))


@router.post("/{batch_id}/resume", operation_id="resume_batch_prediction", responses=problems(404, 409))
def resume(batch_id: str, caller: CallerOf, services: ServicesOf) -> BatchPrediction:
    """Queue a paused batch prediction again."""
    return BatchPrediction.of(services.batch_predictions.resume(caller, batch_id))


@router.get("/{batch_id}/content", operation_id="download_batch_prediction", response_class=Response, responses=_CONTENT)
def download(batch_id: str, caller: CallerOf, services: ServicesOf, asked: AskedOf) -> Response:
    """What was predicted, as Parquet or CSV; 409 before it has succeeded."""
    row = services.batch_contents.find(caller, batch_id)

    def stream(start: int, end: int) -> Iterator[bytes]:
        return services.batch_contents.stream(row, start=start, end=end)

    name = f"{row.id}.{row.format}"
    return Download(name=name, tag=f'"{row.id}"', bytes=row.bytes, type=TYPES[row.format]).answer(asked, stream, FOREVER)


@router.get("/{batch_id}/warnings", operation_id="list_batch_prediction_warnings", response_class=Response, responses=_WARNINGS)
def warnings(batch_id: str, caller: CallerOf, services: ServicesOf) -> Response:
    """The first 10 000 warnings with their rows, which count from 0, as JSON Lines; 409 before it has succeeded."""
    row = services.batch_contents.find(caller, batch_id)
    return StreamingResponse(services.batch_contents.warnings(row), media_type=LINES, headers=FOREVER)
