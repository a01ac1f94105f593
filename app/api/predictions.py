"""Predictions over HTTP."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from app.api.calls import Call, CallOf
from app.api.prediction_answers import ROWS, ModelPrediction, Output, Prediction, answers
from app.api.prediction_formats import source_of, writer_of
from app.api.queries import CheckedQuery
from app.api.replies import Reply
from app.services.choices import BEST, Thing, with_what_is_there

router = APIRouter(prefix="/v1", tags=["Predictions"], dependencies=[CheckedQuery])

Which = Annotated[str, Query(max_length=64, description="`best`, `last`, or the id of a checkpoint of this job.")]
Outputs = Annotated[
    list[Output] | None, Query(description="What the answer is to have, both unless said; a JSON body may say it, too.")
]


Version = Annotated[str, Path(description="A number, or an alias.", examples=["default"])]


@router.post("/jobs/{job_id}/predict", operation_id="predict", responses=answers(Prediction, 409), openapi_extra=ROWS)
async def predict(job_id: str, call: CallOf, checkpoint: Which = BEST, outputs: Outputs = None) -> Response:
    """Predict with one of the job's checkpoints, also while it still trains."""
    return await _predict(call, Thing("job", job_id, checkpoint), outputs)


@router.post(
    "/checkpoints/{checkpoint_id}/predict",
    operation_id="predict_checkpoint",
    responses=answers(Prediction),
    openapi_extra=ROWS,
)
async def predict_checkpoint(checkpoint_id: str, call: CallOf, outputs: Outputs = None) -> Response:
    """Predict with a checkpoint."""
    return await _predict(call, Thing("checkpoint", checkpoint_id), outputs)


@router.post(
    "/models/{name}/predict", operation_id="predict_model", responses=answers(ModelPrediction, 409), openapi_extra=ROWS
)
async def predict_model(name: str, call: CallOf, outputs: Outputs = None) -> Response:
    """Predict with the version at which the alias `default` points now; 409 where the model has none."""
    return await _predict(call, Thing("model", name), outputs)


@router.post(
    "/models/{name}/versions/{version}/predict",
    operation_id="predict_model_version",
    responses=answers(ModelPrediction),
    openapi_extra=ROWS,
)
async def predict_model_version(name: str, version: Version, call: CallOf, outputs: Outputs = None) -> Response:
    """Predict with a version, or with that at which an alias points now."""
    return await _predict(call, Thing("model", name, version), outputs)


async def _predict(call: Call, thing: Thing, outputs: Sequence[Output] | None) -> Response:
    services, write = call.services, writer_of(call)
    source = source_of(call, await call.body(), frozenset(outputs) if outputs else None)
    choose = partial(services.choices.served, call.caller, thing)
    written = await with_what_is_there(choose, partial(services.predictions.predict_soon, source, write))
    return Reply(written.body, written.media_type, written.headers)


def predict_at_once(call: Call, thing: Thing) -> Reply | None:
    """As the operations do, without any waiting and of a body as it came; None where there would be some."""
    served = call.services.choices.known(call.caller, thing)
    if served is None:
        return None
    written = call.services.predictions.predict_at_once(source_of(call, call.sent, None), writer_of(call), served)
    return None if written is None else Reply(written.body, written.media_type, written.headers)
