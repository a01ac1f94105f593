"""Jobs of two shapes, trained by a whole service that then ends, with what is downloaded of them; and the API alone."""

import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from benchmarks.parts import broker
from benchmarks.service import running_service
from benchmarks.serving_server import Server, free_port, started

ROWS = 2_000
EPOCHS = 3
MODELS = 10

Array = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """features → hidden → classes."""

    features: int
    hidden: tuple[int, ...]
    classes: int

    def __str__(self) -> str:
        return " → ".join(map(str, (self.features, *self.hidden, self.classes)))


WIDE, NARROW = Shape(784, (256, 128), 10), Shape(4, (16,), 3)


@dataclass(frozen=True)
class Job:
    """A trained job, the rows it saw, and the same network for others."""

    id: str
    shape: Shape
    rows: NDArray[np.float64]
    weights: Mapping[str, Array]
    """`0.weight`, `0.bias`, `2.weight` …; the standardization of the columns is in the first layer."""
    onnx: bytes
    """`model.onnx`."""


def rows_of(shape: Shape) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Numbers from 0 to 1 that float32 holds, too, and a class that a linear rule gives them."""
    draw = np.random.default_rng(0)
    rows = draw.random((ROWS, shape.features), dtype=np.float32).astype(np.float64)
    return rows, ((rows - 0.5) @ draw.normal(size=(shape.features, shape.classes))).argmax(axis=1)


def train(folder: Path) -> tuple[dict[Shape, Job], list[str]]:
    """A job of each shape, and the ids of ten jobs of the wide one; the data folder keeps them when the service has ended."""
    with running_service(TRAINYARD_DATA=str(folder), TRAINYARD_SLOTS="1") as service, service.client() as client:
        jobs = {shape: _train(client, shape) for shape in (WIDE, NARROW)}
        first = jobs[WIDE].id
        changes = [{"set": {"seed": seed, "epochs": 1}} for seed in range(1, MODELS)]
        clones = [_post(client, f"/v1/jobs/{first}/clone", change) for change in changes]
        return jobs, [first, *(_succeeded(client, clone) for clone in clones)]


def _train(client: httpx2.Client, shape: Shape) -> Job:
    rows, classes = rows_of(shape)
    archive = io.BytesIO()
    np.savez(archive, X=rows, y=classes)
    upload = {"file": ("rows.npz", archive.getvalue())}
    dataset = client.post("/v1/datasets", files=upload).raise_for_status().json()["id"]
    spec = {"dataset": dataset, "target": "target", "epochs": EPOCHS, "network": {"hidden_layers": shape.hidden}}
    job = _succeeded(client, _post(client, "/v1/jobs", spec))
    checkpoint = _best(client, job)
    onnx = _file(client, checkpoint, "model.onnx").content
    return Job(job, shape, rows, _weights(client, checkpoint), onnx)


def _post(client: httpx2.Client, path: str, body: Mapping[str, object]) -> str:
    id: str = client.post(path, json=body).raise_for_status().json()["id"]
    return id


def _succeeded(client: httpx2.Client, job: str) -> str:
    while not (found := client.get(f"/v1/jobs/{job}", params={"wait": 60}).raise_for_status().json())["terminal"]:
        pass
    assert found["status"] == "succeeded", found
    return job


def _best(client: httpx2.Client, job: str) -> str:
    kept = client.get(f"/v1/jobs/{job}/checkpoints").raise_for_status().json()["data"]
    id: str = next(checkpoint["id"] for checkpoint in kept if "best" in checkpoint["kinds"])
    return id


def _file(client: httpx2.Client, checkpoint: str, name: str) -> httpx2.Response:
    return client.get(f"/v1/checkpoints/{checkpoint}/files/{name}").raise_for_status()


def _weights(client: httpx2.Client, checkpoint: str) -> dict[str, Array]:
    """What is downloaded, with z = (x - center) * scale put into the first layer: others would not standardize."""
    weights: dict[str, Array] = dict(load(_file(client, checkpoint, "weights.safetensors").content))
    columns = _file(client, checkpoint, "model.json").json()["columns"]
    center, scale = (np.array([column[name] for column in columns]) for name in ("center", "scale"))
    weight = weights["0.weight"] * scale
    return weights | {"0.bias": (weights["0.bias"] - weight @ center).astype("f4"), "0.weight": weight.astype("f4")}


@contextmanager
def api(folder: Path) -> Iterator[Server]:
    """`trainyard api` alone on that data folder."""
    port = free_port()
    with broker(folder) as redis:
        settings = {"TRAINYARD_DATA": str(folder), "TRAINYARD_REDIS_URL": redis, "TRAINYARD_PORT": str(port)}
        command = [str(Path(sys.executable).with_name("trainyard")), "api"]
        with started(command, port=port, environment=settings, log=folder / "api.log") as server:
            yield server
