"""Batch predictions from Python: `client.batch_predictions`."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TypedDict, cast

from trainyard.answers import JobError, Json
from trainyard.connection import Connection
from trainyard.suffixes import refuse_other_format

BATCHES = "/v1/batch_predictions"


class BatchProgress(TypedDict):
    """How many rows of a batch prediction are predicted, durably."""

    predicted: int
    rows: int
    fraction: float
    rows_per_second: float | None
    eta_seconds: float | None


class BatchWarning(TypedDict):
    """What was not as in training, in `count` values of a column."""

    code: str
    detail: str
    column: str | None
    count: int


class BatchPrediction(TypedDict):
    """The rows of a dataset, predicted with a checkpoint."""

    id: str
    name: str | None
    status: str
    terminal: bool
    job: str
    checkpoint: str
    model: str | None
    version: int | None
    dataset: str
    format: str
    attempt: int
    progress: BatchProgress
    warnings: list[BatchWarning]
    bytes: int | None
    error: JobError | None
    created_at: str
    started_at: str | None
    finished_at: str | None


class BatchPredictions:
    """Predictions of whole datasets, computed by the workers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        dataset: str,
        *,
        job: str | None = None,
        checkpoint: str | None = None,
        model: str | None = None,
        version: int | str | None = None,
        format: str = "parquet",
        name: str | None = None,
    ) -> BatchPrediction:
        """Queue one, with a job's best checkpoint (or another of its), or with a model's version; `format` may be `csv`."""
        source = {"job": job, "checkpoint": checkpoint, "model": model, "version": version}
        body = {"dataset": dataset, "format": format, "name": name, **source}
        return cast(BatchPrediction, self._connection.post(BATCHES, json=body).json())

    def list(self, *, limit: int | None = None) -> Iterator[BatchPrediction]:
        """Batch predictions, the newest first."""
        return (cast(BatchPrediction, found) for found in self._connection.listed(BATCHES, {}, limit=limit))

    def get(self, id: str) -> BatchPrediction:
        """One as it stands."""
        return cast(BatchPrediction, self._connection.get(f"{BATCHES}/{id}").json())

    def wait(self, id: str, *, timeout: float | None = None) -> BatchPrediction:
        """One once it is terminal; TimeoutError after `timeout` seconds."""
        return cast(BatchPrediction, self._connection.waited(f"{BATCHES}/{id}", timeout=timeout))

    def cancel(self, id: str) -> BatchPrediction:
        """Stop one; nothing of it is kept."""
        return self._change(id, "cancel")

    def pause(self, id: str) -> BatchPrediction:
        """Give the worker back; see `resume`."""
        return self._change(id, "pause")

    def resume(self, id: str) -> BatchPrediction:
        """Queue a paused one again, to go on behind what is predicted."""
        return self._change(id, "resume")

    def _change(self, id: str, verb: str) -> BatchPrediction:
        return cast(BatchPrediction, self._connection.post(f"{BATCHES}/{id}/{verb}").json())

    def delete(self, id: str) -> None:
        """Delete one that is over, with what it predicted."""
        self._connection.delete(f"{BATCHES}/{id}")

    def download(self, id: str, destination: Path | str) -> Path:
        """What was predicted, streamed to `destination`, which may not end as a file of another format would."""
        destination = Path(destination)
        refuse_other_format(destination, self.get(id)["format"])
        response = self._connection.stream(f"{BATCHES}/{id}/content", headers={}, params={})
        with closing(response), destination.open("wb") as file:
            file.writelines(response.iter_bytes())
        return destination

    def warnings(self, id: str) -> Iterator[dict[str, Json]]:
        """The first warnings with the numbers of their rows, which count from 0."""
        with closing(self._connection.stream(f"{BATCHES}/{id}/warnings", headers={}, params={})) as response:
            yield from map(json.loads, response.iter_lines())
