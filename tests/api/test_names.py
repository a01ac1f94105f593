"""A name that stands twice in one object of a JSON body is a fault, wherever JSON becomes a model."""

from typing import cast

import pytest
from fastapi.routing import APIRoute

from app.main import ROUTES
from tests.api.service import Service, assert_problem

JSON = {"Content-Type": "application/json"}
READ_WITH_MODELS = [route for route in ROUTES if route.body_field is not None]
DEEP = b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}"


def twice(shared: Service, route: APIRoute, body: bytes) -> list[str]:
    [method] = sorted(route.methods or ())
    answer = shared.client.request(method, route.path, content=body, headers=JSON)
    faults = assert_problem(answer, 422, "invalid_request")["errors"]
    return [fault["pointer"] for fault in cast(list[dict[str, str]], faults) if fault["code"] == "twice"]


@pytest.mark.parametrize("route", READ_WITH_MODELS, ids=lambda route: route.operation_id)
def test_a_name_that_stands_twice_is_a_fault_at_its_place(shared: Service, route: APIRoute) -> None:
    places = twice(shared, route, b'{"a": [{"b": 1, "b": 2, "c": {"d": 1, "d": 1, "d": 1}}], "e/f": 1, "e/f": 1}')

    assert places == ["/e~1f", "/a/0/b", "/a/0/c/d"]


def test_it_is_told_beside_all_other_faults(shared: Service) -> None:
    body = b'{"epochs": 5, "epochs": 7, "network": {"hidden_layers": [0]}, "name": "\\u0000"}'

    faults = assert_problem(shared.client.post("/v1/jobs", content=body, headers=JSON), 422, "invalid_request")["errors"]

    assert {fault["pointer"]: fault["code"] for fault in faults} == {
        "/dataset": "missing",
        "/target": "missing",
        "/network/hidden_layers/0": "out_of_range",
        "/name": "bad_format",
        "/epochs": "twice",
    }


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"", 422, "invalid_request"), (b"[" * 100_000, 400, "unparsable"), (DEEP, 422, "invalid_request")],
    ids=["empty", "endless", "deep"],
)
def test_what_has_no_names_is_refused_as_ever(shared: Service, body: bytes, status: int, code: str) -> None:
    assert_problem(shared.client.post("/v1/jobs", content=body, headers=JSON), status, code)


def test_what_is_not_sent_as_json_is_not_searched(shared: Service) -> None:
    answer = shared.client.post("/v1/jobs", content=rb"no JSON: \u0000", headers={"Content-Type": "text/plain"})

    assert_problem(answer, 415, "unsupported_media_type")
