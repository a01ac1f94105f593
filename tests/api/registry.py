"""Models for tests: checkpoints that can really predict, and registered names."""

from functools import cache
from typing import Any

from app.domain.columns import FittedColumn
from app.serving.sessions import Sessions
from tests.api.service import Service, Trained
from tests.serving.checkpoints import LABELS, NUMBER, files

COLUMNS: list[FittedColumn] = [NUMBER(name="size")]
ROWS = {"rows": [[0.5], [-2.0]]}


@cache
def content(seed: int) -> dict[str, bytes]:
    """The files of a checkpoint; another seed predicts otherwise."""
    return files(COLUMNS, LABELS, seed=seed).content


def trained(service: Service) -> Trained:
    """A job of the service's that a worker holds."""
    service.submit(priority=100)
    return Trained(service)


def checkpoints(service: Service, count: int) -> list[str]:
    """So many of a job that is over, each with other weights."""
    worker = trained(service)
    ids = [worker.checkpoint(epoch, "periodic", files=content(epoch)) for epoch in range(1, count + 1)]
    worker.finish()
    return ids


def named(service: Service, name: str, *checkpoint_ids: str) -> str:
    """The path of a new model with these as its versions."""
    path = f"/v1/models/{service.post('/v1/models', {'name': name}, status=201)['name']}"
    for id in checkpoint_ids:
        register(service, path, id)
    return path


def register(service: Service, path: str, checkpoint: str) -> dict[str, Any]:
    """The next version of a model."""
    return service.post(f"{path}/versions", {"checkpoint": checkpoint}, status=201)


def move(service: Service, path: str, alias: str, version: int, *, status: int = 200) -> dict[str, Any]:
    """An alias after it was moved."""
    answer = service.client.put(f"{path}/aliases/{alias}", json={"version": version})
    assert answer.status_code == status, answer.text
    moved: dict[str, Any] = answer.json()
    return moved


def delete(service: Service, path: str) -> int:
    """The status of a DELETE."""
    return service.client.delete(path).status_code


def job_of(service: Service, checkpoint: str) -> str:
    """The path of a checkpoint's job."""
    return f"/v1/jobs/{service.get(f'/v1/checkpoints/{checkpoint}')['job']}"


def sessions_of(service: Service) -> Sessions:
    """What the process has in memory."""
    sessions: Sessions = service.server.config.loaded_app.app.state.services.predictions.sessions
    return sessions


def forget_all(service: Service) -> None:
    """As if the process had just been started."""
    sessions = sessions_of(service)
    for id in sessions.held():
        sessions.forget(id)
