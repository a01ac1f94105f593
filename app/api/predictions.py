"""Predictions over HTTP."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Body, Query, Response

from app.api.access import CallerOf
from app.api.answer_examples import shown
from app.api.answers import Answer
from app.api.examples import PREDICT
from app.api.openapi import Responses, problems
from app.api.queries import CheckedQuery
from app.api.report_examples import PREDICTION
from app.api.services import ServicesOf
from app.api.widths import CheckedMembers
from app.domain.numbers import JsonNumber
from app.domain.schema import Level
from app.services.choices import with_what_is_there
from app.services.predictions import PredictionAnswer
from app.serving.requests import PredictBody

router = APIRouter(prefix="/v1/jobs/{job_id}/predict", tags=["Predictions"], dependencies=[CheckedQuery])

Which = Annotated[str, Query(max_length=64, description="`best`, `last`, or the id of a checkpoint of this job.")]


class PredictionNote(Answer):
    """Something a caller should know; rows count from 0."""

    code: str
    detail: str
    row: int | None
    column: str | None


class Prediction(Answer):
    """Predictions in the order of the rows; `probabilities` in the order of `classes`, null for regression.

    With several target columns a prediction is a list in the order of `target`. Of a multilabel classification `classes` are
    those columns, and `probabilities` how probable each label is.
    """

    model_config = shown(PREDICTION)

    object: Literal["prediction"] = "prediction"
    checkpoint: str
    predictions: Sequence[Level | JsonNumber | Sequence[Level | JsonNumber]]
    probabilities: Sequence[Sequence[JsonNumber]] | None
    classes: Sequence[Level] | None
    warnings: Sequence[PredictionNote]


_ANSWERS: Responses = {**problems(400, 404, 409, 413, 415), 200: {"model": Prediction}}


@router.post("", operation_id="predict", responses=_ANSWERS, dependencies=[CheckedMembers])
async def predict(
    job_id: str,
    body: Annotated[PredictBody, Body(openapi_examples=PREDICT)],
    caller: CallerOf,
    services: ServicesOf,
    checkpoint: Which = "best",
) -> Response:
    """Predict with one of the job's checkpoints, also while it still trains."""

    async def predict_with(checkpoint_id: str) -> PredictionAnswer:
        return await services.predictions.predict_soon(body, checkpoint_id=checkpoint_id, max_rows=services.max_predict_rows)

    choose = partial(services.choices.choose, caller, job_id, checkpoint)
    _, answer = await with_what_is_there(choose, predict_with)
    return Response(orjson.dumps(answer), media_type="application/json")
