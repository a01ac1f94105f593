"""Keys for tests: a service that wants one, and callers that have one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tests.api.service import Service, running, settings_for
from tests.contract import answers

OPERATOR = "the operator's key of these tests"


@contextmanager
def locked_service(database_url: str, folder: Path, *, broker: str, **changes: object) -> Iterator[Service]:
    """A service with an operator's key, which its client sends."""
    settings = settings_for(database_url, folder, redis_url=broker, api_key=SecretStr(OPERATOR), **changes)
    with running(settings) as service:
        service.client.headers["Authorization"] = f"Bearer {OPERATOR}"
        yield service


def make(service: Service, **body: object) -> dict[str, Any]:
    """A key, made by whoever the service's client is."""
    return service.post("/v1/keys", body, status=201)


@contextmanager
def holder(service: Service, secret: str) -> Iterator[Service]:
    """The same service as the holder of a key sees it."""
    with answers.client(str(service.client.base_url), seconds=30, headers=bearer(secret)) as client:
        yield Service(service.settings, service.database, client, service.server)


def bearer(secret: str) -> dict[str, str]:
    """The header."""
    return {"Authorization": f"Bearer {secret}"}
