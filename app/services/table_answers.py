"""Predictions as a table: CSV, or an Arrow stream. What is no column of it goes into headers."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import polars as pl

from app.serving.findings import PredictionWarning
from app.serving.table import frame_of
from app.serving.told import Told, Written

CSV, ARROW = "text/csv", "application/vnd.apache.arrow.stream"
CHECKPOINT, MODEL, VERSION, WARNINGS = "Prediction-Checkpoint", "Prediction-Model", "Prediction-Version", "Prediction-Warnings"
# Proxies take headers of some kilobytes.
MOST_BYTES = 2_000


def write_csv(told: Told) -> Written:
    """A header and a line for each row; probabilities as the doubles that the network's float32 are."""
    text = _frame(told).cast({pl.Float32: pl.Float64}).write_csv()
    return Written(text.encode(), f"{CSV}; charset=utf-8", _headers(told))


def write_arrow(told: Told) -> Written:
    """One batch, in types that every reader of Arrow has."""
    buffer = io.BytesIO()
    _frame(told).write_ipc_stream(buffer, compat_level=pl.CompatLevel.oldest())
    return Written(buffer.getvalue(), ARROW, _headers(told))


def _frame(told: Told) -> pl.DataFrame:
    return frame_of(told.outputs, targets=told.target, classes=told.classes)


def _headers(told: Told) -> Mapping[str, str]:
    named = {} if told.model is None else {MODEL: told.model, VERSION: str(told.version)}
    warned = {WARNINGS: _in_short(told.warnings)} if told.warnings else {}
    return {CHECKPOINT: told.checkpoint, **named, **warned}


def _in_short(warnings: Sequence[PredictionWarning]) -> str:
    """As many of them as a header takes, as JSON in ASCII."""
    kept: list[str] = []
    for number, warning in enumerate(warnings):
        text = _ascii(warning)
        if sum(map(len, kept)) + len(text) > MOST_BYTES:
            kept.append(_ascii(PredictionWarning("more_warnings", f"There are {len(warnings) - number} more warnings.")))
            break
        kept.append(text)
    return f"[{','.join(kept)}]"


def _ascii(warning: PredictionWarning) -> str:
    return json.dumps(asdict(warning))
