"""Predictions for tests, without HTTP: any checkpoint's files, a body in any format, the answer as it is sent."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from app.domain.columns import AnyTarget, FittedColumn
from app.services.predictions import PredictionLimits, Predictions, Served, Source
from app.serving.json_body import JsonSource
from app.serving.sessions import Sessions
from app.serving.told import Told, Written, write_json
from tests.serving.checkpoints import COLUMNS, LABELS, Files, files

SERVED = Served("ckpt_1")
Answer = dict[str, Any]


def service(stored: Files, **limits: Any) -> Predictions:
    """Over these files."""
    return Predictions(stored, Sessions(limit_bytes=10**9), limits=PredictionLimits(**limits))


def json_source(body: Mapping[str, object]) -> JsonSource:
    """A JSON body; NaN and infinities as Python writes them."""
    return JsonSource(json.dumps(body).encode())


def written(source: Source, stored: Files, write: Callable[[Told], Written] = write_json, **limits: Any) -> Written:
    """An answer as it is sent."""
    return service(stored, **limits).predict(source, write, SERVED)


def answered(
    body: Mapping[str, object], *, columns: Sequence[FittedColumn] = COLUMNS, target: AnyTarget = LABELS, seed: int = 0
) -> Answer:
    """The JSON answer to a JSON body."""
    return cast(Answer, json.loads(written(json_source(body), files(columns, target, seed=seed)).body))
