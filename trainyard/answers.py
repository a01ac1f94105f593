"""The API's answers as this library hands them out: plain dictionaries with known keys, numbers as floats."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict, cast

Rows = Sequence[Mapping[str, object]] | Sequence[Sequence[object]]
"""Rows to predict: each maps names, or lists all values in the order of the features."""

Columns = Mapping[str, Sequence[object]]
"""The same by column."""

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Column(TypedDict):
    """A column of a dataset."""

    name: str
    kind: str
    missing: int


class Dataset(TypedDict):
    """An uploaded dataset."""

    id: str
    name: str | None
    rows: int
    bytes: int
    sha256: str
    columns: list[Column]
    created_at: str


class Progress(TypedDict):
    """How far a job is."""

    epoch: int
    epochs: int
    fraction: float
    epochs_per_second: float | None
    eta_seconds: float | None


class Losses(TypedDict):
    """One epoch of a job."""

    epoch: int
    train_loss: float | None
    val_loss: float | None
    metrics: dict[str, float | None]


class HeldOut(TypedDict):
    """The best epoch on the test rows."""

    epoch: int
    loss: float | None
    metrics: dict[str, float | None]


class JobError(TypedDict):
    """Why a job failed."""

    code: str
    message: str


class Start(TypedDict):
    """The checkpoint that a job started from: at its epoch, or at 0 with its weights alone."""

    checkpoint: str
    epoch: int


class Job(TypedDict):
    """A job."""

    id: str
    name: str | None
    status: str
    terminal: bool
    stop_reason: str | None
    attempt: int
    dataset: str
    start: Start | None
    spec: dict[str, Json]
    resolved_spec: dict[str, Json]
    progress: Progress
    latest: Losses | None
    best: Losses | None
    test: HeldOut | None
    error: JobError | None
    reproducibility: dict[str, Json]
    created_at: str
    started_at: str | None
    finished_at: str | None


class Layer(TypedDict):
    """A part of a network that has parameters."""

    name: str
    inputs: int
    outputs: int
    parameters: int


class Memory(TypedDict):
    """Bytes that a training takes at its peak; `budget` is None where no worker has said what there is.

    `host_total` and `host_budget` are of the memory beside a GPU, None without one.
    """

    device: str
    data: int
    parameters: int
    optimizer: int
    activations: int
    total: int
    budget: int | None
    host_total: int | None
    host_budget: int | None


class Fault(TypedDict):
    """One reason to refuse a spec, at a JSON Pointer into it."""

    pointer: str
    code: str
    detail: str


class Duration(TypedDict):
    """Seconds of a job on a CPU: of an epoch, around the epochs, and in all where nothing stops it before its last epoch."""

    device: str
    overhead_seconds: float
    epoch_seconds: float
    total_seconds: float
    measured_jobs: int


class Plan(TypedDict):
    """What a job would be; `resolved_spec` is None where the spec does not fit its datasets."""

    resolved_spec: dict[str, Json] | None
    layers: list[Layer]
    parameters: int | None
    steps_per_epoch: int | None
    memory: Memory | None
    duration: Duration | None
    columns: list[str]
    column_count: int | None
    warnings: list[str]
    would_be_refused: list[Fault]


class Trial(Job):
    """A job of a sweep: what was set in the sweep's spec, and the sweep's metric at its best epoch."""

    parameters: dict[str, Json]
    value: float | None


class SweepProgress(TypedDict):
    """How many trials of a sweep stand where."""

    trials: int
    queued: int
    running: int
    paused: int
    succeeded: int
    failed: int
    cancelled: int
    fraction: float


class BestTrial(TypedDict):
    """The first of a sweep's leaderboard."""

    job: str
    status: str
    epoch: int
    value: float
    parameters: dict[str, Json]


class Sweep(TypedDict):
    """Many jobs from one spec."""

    id: str
    name: str | None
    status: str
    terminal: bool
    spec: dict[str, Json]
    search: dict[str, Json]
    method: str
    trials: int
    parallel: int | None
    metric: str
    mode: str
    seed: int
    progress: SweepProgress
    best: BestTrial | None
    created_at: str
    finished_at: str | None


class History(TypedDict):
    """The losses of a job, in columns of one length."""

    epoch: list[int]
    train_loss: list[float | None]
    val_loss: list[float | None]
    learning_rate: list[float | None]
    seconds: list[float]
    metrics: dict[str, list[float | None]]


class File(TypedDict):
    """One file of a checkpoint."""

    name: str
    bytes: int
    sha256: str


class Checkpoint(TypedDict):
    """A stored network, with everything that is needed to predict."""

    id: str
    job: str
    epoch: int
    kinds: list[str]
    train_loss: float | None
    val_loss: float | None
    metrics: dict[str, float | None]
    files: list[File]


class JobEvent(TypedDict):
    """Something that happened to a job."""

    id: str
    type: str
    data: dict[str, Json]
    created_at: str


class Worker(TypedDict):
    """A training process, by its host and number; `job` is what it trains."""

    id: str
    status: str
    device: str
    job: str | None
    heartbeat_at: str


class System(TypedDict):
    """Who trains, and what waits."""

    version: str
    workers: list[Worker]
    queue_depth: int
    jobs: dict[str, int]


class Prediction(TypedDict):
    """Predictions in the order of the rows, with several target columns a list for each; None is what `outputs` left out."""

    checkpoint: str
    predictions: list[Json]
    probabilities: list[list[float]] | None
    classes: list[Json] | None
    warnings: list[Json]


def numbers(cells: Iterable[float | str | None]) -> list[float | None]:
    """A column of the API as floats: it carries non-finite numbers as strings; None is a missing value."""
    return [_number(cell) for cell in cells]


def job_of(answer: object) -> Job:
    """A job as the API answers it, its losses as floats."""
    job = cast(Job, answer)
    return {**job, "latest": _losses(job["latest"]), "best": _losses(job["best"]), "test": _held_out(job["test"])}


def trial_of(answer: object) -> Trial:
    """A job of a sweep as the API answers it, its numbers as floats."""
    trial = cast(Trial, answer)
    return cast(Trial, {**trial, **job_of(trial), "value": _number(trial["value"])})


def checkpoint_of(answer: object) -> Checkpoint:
    """A checkpoint as the API answers it, its losses as floats."""
    found = cast(Checkpoint, answer)
    losses = {"train_loss": _number(found["train_loss"]), "val_loss": _number(found["val_loss"])}
    return cast(Checkpoint, {**found, **losses, "metrics": _metrics(found["metrics"])})


def _losses(found: Losses | None) -> Losses | None:
    if found is None:
        return None
    train, val = numbers((found["train_loss"], found["val_loss"]))
    return {"epoch": found["epoch"], "train_loss": train, "val_loss": val, "metrics": _metrics(found["metrics"])}


def _held_out(found: HeldOut | None) -> HeldOut | None:
    if found is None:
        return None
    return {"epoch": found["epoch"], "loss": _number(found["loss"]), "metrics": _metrics(found["metrics"])}


def _metrics(found: Mapping[str, float | str | None]) -> dict[str, float | None]:
    return {name: _number(cell) for name, cell in found.items()}


def _number(cell: float | str | None) -> float | None:
    return _NON_FINITE[cell] if isinstance(cell, str) else cell
