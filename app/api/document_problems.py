"""The problem answers in the document: each status once, with every code that it may have as an example."""

import inspect
from collections.abc import Iterator
from typing import Any

from app.api import http_errors
from app.api.answer_examples import IDS
from app.api.document_headers import headers_of
from app.api.openapi import PROBLEMS
from app.api.problem_answers import Problem
from app.api.problems import MEDIA_TYPE, document_of, status_of
from app.domain import errors
from app.domain.allowance import Allowance
from app.domain.errors import Fault, TrainyardError

_JOBS = "/v1/jobs"
_DATASETS = "/v1/datasets"
_JOB = f"{_JOBS}/{IDS['job_id']}"
_CHECKPOINT = IDS["checkpoint_id"]
_FAULTS = (
    Fault("/optimizer/learning_rate", "out_of_range", "It must be greater than 0."),
    Fault("/optimizer/momentum", "unknown_field", "There is no such field here."),
)
_NOT_YET = Fault("/preprocessing/categorical", "not_supported", "An ensemble with embeddings is not supported yet.")


def _examples() -> Iterator[tuple[TrainyardError, str]]:
    """An error of each kind, and a path where it may come up."""
    yield errors.Unparsable("The body is not JSON."), _JOBS
    yield errors.Unauthorized("Send the key as `Authorization: Bearer <key>`."), _JOBS
    yield errors.Forbidden("This needs a key with the scope `write`."), _JOBS
    yield errors.NotFound("job", IDS["job_id"]), _JOB
    yield http_errors.MethodNotAllowed("PUT", ["GET", "HEAD", "POST"]), _JOBS
    yield errors.Conflict("The job is running: cancel it first."), _JOB
    yield errors.InFlight(), _JOBS
    yield errors.TooLarge("The body is larger than 33554432 bytes."), _JOBS
    yield errors.QuotaExceeded("The project would have 12000000000 rows of 10000000000."), _DATASETS
    yield errors.UnsupportedMediaType("The body must be application/json."), _JOBS
    yield http_errors.RangeNotSatisfiable(1310), f"/v1/checkpoints/{_CHECKPOINT}/files/model.onnx"
    yield errors.Invalid(_FAULTS), _JOBS
    yield errors.InvalidData("Line 3: 5 cells stand here, 4 names in the header."), _DATASETS
    yield errors.KeyReused(), _JOBS
    yield errors.UnknownCursor(), _JOBS
    yield errors.NotSupported([_NOT_YET]), _JOBS
    yield errors.QueueFull("50000 jobs of the project wait, and it may have 50000."), _JOBS
    yield http_errors.RateLimited(Allowance(allowed=False, limit=60000, window=60, remaining=0, reset=7)), _JOBS
    yield errors.Unavailable("The database does not answer."), _JOBS
    yield errors.Damaged(_CHECKPOINT, "weights.safetensors"), f"{_JOB}/predict"
    yield errors.ContentDamaged("A part is damaged: ask for another one."), f"/v1/batch_predictions/{IDS['batch_id']}/content"
    yield TrainyardError("Something unexpected happened."), _JOBS


def problem_answers() -> dict[str, Any]:
    """The shared answers by their names."""
    answers = {status: _answer(status, about) for status, (_, about) in PROBLEMS.items()}
    for error, path in _examples():
        shown = document_of(error, instance=path, request_id="req_8c1b2f7d5e0a4b6c9d3f1a2e4b6c8d0f")
        example = {"summary": error.title, "description": _when(type(error)), "value": shown}
        answers[status_of(error)]["content"][MEDIA_TYPE]["examples"][error.code] = example
    return {PROBLEMS[status][0]: answer for status, answer in answers.items()}


def _when(error: type[TrainyardError]) -> str:
    """What a class says of itself, as the caller's matter."""
    said = inspect.cleandoc(error.__doc__ or "").partition("\n")[0].removeprefix("Raised when ")
    return said[:1].upper() + said[1:]


def _answer(status: int, about: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    counted = status not in (401, 403)
    return {
        "description": about,
        "headers": headers_of(str(status), counted=counted),
        "content": {MEDIA_TYPE: {"schema": schema, "examples": {}}},
    }
