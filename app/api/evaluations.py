"""Evaluations over HTTP."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from app.api.access import CallerOf
from app.api.answer_examples import shown
from app.api.answers import Answer
from app.api.examples import EVALUATE
from app.api.openapi import Responses, problems
from app.api.predictions import Which
from app.api.queries import CheckedQuery
from app.api.report_examples import EVALUATION
from app.api.services import ServicesOf
from app.api.texts import CheckedText
from app.api.widths import CheckedValues
from app.domain.numbers import JsonNumber
from app.services.evaluations import Question

router = APIRouter(prefix="/v1/jobs/{job_id}/evaluate", tags=["Jobs"], dependencies=[CheckedQuery])


class EvaluateBody(BaseModel):
    """The rows to evaluate on."""

    model_config = ConfigDict(extra="forbid")

    dataset: Annotated[str, Field(max_length=64)]


class EvaluationNote(Answer):
    """Something a caller should know of so many rows, or of so many values of a column."""

    code: str
    detail: str
    count: int | None
    column: str | None


class Evaluation(Answer):
    """The trained loss and all metrics, in the target's own units, over the `rows` that have a target.

    `loss` is null where workers alone can compute it; a metric that is undefined is "NaN".
    """

    model_config = shown(EVALUATION)

    object: Literal["evaluation"] = "evaluation"
    job: str
    checkpoint: str
    epoch: int
    dataset: str
    rows: int
    loss: JsonNumber
    metrics: Mapping[str, JsonNumber]
    warnings: Sequence[EvaluationNote]


_ANSWERS: Responses = problems(400, 404, 409, 413, 415, 500)


@router.post("", operation_id="evaluate_job", responses=_ANSWERS, dependencies=[CheckedValues, CheckedText])
async def evaluate(
    job_id: str,
    body: Annotated[EvaluateBody, Body(openapi_examples=EVALUATE)],
    caller: CallerOf,
    services: ServicesOf,
    checkpoint: Which = "best",
) -> Evaluation:
    """Loss and metrics of one of the job's checkpoints on other data, also while it still trains; nothing is stored."""
    question = Question(job=job_id, checkpoint=checkpoint, dataset=body.dataset)
    return Evaluation.model_validate(await services.evaluations.evaluate_soon(caller, question))
