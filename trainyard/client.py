"""Trainyard from Python: upload a dataset, submit a job, follow its losses, predict."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from trainyard.answers import (
    Checkpoint,
    Dataset,
    History,
    Job,
    JobEvent,
    Json,
    Plan,
    Prediction,
    Sweep,
    System,
    Trial,
    checkpoint_of,
    job_of,
    numbers,
    trial_of,
)
from trainyard.batch_predictions import BatchPredictions
from trainyard.connection import Connection, Params
from trainyard.evaluations import Evaluation, evaluation_of
from trainyard.following import Event, Follower
from trainyard.models import Models
from trainyard.predicting import Output, Predicting
from trainyard.sending import Given
from trainyard.suffixes import of_upload

DEFAULT_URL = "http://127.0.0.1:8000"
HISTORY_PAGE = 10_000
LIVE = ("queued", "running", "pausing", "paused", "cancelling")


class Client:
    """A service at a URL; refusals are raised as TrainyardProblem, lost connections as httpx2.TransportError.

    `timeout` is in seconds and holds for one request.
    """

    def __init__(self, url: str = DEFAULT_URL, *, key: str | None = None, timeout: float = 60.0) -> None:
        self._connection = Connection(url, key=key, timeout=timeout)
        self.models = Models(self._connection)
        """The registry."""
        self.batch_predictions = BatchPredictions(self._connection)
        """Predictions of whole datasets."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._connection.close()

    def upload(
        self,
        source: Path | str | bytes,
        *,
        name: str | None = None,
        content_type: str | None = None,
        schema: Mapping[str, object] | None = None,
    ) -> Dataset:
        """Store a file (streamed, its kind by its suffix) or bytes (CSV), unless `content_type` says otherwise.

        `schema` maps columns to kinds, and `missing` to a list of markers.
        """
        if not isinstance(source, bytes):
            source = Path(source)
            content_type, name = content_type or of_upload(source), name or source.stem
        params = {"name": name} if name else {}
        if schema is not None:
            params["schema"] = json.dumps(schema)
        with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as content:
            response = self._connection.post(
                "/v1/datasets", content=content, content_type=content_type or "text/csv", params=params
            )
        return cast(Dataset, response.json())

    def sample(self, name: str) -> Dataset:
        """Store a built-in sample: `iris`, `wine`, `breast_cancer`, `digits` or `diabetes`."""
        return cast(Dataset, self._connection.post("/v1/datasets", json={"sample": name}).json())

    def submit(self, spec: Mapping[str, object]) -> Job:
        """Queue a job; only `dataset` and `target` are required."""
        return job_of(self._connection.post("/v1/jobs", json=dict(spec)).json())

    def clone(
        self,
        id: str,
        *,
        set: Mapping[str, object] | None = None,
        from_checkpoint: str | None = None,
        continues: bool = False,
    ) -> Job:
        """Queue a new job from another one's spec; `set` maps dotted paths to values: `optimizer.learning_rate`.

        It may start from a checkpoint's weights, or, if it `continues`, go on from where the training of a last one stood.
        """
        body = {"set": dict(set or {}), "from_checkpoint": from_checkpoint, "continue": continues}
        return job_of(self._connection.post(f"/v1/jobs/{id}/clone", json=body).json())

    def plan(self, spec: Mapping[str, object]) -> Plan:
        """What a job of this spec would be, and why it would be refused; none is made."""
        return cast(Plan, self._connection.post("/v1/jobs/plan", json=dict(spec)).json())

    def job(self, id: str) -> Job:
        """The job as it stands."""
        return job_of(self._connection.get(f"/v1/jobs/{id}").json())

    def jobs(
        self,
        *,
        status: Sequence[str] = (),
        dataset: str | None = None,
        name: str | None = None,
        sweep: str | None = None,
        metadata: Mapping[str, str] | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Jobs, the newest first, for which all of this holds."""
        wanted = {"dataset": dataset, "name": name, "sweep": sweep}
        params: Params = {"status": list(status), **{field: value for field, value in wanted.items() if value is not None}}
        params |= {f"metadata[{key}]": value for key, value in (metadata or {}).items()}
        return map(job_of, self._connection.listed("/v1/jobs", params, limit=limit))

    def code(self, id: str) -> str:
        """The job as a plain torch script that reads the dataset as CSV."""
        return self._connection.get(f"/v1/jobs/{id}/code").text

    def cancel(self, id: str) -> Job:
        """Stop a job and keep what it learned."""
        return job_of(self._connection.post(f"/v1/jobs/{id}/cancel").json())

    def wait(self, id: str, *, timeout: float | None = None) -> Job:
        """The job once it is terminal; TimeoutError after `timeout` seconds."""
        return job_of(self._connection.waited(f"/v1/jobs/{id}", timeout=timeout))

    def submit_sweep(self, sweep: Mapping[str, object]) -> Sweep:
        """Queue the trials of a sweep; only `spec` and `search` are required, and `trials` unless `method` is `grid`."""
        return cast(Sweep, self._connection.post("/v1/sweeps", json=dict(sweep)).json())

    def sweep(self, id: str) -> Sweep:
        """The sweep as it stands."""
        return cast(Sweep, self._connection.get(f"/v1/sweeps/{id}").json())

    def sweeps(self, *, limit: int | None = None) -> Iterator[Sweep]:
        """Sweeps, the newest first."""
        return (cast(Sweep, found) for found in self._connection.listed("/v1/sweeps", {}, limit=limit))

    def cancel_sweep(self, id: str) -> Sweep:
        """Stop every live trial and keep what they learned."""
        return cast(Sweep, self._connection.post(f"/v1/sweeps/{id}/cancel").json())

    def leaderboard(self, id: str, *, limit: int | None = None) -> Iterator[Trial]:
        """The trials of a sweep, the best first."""
        return map(trial_of, self._connection.listed(f"/v1/sweeps/{id}/jobs", {"sort": "metric"}, limit=limit))

    def wait_for_sweep(self, id: str, *, timeout: float | None = None) -> Sweep:
        """The sweep once all its trials are terminal; TimeoutError after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while not (sweep := self.sweep(id))["terminal"]:
            for job in self.jobs(status=LIVE, sweep=id, limit=1):
                self.wait(job["id"], timeout=None if end is None else max(0.0, end - time.monotonic()))
        return sweep

    def log(self, id: str) -> Iterator[JobEvent]:
        """What happened to a job, oldest first: started, checkpoints, crashes, its end."""
        return (cast(JobEvent, found) for found in self._connection.listed(f"/v1/jobs/{id}/events", {}, limit=None))

    def system(self) -> System:
        """Who trains, and what waits."""
        return cast(System, self._connection.get("/v1/system").json())

    def events(self, id: str, *, every: int = 1) -> Iterator[Event]:
        """Everything that happens to a job up to `done`, over lost connections; `every` thins the epochs."""
        return Follower(self._connection, id, every=every).events()

    def follow(self, id: str, *, every: int = 1) -> Iterator[History]:
        """The epochs of a job as they are computed, each exactly once, until the job is over."""
        for event in self.events(id, every=every):
            if event.type == "epochs":
                yield _history(cast(dict[str, Json], event.data))

    def history(self, id: str) -> History:
        """All stored epochs of a job."""
        whole: History = {"epoch": [], "train_loss": [], "val_loss": [], "learning_rate": [], "seconds": [], "metrics": {}}
        after, more = 0, True
        while more:
            page = self._connection.get(f"/v1/jobs/{id}/history", params={"after": after, "limit": HISTORY_PAGE}).json()
            _append(whole, _history(page))
            after, more = page["next"], page["has_more"]
        return whole

    def checkpoints(self, id: str) -> list[Checkpoint]:
        """The checkpoints of a job."""
        page = self._connection.get(f"/v1/jobs/{id}/checkpoints").json()
        return [checkpoint_of(found) for found in page["data"]]

    def download(self, checkpoint_id: str, name: str, destination: Path | str) -> Path:
        """One file of a checkpoint, streamed to `destination`."""
        destination = Path(destination)
        response = self._connection.stream(f"/v1/checkpoints/{checkpoint_id}/files/{name}", headers={}, params={})
        with closing(response), destination.open("wb") as file:
            file.writelines(response.iter_bytes())
        return destination

    def predict(
        self, id: str, rows: Given, *, checkpoint: str | None = None, outputs: Sequence[Output] | None = None
    ) -> Prediction:
        """Predict with a job's best checkpoint, or with `last`, or with one by its id.

        `rows` map names or list all values, or are a 2-D array; or they are columns, a data frame, or the path of a CSV or
        Arrow file. NaN is a missing value. `outputs`: both unless said.
        """
        return cast(Prediction, self._predicting(id, checkpoint).answer(rows, outputs).json())

    def predict_to(
        self, file: Path | str, id: str, rows: Given, *, checkpoint: str | None = None, outputs: Sequence[Output] | None = None
    ) -> Path:
        """As `predict`, with the answer in a file: a CSV (`.csv`), an Arrow stream (`.arrows`) or JSON (`.json`)."""
        return self._predicting(id, checkpoint).to_file(rows, file, outputs)

    def _predicting(self, id: str, checkpoint: str | None) -> Predicting:
        params = {} if checkpoint is None else {"checkpoint": checkpoint}
        return Predicting(self._connection, f"/v1/jobs/{id}/predict", params)

    def evaluate(self, id: str, dataset: str, *, checkpoint: str | None = None) -> Evaluation:
        """The loss and all metrics of a job's best checkpoint, or of `last`, or of one by its id, on a dataset."""
        params = {} if checkpoint is None else {"checkpoint": checkpoint}
        response = self._connection.post(f"/v1/jobs/{id}/evaluate", json={"dataset": dataset}, params=params)
        return evaluation_of(response.json())


def _history(columns: Mapping[str, object]) -> History:
    found = cast(History, columns)
    return {
        "epoch": found["epoch"],
        "train_loss": numbers(found["train_loss"]),
        "val_loss": numbers(found["val_loss"]),
        "learning_rate": numbers(found["learning_rate"]),
        "seconds": found["seconds"],
        "metrics": {name: numbers(cells) for name, cells in found["metrics"].items()},
    }


def _append(whole: History, page: History) -> None:
    whole["epoch"] += page["epoch"]
    whole["train_loss"] += page["train_loss"]
    whole["val_loss"] += page["val_loss"]
    whole["learning_rate"] += page["learning_rate"]
    whole["seconds"] += page["seconds"]
    for name, cells in page["metrics"].items():
        whole["metrics"].setdefault(name, []).extend(cells)
