"""Every operation against every way of not having the key."""

import pytest

from app.api.access import DOCUMENTATION, PROBES
from tests.api.service import Service, assert_problem
from tests.security.conftest import KEY
from tests.security.routes import GUARDED, OPERATIONS, Operation

WRONG_HEADERS = [
    {},
    {"Authorization": "Bearer wrong"},
    {"Authorization": f"Bearer {KEY}x"},
    {"Authorization": f"Bearer {KEY[:-1]}"},
    {"Authorization": "Bearer"},
    {"Authorization": KEY},
    {"Authorization": f"Basic {KEY}"},
    {"X-API-Key": KEY},
    {"Cookie": f"key={KEY}; Authorization=Bearer {KEY}"},
    {"X-Forwarded-Authorization": f"Bearer {KEY}", "X-Original-URL": "/livez"},
]
FOREIGN = [{"Host": "trainyard.example"}, {"Host": "127.0.0.1.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]


def test_the_operations_are_found() -> None:
    assert {"POST /v1/jobs", "GET /v1/checkpoints/{checkpoint_id}/files/{name}"} <= {str(one) for one in GUARDED}
    assert {one.path for one in OPERATIONS} - {one.path for one in GUARDED} == PROBES | DOCUMENTATION


@pytest.mark.parametrize("operation", GUARDED, ids=str)
def test_without_the_right_key_in_the_right_place_nothing_is_answered(locked: Service, operation: Operation) -> None:
    for headers in WRONG_HEADERS:
        answer = locked.client.request(operation.method, operation.at("x"), headers=headers)
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    for name in ("key", "api_key", "access_token", "authorization"):
        assert_problem(locked.client.request(operation.method, operation.at("x"), params={name: KEY}), 401, "unauthorized")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "PROPFIND"])
def test_no_other_method_passes_by_the_key(locked: Service, method: str) -> None:
    for path in sorted({operation.at("x") for operation in GUARDED}):
        assert locked.client.request(method, path).status_code == 401


@pytest.mark.parametrize("operation", GUARDED, ids=str)
def test_with_the_key_each_operation_is_reached(locked: Service, operation: Operation) -> None:
    answer = locked.client.request(operation.method, operation.at("x"), headers={"Authorization": f"Bearer {KEY}"})

    assert answer.status_code not in (401, 403, 405, 500)


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.path not in PROBES], ids=str)
def test_without_a_configured_key_no_foreign_page_reaches_an_operation(opened: Service, operation: Operation) -> None:
    for headers in FOREIGN:
        answer = opened.client.request(operation.method, operation.at("x"), headers=headers)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("address", ["10.0.0.1", "::ffff:10.0.0.1", "unknown", "2001:db8::1, 127.0.0.1"])
def test_without_a_configured_key_no_other_machine_is_answered_whatever_name_it_uses(opened: Service, address: str) -> None:
    answer = opened.client.get("/v1/jobs", headers={"Host": "localhost", "X-Forwarded-For": address})

    assert_problem(answer, 403, "forbidden")


@pytest.mark.parametrize("path", ["/livez/", "/livez/../v1/jobs", "/v1/jobs?/livez", "/docs/../v1/jobs", "/%6civez/x"])
def test_a_path_that_looks_like_an_open_one_is_not_open(locked: Service, path: str) -> None:
    assert locked.client.get(path).status_code == 401
