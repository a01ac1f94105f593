"""The bodies of predictions, as the document describes them; they are read and written without these models."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.api.answer_examples import shown
from app.api.answers import Answer
from app.api.examples import PREDICT, ROWS_AS_CSV
from app.api.media import JSON
from app.api.openapi import Responses, media, problems
from app.api.prediction_formats import ARROW_FILE
from app.api.report_examples import MODEL_PREDICTION, PREDICTED_AS_CSV, PREDICTION
from app.domain.alternatives import told_as
from app.domain.numbers import JsonNumber
from app.domain.schema import Level
from app.services.table_answers import ARROW, CSV

Output = Literal["predictions", "probabilities"]

_FORMS = {"rows": "PredictRows", "columns": "PredictColumns"}
_ROW = {"anyOf": [{"type": "object"}, {"type": "array", "items": {}}]}


class PredictBody(BaseModel):
    """`{"rows": [{column: value}]}`, `{"rows": [[value]]}` in the order of features, or `{"columns": {column: [value]}}`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=told_as(_FORMS))

    rows: Annotated[list[object] | None, Field(json_schema_extra={"minItems": 1, "items": _ROW})] = None
    columns: Annotated[dict[str, list[object]] | None, Field(json_schema_extra={"minProperties": 1})] = None
    outputs: Annotated[list[Output] | None, Field(min_length=1, description="What is wanted, both unless said.")] = None


class PredictionNote(Answer):
    """Something a caller should know; rows count from 0."""

    code: str
    detail: str
    row: int | None
    column: str | None


class Prediction(Answer):
    """Predictions in the order of the rows; `probabilities` in the order of `classes`, null for regression.

    With several target columns a prediction is a list in the order of `target`. Of a multilabel classification `classes` are
    those columns, and `probabilities` how probable each label is. What `outputs` did not ask for is null.
    """

    model_config = shown(PREDICTION)

    object: Literal["prediction"] = "prediction"
    checkpoint: str
    predictions: Sequence[Level | JsonNumber | Sequence[Level | JsonNumber]] | None
    probabilities: Sequence[Sequence[JsonNumber]] | None
    classes: Sequence[Level] | None
    warnings: Sequence[PredictionNote]


class ModelPrediction(Prediction):
    """The same, with the model and the version that answered."""

    model_config = shown(MODEL_PREDICTION)

    model: str
    version: int


ROWS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            **media({CSV: ROWS_AS_CSV, ARROW_FILE: None, ARROW: None}),
            JSON: {"schema": {"$ref": f"#/components/schemas/{PredictBody.__name__}"}, "examples": PREDICT},
        },
    }
}
_TABLES = media({CSV: PREDICTED_AS_CSV, ARROW: None})


def answers(model: type[Prediction], *statuses: int) -> Responses:
    """Of an operation that predicts."""
    return {**problems(400, 404, 413, 415, *statuses), 200: {"model": model, "content": _TABLES}}
