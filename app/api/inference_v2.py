"""The Open Inference Protocol (V2) over HTTP: every job by its id, and every model by its name."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version as version_of
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Response

from app.api.access import CallerOf
from app.api.calls import Call, CallOf
from app.api.compressed import LEAST_BYTES, compressed, encoding_for
from app.api.faults import HEADER
from app.api.inference_answers import INFERRED, REQUEST, Metadata, ModelReady, ServerLive, ServerMetadata, ServerReady
from app.api.openapi import Responses, problems, problems_of_a_probe
from app.api.queries import CheckedQuery
from app.api.replies import Reply
from app.api.services import Services, ServicesOf
from app.domain.caller import Caller
from app.domain.errors import Invalid, Unavailable
from app.services.choices import Thing, with_what_is_there
from app.serving.told import Told, Written
from app.serving.v2.answer import HEADER_LENGTH, write_answer
from app.serving.v2.metadata import EXTENSIONS, metadata
from app.serving.v2.source import InferSource

router = APIRouter(prefix="/v2", tags=["Inference"], dependencies=[CheckedQuery])

VersionOf = Annotated[str, Path(description="A number, or an alias; of a job a checkpoint.", examples=["default"])]

_OF_MODEL = problems(404, 409)
_READY: Responses = {**problems_of_a_probe(), 503: problems()[503]}


@router.get("", operation_id="get_inference_server", responses=problems())
async def server() -> ServerMetadata:
    """The server's name, version and extensions."""
    return ServerMetadata(name="trainyard", version=version_of("trainyard"), extensions=EXTENSIONS)


@router.get("/health/live", operation_id="is_inference_server_live", responses=problems_of_a_probe())
async def live() -> ServerLive:
    """The process answers; needs no key."""
    return ServerLive(live=True)


@router.get("/health/ready", operation_id="is_inference_server_ready", responses=_READY)
def ready(services: ServicesOf) -> ServerReady:
    """Whether models can be read: database and storage answer; needs no key."""
    if not services.health.can_predict():
        raise Unavailable("The database or the storage does not answer.")
    return ServerReady(ready=True)


@router.get("/models/{name}", operation_id="get_inference_model", responses=_OF_MODEL)
async def model(name: str, caller: CallerOf, services: ServicesOf) -> Metadata:
    """What a model takes and gives; a job's id is a name, too."""
    return await _metadata(services, caller, Thing.named(name))


@router.get("/models/{name}/versions/{version}", operation_id="get_inference_model_version", responses=_OF_MODEL)
async def model_version(name: str, version: VersionOf, caller: CallerOf, services: ServicesOf) -> Metadata:
    """As without a version, of a number or an alias, or of one of the job's checkpoints."""
    return await _metadata(services, caller, Thing.named(name, version))


@router.get("/models/{name}/ready", operation_id="is_inference_model_ready", responses=_OF_MODEL)
async def model_ready(name: str, caller: CallerOf, services: ServicesOf) -> ModelReady:
    """Whether a model can predict: it is loaded for that."""
    return await _ready(services, caller, Thing.named(name))


@router.get("/models/{name}/versions/{version}/ready", operation_id="is_inference_model_version_ready", responses=_OF_MODEL)
async def model_version_ready(name: str, version: VersionOf, caller: CallerOf, services: ServicesOf) -> ModelReady:
    """As without a version."""
    return await _ready(services, caller, Thing.named(name, version))


@router.post("/models/{name}/infer", operation_id="infer", responses=INFERRED, openapi_extra=REQUEST)
async def infer(name: str, call: CallOf) -> Response:
    """Predict: JSON, or with the binary extension. A body without a content type is one of these, too."""
    return await _infer(call, Thing.named(name))


@router.post("/models/{name}/versions/{version}/infer", operation_id="infer_version", responses=INFERRED, openapi_extra=REQUEST)
async def infer_version(name: str, version: VersionOf, call: CallOf) -> Response:
    """As without a version."""
    return await _infer(call, Thing.named(name, version))


async def _infer(call: Call, thing: Thing) -> Response:
    services = call.services
    source, write = _source(call, await call.body(), thing)
    choose = partial(services.choices.served, call.caller, thing)
    written = await with_what_is_there(choose, partial(services.predictions.predict_soon, source, write))
    return await _response(written, call.header("accept-encoding"))


def infer_at_once(call: Call, thing: Thing) -> Reply | None:
    """As the operations do, without any waiting and of a body as it came; None where there would be some."""
    served, accepted = call.services.choices.known(call.caller, thing), call.header("accept-encoding")
    is_compressed = len(call.sent) > LEAST_BYTES and encoding_for(accepted, len(call.sent)) is not None
    if served is None or is_compressed:  # what is large is answered with much, and to compress that takes a thread
        return None
    written = call.services.predictions.predict_at_once(*_source(call, call.sent, thing), served)
    return None if written is None else _reply(written, encoding_for(accepted, len(written.body)))


def _source(call: Call, body: bytes, thing: Thing) -> tuple[InferSource, Callable[[Told], Written]]:
    source = InferSource(body, header_length=_header_length(call))

    def write(told: Told) -> Written:
        return write_answer(told, source.request, model=thing.name)

    return source, write


def _header_length(call: Call) -> int | None:
    text = call.header(HEADER_LENGTH)
    if not text:
        return None
    if not text.isdecimal() or len(text) > 12:
        raise Invalid.at(f"{HEADER}{HEADER_LENGTH}", "It should be a number of bytes.", code="bad_format")
    return int(text)


async def _response(written: Written, accepted: str) -> Response:
    encoding = encoding_for(accepted, len(written.body))
    return _reply(written, None) if encoding is None else await to_thread.run_sync(_reply, written, encoding)


def _reply(written: Written, encoding: str | None) -> Reply:
    if encoding is None:
        return Reply(written.body, written.media_type, written.headers)
    headers = {**written.headers, "Content-Encoding": encoding, "Vary": "Accept-Encoding"}
    return Reply(compressed(written.body, encoding), written.media_type, headers)


async def _metadata(services: Services, caller: Caller, thing: Thing) -> Metadata:
    served = await services.choices.served(caller, thing)
    versions = await services.choices.numbers(caller, thing)
    found = await services.predictions.ready_soon(served.checkpoint_id)
    return Metadata.model_validate(metadata(found, name=thing.name, versions=versions))


async def _ready(services: Services, caller: Caller, thing: Thing) -> ModelReady:
    served = await services.choices.served(caller, thing)
    await services.predictions.ready_soon(served.checkpoint_id)
    return ModelReady(name=thing.name, ready=True)
