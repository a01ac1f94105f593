"""Every operation against keys that have each scope alone."""

from collections.abc import Iterator

import pytest

from app.domain.keys import SCOPES
from tests.api.keys import bearer, make
from tests.api.service import Service, assert_problem
from tests.security.conftest import KEY
from tests.security.routes import GUARDED, Operation

ADMIN = {"POST /v1/keys", "GET /v1/keys", "DELETE /v1/keys/{key_id}", "GET /metrics"}
MODELS = ("models/{name}", "models/{name}/versions/{version}")
PREDICT = {f"POST /v1/{of}/predict" for of in ("jobs/{job_id}", "checkpoints/{checkpoint_id}", *MODELS)}
INFER = {f"POST /v2/{of}/infer" for of in MODELS}
READ = {"POST /v1/jobs/plan", "POST /v1/jobs/{job_id}/evaluate", *PREDICT, *INFER}


def needed(operation: Operation) -> str:
    if str(operation) in ADMIN:
        return "admin"
    return "read" if operation.method in ("GET", "HEAD") or str(operation) in READ else "write"


@pytest.fixture(scope="module")
def secrets(locked: Service) -> Iterator[dict[str, str]]:
    """A key of each scope alone."""
    locked.client.headers["Authorization"] = f"Bearer {KEY}"
    yield {scope: make(locked, scopes=[scope])["secret"] for scope in SCOPES}
    del locked.client.headers["Authorization"]


@pytest.mark.parametrize("operation", GUARDED, ids=str)
def test_an_operation_is_answered_to_its_scope_alone(locked: Service, secrets: dict[str, str], operation: Operation) -> None:
    for scope, secret in secrets.items():
        answer = locked.client.request(operation.method, operation.at("x"), headers=bearer(secret))
        if scope == needed(operation):
            assert answer.status_code not in (401, 403), answer.text
        else:
            problem = assert_problem(answer, 403, "forbidden")
            assert f"`{needed(operation)}`" in problem["detail"]


def test_the_reference_tells_each_operation_s_scope(locked: Service) -> None:
    paths = locked.get("/openapi.json")["paths"]

    for operation in GUARDED:
        assert paths[operation.path][operation.method.lower()]["security"] == [{"key": [needed(operation)]}]
    assert paths["/livez"]["get"]["security"] == []
