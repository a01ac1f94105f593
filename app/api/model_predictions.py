"""Predictions by a model's name over HTTP."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

import orjson
from fastapi import APIRouter, Body, Path, Response

from app.api.access import CallerOf
from app.api.answer_examples import shown
from app.api.examples import PREDICT
from app.api.openapi import Responses, problems
from app.api.predictions import Prediction
from app.api.queries import CheckedQuery
from app.api.report_examples import MODEL_PREDICTION
from app.api.services import Services, ServicesOf
from app.api.widths import CheckedMembers
from app.persistence.choices import Served
from app.services.choices import with_what_is_there
from app.services.predictions import PredictionAnswer
from app.serving.requests import PredictBody

router = APIRouter(prefix="/v1/models/{name}", tags=["Predictions"], dependencies=[CheckedQuery, CheckedMembers])

Which = Annotated[str, Path(description="A number, or an alias.", examples=["default"])]
RowsOf = Annotated[PredictBody, Body(openapi_examples=PREDICT)]


class ModelPrediction(Prediction):
    """The same, with the model and the version that answered."""

    model_config = shown(MODEL_PREDICTION)

    model: str
    version: int


_ANSWERS: Responses = {**problems(400, 404, 413, 415, 500), 200: {"model": ModelPrediction}}
Choose = Callable[[], Awaitable[Served]]


@router.post("/predict", operation_id="predict_model", responses={**_ANSWERS, **problems(409)})
async def predict(name: str, body: RowsOf, caller: CallerOf, services: ServicesOf) -> Response:
    """Predict with the version at which the alias `default` points now; 409 where the model has none."""
    return await _predict(services, name, partial(services.choices.default, caller, name), body)


@router.post("/versions/{version}/predict", operation_id="predict_model_version", responses=_ANSWERS)
async def predict_version(name: str, version: Which, body: RowsOf, caller: CallerOf, services: ServicesOf) -> Response:
    """Predict with a version, or with that at which an alias points now."""
    return await _predict(services, name, partial(services.choices.version, caller, name, version), body)


async def _predict(services: Services, name: str, choose: Choose, body: PredictBody) -> Response:
    async def predict_with(served: Served) -> PredictionAnswer:
        return await services.predictions.predict_soon(
            body, checkpoint_id=served.checkpoint_id, max_rows=services.max_predict_rows
        )

    served, answer = await with_what_is_there(choose, predict_with)
    told = {"object": answer.object, "model": name, "version": served.version, **vars(answer)}
    return Response(orjson.dumps(told), media_type="application/json")
