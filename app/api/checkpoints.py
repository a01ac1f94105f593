"""Checkpoints over HTTP: lists, and downloads with ranges and entity tags."""

from collections.abc import Iterator

from fastapi import APIRouter, Response

from app.api.access import CallerOf
from app.api.answers import Checkpoint, Listing
from app.api.files import BINARY, FOREVER, AskedOf, Download, in_parts
from app.api.openapi import content, problems
from app.api.queries import CheckedQuery
from app.api.report_examples import MANIFEST as MANIFEST_SHOWN
from app.api.services import ServicesOf
from app.domain.manifest import MANIFEST

router = APIRouter(prefix="/v1", tags=["Checkpoints"], dependencies=[CheckedQuery])

_TYPES = {MANIFEST: "application/json"}
_FILE = content({BINARY: None, "application/json": MANIFEST_SHOWN}, description="The file.")


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
    responses={**problems(404, 416, 500), 200: _FILE, **in_parts(BINARY, "application/json")},
)
def download(checkpoint_id: str, name: str, caller: CallerOf, services: ServicesOf, asked: AskedOf) -> Response:
    """`weights.safetensors`, `model.json` or `model.onnx`; the entity tag is the file's SHA-256."""
    file = services.checkpoints.file(caller, checkpoint_id, name)

    def stream(start: int, end: int) -> Iterator[bytes]:
        return services.checkpoints.stream(checkpoint_id, file, start=start, end=end)

    stored = Download(name=file.name, tag=f'"{file.sha256}"', bytes=file.bytes, type=_TYPES.get(name, BINARY))
    return stored.answer(asked, stream, FOREVER)
