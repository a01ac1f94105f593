"""Checkpoints over HTTP: lists, and downloads with ranges and entity tags."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import StreamingResponse

from app.api.access import CallerOf
from app.api.answers import Checkpoint, Listing
from app.api.openapi import content, problems
from app.api.queries import CheckedQuery
from app.api.ranges import part_of
from app.api.services import ServicesOf
from app.domain.manifest import MANIFEST

router = APIRouter(prefix="/v1", tags=["Checkpoints"], dependencies=[CheckedQuery])

_TYPES = {MANIFEST: "application/json"}
BINARY = "application/octet-stream"
_FILE = content(BINARY, "application/json", description="The file.")
_PART = content(BINARY, description="The part that `Range` asked for.")


@router.get("/jobs/{job_id}/checkpoints", operation_id="list_checkpoints", responses=problems(404))
def list_checkpoints(job_id: str, caller: CallerOf, services: ServicesOf) -> Listing[Checkpoint]:
    """A job's checkpoints in the order of their epochs."""
    return Listing[Checkpoint].whole(Checkpoint.of(view) for view in services.checkpoints.of_job(caller, job_id))


@router.get("/checkpoints/{checkpoint_id}", operation_id="get_checkpoint", responses=problems(404))
def get(checkpoint_id: str, caller: CallerOf, services: ServicesOf) -> Checkpoint:
    """One checkpoint."""
    return Checkpoint.of(services.checkpoints.find(caller, checkpoint_id))


@router.get(
    "/checkpoints/{checkpoint_id}/files/{name}",
    operation_id="download_checkpoint_file",
    response_class=Response,
    responses={**problems(404, 416, 500), 200: _FILE, 206: _PART, 304: {"description": "Unchanged."}},
)
def download(
    checkpoint_id: str,
    name: str,
    caller: CallerOf,
    services: ServicesOf,
    if_none_match: Annotated[str | None, Header()] = None,
    if_range: Annotated[str | None, Header()] = None,
    range: Annotated[str | None, Header()] = None,
) -> Response:
    """`weights.safetensors`, `model.json` or `model.onnx`; the entity tag is the file's SHA-256."""
    file = services.checkpoints.file(caller, checkpoint_id, name)
    tag = f'"{file.sha256}"'
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "private, max-age=31536000, immutable"}
    if if_none_match is not None and (if_none_match == "*" or tag in if_none_match):
        return Response(status_code=304, headers=headers)
    part = part_of(range if if_range in (None, tag) else None, file.bytes)
    headers["Content-Length"] = str(part.stop - part.start)
    headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    if len(part) < file.bytes:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{file.bytes}"
    body = services.checkpoints.stream(checkpoint_id, file, start=part.start, end=part.stop)
    status = 206 if "Content-Range" in headers else 200
    return StreamingResponse(body, status_code=status, media_type=_TYPES.get(name, BINARY), headers=headers)
