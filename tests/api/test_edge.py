"""What every request meets: ids, keys, hosts, limits, problems."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.responses import PlainTextResponse
from pydantic import SecretStr

from app.api.application import Application
from tests.api.service import Service, assert_problem, pointers, running, settings_for

KEY = "an admin key of this test"


@pytest.fixture(scope="module")
def locked(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, valkey_server: str) -> Iterator[Service]:
    """A service with a key."""
    settings = settings_for(
        f"sqlite:///{sqlite_template}", tmp_path_factory.mktemp("locked"), api_key=SecretStr(KEY), redis_url=valkey_server
    )
    with running(settings) as service:
        yield service


def test_a_request_id_is_accepted_or_made_and_answered(shared: Service) -> None:
    accepted = shared.client.get("/livez", headers={"X-Request-ID": "abc-1.2_3"})
    made = shared.client.get("/livez", headers={"X-Request-ID": "no spaces, please"})

    assert accepted.headers["x-request-id"] == "abc-1.2_3"
    assert made.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer wrong", f"Basic {KEY}", f"Bearer {KEY}x", KEY])
def test_without_the_key_nothing_of_v1_is_answered(locked: Service, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}

    for path in ("/v1/jobs", "/v1/nothing", "/v1/jobs/job_1/stream"):
        answer = locked.client.get(path, headers=headers)
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_with_the_key_any_host_may_ask(locked: Service, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {KEY}", "Host": "trainyard.example", "Origin": "https://elsewhere.example"}

    assert locked.client.get("/v1/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/docs", "/openapi.json"])
def test_probes_and_the_reference_need_no_key(locked: Service, path: str) -> None:
    assert locked.client.get(path).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "trainyard.example"},
        {"Host": "127.0.0.1.example.com"},
        {"Host": "localhost.example:8000"},
        {"Host": "10.0.0.1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.evil.example"},
    ],
)
def test_without_a_configured_key_foreign_names_are_forbidden(shared: Service, headers: dict[str, str]) -> None:
    assert_problem(shared.client.get("/v1/jobs", headers=headers), 403, "forbidden")


@pytest.mark.parametrize(
    "headers", [{"Host": "localhost:1"}, {"Host": "[::1]:8000"}, {"Origin": "http://localhost:5173"}, {"Host": "127.1.2.3"}]
)
def test_without_a_configured_key_loopback_names_are_answered(shared: Service, headers: dict[str, str]) -> None:
    assert shared.client.get("/v1/jobs", headers=headers).status_code == 200


def test_a_path_that_is_not_there_is_a_problem(shared: Service) -> None:
    assert_problem(shared.client.get("/v1/nothing"), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/webhooks"),
        ("POST", "/v1/webhooks/whk_1/test"),
    ],
)
def test_a_path_of_a_later_version_is_refused_by_name(shared: Service, method: str, path: str) -> None:
    problem = assert_problem(shared.client.request(method, path), 404, "not_supported")

    assert problem["detail"].startswith("Not part of this version yet: ")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v1/jobs", "GET, HEAD, POST"),
        ("PATCH", "/v1/jobs/job_1", "DELETE, GET, HEAD"),
        ("OPTIONS", "/v1/jobs/plan", "POST"),
        ("POST", "/openapi.json", "GET, HEAD"),
        ("GET", "/v1/jobs/job_1/cancel", "POST"),
        ("DELETE", "/livez", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_has_not_is_405_with_all_it_has(shared: Service, method: str, path: str, allow: str) -> None:
    answer = shared.client.request(method, path)

    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allow


def test_an_unknown_parameter_is_refused_on_every_operation(shared: Service) -> None:
    for path in ("/v1/jobs", "/v1/jobs/x", "/v1/datasets/x/columns", "/v1/checkpoints/x", "/v1/system", "/livez"):
        assert pointers(shared.client.get(path, params={"nope": 1})) == ["nope"]


def test_faults_of_query_headers_and_body_are_told_at_once(shared: Service) -> None:
    body = {"target": 5, "name": "a\0", "loss": {"name": "none"}}

    answer = shared.client.post("/v1/jobs?nope=1", json=body, headers={"Idempotency-Key": "a key"})

    assert pointers(answer) == ["/dataset", "/loss/name", "/name", "/target", "Idempotency-Key", "nope"]
    assert pointers(shared.client.get("/v1/jobs?nope=1&limit=0&name=%00")) == ["limit", "name", "nope"]
    assert pointers(shared.client.post("/v1/jobs", json=body)) == ["/dataset", "/loss/name", "/name", "/target"]
    assert pointers(shared.client.post("/v1/jobs?nope=1", content=b"{")) == ["nope"]
    assert pointers(shared.client.post("/v1/jobs?nope=1", content=b"[" + b"1," * 100_000 + b"1]")) == ["nope"]


@pytest.mark.parametrize("path", ["/v1/jobs/a%00b", "/v1/jobs/%ff", "/v1/datasets/..%2f..%2fx"])
def test_a_strange_path_is_just_not_found(shared: Service, path: str) -> None:
    assert_problem(shared.client.get(path), 404, "not_found")


def test_a_nul_in_a_query_never_reaches_the_database(service: Service) -> None:
    assert pointers(service.client.get("/v1/jobs?name=a%00b")) == ["name"]


def test_a_crash_is_a_problem_without_a_word_about_its_cause(sqlite_url: str, valkey_server: str, tmp_path: Path) -> None:
    with running(settings_for(sqlite_url, tmp_path / "data", redis_url=valkey_server)) as service:
        id = service.submit()["id"]
        with sqlite3.connect(tmp_path / "trainyard.db") as connection:
            connection.execute("UPDATE jobs SET resolved_spec = '{}'")
        answer = service.client.get(f"/v1/jobs/{id}")

    problem = assert_problem(answer, 500, "internal_error")
    assert problem["detail"] == "Something unexpected happened."
    assert "Traceback" not in answer.text


def test_a_prediction_without_the_database_is_503_by_either_way(sqlite_url: str, valkey_server: str, tmp_path: Path) -> None:
    with running(settings_for(sqlite_url, tmp_path / "data", redis_url=valkey_server)) as service:
        job = service.submit()["id"]
        with sqlite3.connect(tmp_path / "trainyard.db") as connection:
            connection.execute("ALTER TABLE checkpoints RENAME TO gone")
        paths = [f"/v1/jobs/{job}/predict", f"/v1/jobs/{job}/predict?checkpoint=last", f"/v2/models/{job}/infer"]
        answers = [service.client.post(path, json={"rows": [[1]]}) for path in paths]

    for answer in answers:
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "2"


def test_a_database_that_is_away_is_503(sqlite_url: str, valkey_server: str, tmp_path: Path) -> None:
    with running(settings_for(sqlite_url, tmp_path / "data", redis_url=valkey_server)) as service:
        with sqlite3.connect(tmp_path / "trainyard.db") as connection:
            connection.execute("DROP TABLE epochs")
            connection.execute("ALTER TABLE jobs RENAME TO gone")
            connection.execute("ALTER TABLE workers RENAME TO gone_too")
        answer, ready = service.client.get("/v1/jobs"), service.client.get("/readyz")

    assert_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "2"
    assert (ready.status_code, ready.json()["database"], ready.json()["status"]) == (503, "down", "unavailable")


def test_a_handler_that_nobody_would_ask_is_refused() -> None:
    application = Application(routes=[])
    application.add_exception_handler(Exception, lambda request, error: PlainTextResponse("Sorry."))

    with pytest.raises(TypeError, match="answered by the edge"):
        application.build_middleware_stack()
