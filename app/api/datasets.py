"""Datasets over HTTP."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.api.accept import preferred
from app.api.access import CallerOf
from app.api.answers import Listing
from app.api.dataset_answers import Dataset, DatasetColumns, DescribedDataset, RowList
from app.api.etags import weak
from app.api.files import FOREVER, Asked, AskedOf, Download, in_parts
from app.api.once import KeyOf
from app.api.openapi import Responses, content, created, problems
from app.api.queries import LARGEST, MOST_ITEMS, CheckedQuery, Paging, cursor_of
from app.api.receiving import UPLOAD_BODY, Receiver
from app.api.report_examples import ROWS_CSV
from app.api.services import ServicesOf
from app.services.contents import read_rows, to_csv

router = APIRouter(prefix="/v1/datasets", tags=["Datasets"], dependencies=[CheckedQuery])

_CREATED = created(DescribedDataset)
_ROWS: Responses = {**problems(404), 200: {"model": RowList}}
PARQUET, CSV = "application/vnd.apache.parquet", "text/csv"
NameOf = Annotated[str | None, Query(max_length=200, description="What people call it.")]
SchemaOf = Annotated[str | None, Query(description='JSON: `{"columns": {"zip": "categorical"}, "missing": ["?"]}`.')]


class DatasetQuery(Paging):
    """Which page of the datasets."""

    after: Annotated[str | None, cursor_of("ds")] = None


@router.post("", status_code=201, operation_id="create_dataset", responses=_CREATED, openapi_extra=UPLOAD_BODY)
async def create(
    request: Request,
    caller: CallerOf,
    services: ServicesOf,
    name: NameOf = None,
    schema: SchemaOf = None,
    idempotency_key: KeyOf = None,
) -> Response:
    """Store an upload: a file as the raw body or as multipart `file`, or rows, columns or a sample in JSON.

    Text may be compressed by gzip or zstd. JSON Lines have an object a line, such as `{"height": 5.1, "ripe": true}`.
    """
    return await Receiver(request, caller, services, idempotency_key).receive(name=name, schema=schema)


@router.get("", operation_id="list_datasets", responses=problems())
def list_datasets(query: Annotated[DatasetQuery, Query()], caller: CallerOf, services: ServicesOf) -> Listing[Dataset]:
    """Datasets, newest first, without their columns."""
    rows = services.datasets.page(caller, query.page("ds"))
    return Listing[Dataset].of(rows, limit=query.limit, answer=Dataset.model_validate, cursor=lambda dataset: dataset.id)


@router.get("/{dataset_id}", operation_id="get_dataset", responses=problems(404))
def get(dataset_id: str, caller: CallerOf, services: ServicesOf) -> DescribedDataset:
    """One dataset with its columns."""
    return DescribedDataset.of(services.datasets.find(caller, dataset_id))


@router.delete(
    "/{dataset_id}", status_code=204, response_class=Response, operation_id="delete_dataset", responses=problems(404, 409)
)
def delete(dataset_id: str, caller: CallerOf, services: ServicesOf) -> None:
    """Delete a dataset that no live job needs."""
    services.datasets.delete(caller, dataset_id)


@router.get("/{dataset_id}/columns", operation_id="get_dataset_columns", responses=problems(404))
def columns(dataset_id: str, caller: CallerOf, services: ServicesOf) -> DatasetColumns:
    """Statistics: min, max, mean, std and quantiles, or cardinality and top values."""
    return DatasetColumns.model_validate({"dataset": dataset_id, "data": services.datasets.statistics(caller, dataset_id)})


@router.get("/{dataset_id}/rows", operation_id="preview_dataset", responses=_ROWS)
def rows(
    dataset_id: str,
    caller: CallerOf,
    services: ServicesOf,
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS, description="How many rows at most.")] = 20,
    after: Annotated[int, Query(ge=0, le=LARGEST, description="The `next` of the page before: how many rows to skip.")] = 0,
) -> Response:
    """A page of rows in their order."""
    path = services.datasets.local_file(services.datasets.find(caller, dataset_id))
    data = read_rows(path, after=after, limit=limit + 1)
    has_more = len(data) > limit
    page = {"object": "list", "data": data[:limit], "has_more": has_more, "next": str(after + limit) if has_more else None}
    return Response(orjson.dumps(page), media_type="application/json")


@router.get(
    "/{dataset_id}/content",
    operation_id="download_dataset",
    response_class=Response,
    responses={
        **problems(404, 416),
        200: content({PARQUET: None, CSV: ROWS_CSV}, description="The rows in their order."),
        **in_parts(PARQUET),
    },
)
def download(dataset_id: str, request: Request, caller: CallerOf, services: ServicesOf, asked: AskedOf) -> Response:
    """What is stored, as Parquet, also in ranges, or as CSV where `Accept` asks for text/csv."""
    row = services.datasets.find(caller, dataset_id)
    headers = {"Vary": "Accept", **FOREVER}
    if preferred(request, (PARQUET, CSV)) == CSV:
        return _csv(row.id, asked, headers, lambda: to_csv(services.datasets.local_file(row)))

    def stream(start: int, end: int) -> Iterator[bytes]:
        return services.datasets.stream(row, start=start, end=end)

    stored = Download(name=f"{row.id}.parquet", tag=f'"{row.id}"', bytes=row.stored_bytes, type=PARQUET)
    return stored.answer(asked, stream, headers)


def _csv(id: str, asked: Asked, headers: Mapping[str, str], stream: Callable[[], Iterator[bytes]]) -> Response:
    """The tag is weak: another version may write the same numbers in other words."""
    headers = {"ETag": weak(f"{id}.csv"), **headers}
    if asked.has(headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return StreamingResponse(stream(), media_type=CSV, headers=headers)
