"""Predictions with a checkpoint: from the body of a request to the answer."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import structlog

from app.domain.errors import Conflict, NotFound
from app.domain.numbers import JsonNumber
from app.domain.schema import Level
from app.services.ports import CheckpointFiles
from app.serving.findings import Findings, PredictionWarning
from app.serving.requests import PredictBody, count_rows
from app.serving.sessions import Ready, Sessions, Unreadable

log = structlog.get_logger()

# Cells of a request that are read and predicted in about a millisecond: not worth a thread.
ON_THE_LOOP = 2_000


@dataclass(frozen=True)
class PredictionAnswer:
    """What a prediction call answers; rows in the order they were sent."""

    checkpoint: str
    predictions: Sequence[Level | JsonNumber | Sequence[Level | JsonNumber]]
    probabilities: Sequence[Sequence[JsonNumber]] | None
    classes: Sequence[Level] | None
    warnings: Sequence[PredictionWarning]
    object: Literal["prediction"] = "prediction"


class Predictions:
    """Predicts with any checkpoint whose files can be read; `predicted` is told how many rows were."""

    def __init__(
        self, files: CheckpointFiles, sessions: Sessions, *, predicted: Callable[[int], None] = lambda rows: None
    ) -> None:
        self._files = files
        self.sessions = sessions
        self._predicted = predicted

    def predict(self, body: PredictBody, *, checkpoint_id: str, max_rows: int) -> PredictionAnswer:
        """The answer; loads the checkpoint where it is not in memory.

        Raises:
            Invalid: the rows do not fit the model; every fault has its row and column.
            TooLarge: more than `max_rows` rows.

        """
        ready = self._ready(checkpoint_id)
        return self._answer(body, ready, checkpoint_id=checkpoint_id, max_rows=max_rows)

    def load(self, checkpoint_id: str) -> None:
        """Have the checkpoint in memory; Damaged, or Conflict where its files are gone or of no use."""
        try:
            self._ready(checkpoint_id)
        except NotFound:
            raise Conflict(f"Checkpoint {checkpoint_id} cannot be loaded: its files are gone.") from None
        except Unreadable as error:
            log.error("checkpoint.unreadable", checkpoint=checkpoint_id, error=str(error))
            raise Conflict(f"Checkpoint {checkpoint_id} cannot be loaded by this version of the service.") from None

    def _ready(self, checkpoint_id: str) -> Ready:
        return self.sessions.get(checkpoint_id, partial(self._files.read, checkpoint_id))

    async def predict_soon(self, body: PredictBody, *, checkpoint_id: str, max_rows: int) -> PredictionAnswer:
        """As `predict`, for an event loop: few rows of a checkpoint in memory at once, all else in a thread."""
        ready = self.sessions.peek(checkpoint_id)
        if ready is not None and count_rows(body) * len(ready.manifest.columns) <= ON_THE_LOOP:
            return self._answer(body, ready, checkpoint_id=checkpoint_id, max_rows=max_rows)
        return await asyncio.to_thread(self.predict, body, checkpoint_id=checkpoint_id, max_rows=max_rows)

    def _answer(self, body: PredictBody, ready: Ready, *, checkpoint_id: str, max_rows: int) -> PredictionAnswer:
        findings = Findings()
        inputs = ready.reader.read(body, max_rows=max_rows, findings=findings)
        found = ready.predictor.predict(inputs)
        self._predicted(len(found.predictions))
        return PredictionAnswer(checkpoint_id, found.predictions, found.probabilities, found.classes, findings.warnings())
