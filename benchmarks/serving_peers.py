"""The peers: what each needs in its virtual environment, how it is started, and where it is asked."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.environments import REPOSITORY, place_of, prepared, told
from benchmarks.serving_ours import Job
from benchmarks.serving_requests import MLFLOW, PLAIN, V2, Form
from benchmarks.serving_server import Server, free_port, started

Command = Callable[[Path, int, Path], list[str]]


@dataclass(frozen=True)
class Peer:
    """A server of somebody else's."""

    name: str
    packages: tuple[str, ...]
    """Beside numpy and torch."""
    command: Command
    """Of the folder of its programs, a port, and a folder of its own."""
    path: str
    form: Form

    @property
    def environment(self) -> Path:
        """Its virtual environment, in the user's cache folder."""
        return place_of(self.name)


def _tutorial(bin: Path, port: int, _: Path) -> list[str]:
    return [str(bin / "uvicorn"), "benchmarks.peers.tutorial:app", "--port", str(port)]


def _mlserver(bin: Path, port: int, folder: Path) -> list[str]:
    """In the server's own process, without its access log."""
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    quiet = {"parallel_workers": 0, "debug": False}
    (folder / "settings.json").write_text(json.dumps(settings | quiet))
    model = {"name": "network", "implementation": "benchmarks.peers.mlserver_runtime.Runtime"}
    (folder / "model-settings.json").write_text(json.dumps(model))
    return [str(bin / "mlserver"), "start", str(folder)]


def _mlflow(bin: Path, port: int, folder: Path) -> list[str]:
    saved = folder / "model"
    told(bin / "python", "-m", "benchmarks.peers.mlflow_model", saved, environment=_settings(bin, folder))
    command = [str(bin / "mlflow"), "models", "serve", "--model-uri", str(saved), "--env-manager", "local"]
    return [*command, "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]


def _bentoml(bin: Path, port: int, _: Path) -> list[str]:
    command = [str(bin / "bentoml"), "serve", "benchmarks.peers.bentoml_service:Service"]
    return [*command, "--host", "127.0.0.1", "--port", str(port)]


def _litserve(bin: Path, _: int, __: Path) -> list[str]:
    return [str(bin / "python"), "-m", "benchmarks.peers.litserve_server"]


TUTORIAL = Peer("tutorial", ("fastapi", "uvicorn[standard]"), _tutorial, "/predict", PLAIN)
MLSERVER = Peer("MLServer", ("mlserver==1.7.*", "onnxruntime"), _mlserver, "/v2/models/network/infer", V2)
PEERS = (
    TUTORIAL,
    MLSERVER,
    Peer("MLflow", ("mlflow",), _mlflow, "/invocations", MLFLOW),
    Peer("BentoML", ("bentoml",), _bentoml, "/predict", PLAIN),
    Peer("LitServe", ("litserve",), _litserve, "/predict", PLAIN),
)


def prepare(peer: Peer) -> None:
    """Make its environment where it is not there yet."""
    prepared(peer.name, peer.packages)


@contextmanager
def serving(peer: Peer, job: Job, folder: Path) -> Iterator[Server]:
    """It with the job's network, in one process or as few as it takes."""
    folder.mkdir()
    port, bin = free_port(), peer.environment / "bin"
    network, model = folder / "network.npz", folder / "model.onnx"
    np.savez(network, **job.weights)  # type: ignore[arg-type]  # one could be named as an option of its
    model.write_bytes(job.onnx)
    environment = _settings(bin, folder) | {"NETWORK": str(network), "MODEL": str(model), "PORT": str(port)}
    with started(peer.command(bin, port, folder), port=port, environment=environment, log=folder / "log") as server:
        yield server


def _settings(bin: Path, folder: Path) -> dict[str, str]:
    """One thread, no line for each request, no news to its makers; its own programs and `benchmarks.peers` are found."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    quiet = {"UVICORN_ACCESS_LOG": "false", "BENTOML_DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return one | quiet | {"BENTOML_HOME": str(folder)} | {"PYTHONPATH": str(REPOSITORY), "PATH": f"{bin}:{os.environ['PATH']}"}
