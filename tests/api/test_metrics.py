"""Metrics of one process: what the database knows and what was asked, for whoever has the key."""

import re
import sqlite3
from pathlib import Path

import httpx2
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from pydantic import SecretStr

from app.domain.job import StopReason
from app.main import ROUTERS
from app.persistence import workers
from app.telemetry.instruments import BUCKETS
from tests.api.metrics import labels_of, samples, value
from tests.api.service import Service, Trained, assert_problem, running, settings_for
from tests.servers.processes import wait_until

KEY = "an admin key of this test"
PARAMETER = re.compile(r"\{\w+\}")


def test_jobs_waits_workers_and_what_became_of_jobs_are_told(service: Service) -> None:
    service.submit()
    job = Trained(service)
    job.train(1, 7)
    job.finish(StopReason.EARLY_STOPPING)
    service.post(f"/v1/jobs/{service.submit()['id']}/cancel")
    service.submit(device="cuda")
    service.submit()
    lost = Trained(service)
    lost.crash()
    with service.database.write() as connection:
        workers.register(connection, "far:1", device="cuda", threads=1, torch="2")
        workers.register(connection, "far:2", device="cpu", threads=1, torch="2")
        workers.mark_silent(connection, seconds=-1)
        workers.beat(connection, "far:1", job_id=lost.job.id)

    read = samples(service.client.get("/metrics"))

    assert [value(read, "jobs", status=status) for status in ("queued", "succeeded", "cancelled", "failed")] == [2, 1, 1, 0]
    assert value(read, "workers", device="cuda", status="training") == 1
    assert value(read, "workers", device="cpu", status="silent") == 1
    assert value(read, "epochs_total") == 7
    assert value(read, "jobs_finished_total", status="succeeded", stop_reason="early_stopping") == 1
    assert value(read, "jobs_finished_total", status="cancelled", stop_reason="cancelled") == 1
    assert value(read, "attempts_lost_total", cause="silent") == 1
    assert 0 < value(read, "queue_oldest_seconds", device="cuda") < 600
    assert value(read, "database_up") == value(read, "api_processes") == 1


def test_what_has_not_happened_yet_is_zero_and_not_missing(service: Service) -> None:
    read = samples(service.client.get("/metrics"))

    assert labels_of(read, "jobs_finished_total")["stop_reason"] == set(StopReason)
    assert labels_of(read, "attempts_lost_total")["cause"] == {"killed", "fault", "exited", "stalled", "silent"}
    assert {("epochs_total", ()), ("leases_lost_total", ()), ("predicted_rows_total", ())} <= read.keys()
    assert labels_of(read, "jobs")["status"] >= {"queued", "running", "pausing", "paused", "cancelling", "succeeded"}


def test_requests_are_counted_by_route_with_the_time_they_took(small: Service) -> None:
    for _ in range(3):
        small.client.get("/v1/jobs/job_x")
    small.submit()

    read = samples(small.client.get("/metrics"))

    assert value(read, "requests_total", method="GET", route="/v1/jobs/{job_id}", status="404") == 3
    assert value(read, "requests_total", method="POST", route="/v1/jobs", status="201") == 1
    labels = {"method": "GET", "route": "/v1/jobs/{job_id}"}
    assert value(read, "request_seconds_count", **labels) == value(read, "request_seconds_bucket", **labels, le="+Inf") == 3
    steps = [value(read, "request_seconds_bucket", **labels, le=str(bound)) for bound in BUCKETS]
    assert steps == sorted(steps)
    assert 0 < value(read, "request_seconds_sum", **labels) < 60


def test_no_caller_can_make_a_label(small: Service) -> None:
    for path in ("/v1/jobs/one", "/v1/jobs/two/", "/nothing/here", "/v1/jobs/%0a%22", "/metrics/x", "/v1/jobs?x=y"):
        for method in ("GET", "PUT", "PROPFIND", "TRACE"):
            small.client.request(method, path)

    read = samples(small.client.get("/metrics"))

    templates = {route.path for router in ROUTERS for route in router.routes if hasattr(route, "path")}
    found = labels_of(read, "request")
    assert found["route"] <= {*templates, "none"}
    assert found["method"] <= {"GET", "PUT", "POST", "OTHER"}
    assert value(read, "requests_total", method="OTHER", route="none", status="404") > 0


def test_a_refused_request_counts_as_one_of_no_route(sqlite_url: str, tmp_path: Path) -> None:
    with running(settings_for(sqlite_url, tmp_path / "data", api_key=SecretStr(KEY), metrics_open=True)) as locked:
        assert_problem(locked.client.get("/v1/jobs"), 401, "unauthorized")
        read = samples(locked.client.get("/metrics"))

    assert value(read, "requests_total", method="GET", route="none", status="401") == 1


def test_metrics_need_the_key_unless_a_setting_opens_them_and_nothing_else(sqlite_url: str, tmp_path: Path) -> None:
    settings = settings_for(sqlite_url, tmp_path / "data", api_key=SecretStr(KEY))
    with running(settings) as locked:
        assert_problem(locked.client.get("/metrics"), 401, "unauthorized")
        assert locked.client.get("/metrics", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
    with running(settings.model_copy(update={"metrics_open": True})) as opened:
        assert opened.client.get("/metrics", headers={"Host": "trainyard.example"}).status_code == 200
        assert_problem(opened.client.get("/metrics/"), 401, "unauthorized")
        assert_problem(opened.client.get("/v1/system"), 401, "unauthorized")


def test_the_format_is_the_one_that_the_caller_reads(shared: Service) -> None:
    text = shared.client.get("/metrics")
    openmetrics = shared.client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in read_openmetrics(openmetrics.text)}  # type: ignore[no-untyped-call]  # of the library
    assert {"trainyard_jobs", "trainyard_epochs", "trainyard_request_seconds"} <= names


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "application/openmetrics-text; version=x", "text/plain;;=,,"]
)
def test_any_accept_is_answered(shared: Service, accept: str) -> None:
    assert shared.client.get("/metrics", headers={"Accept": accept}).status_code == 200


def test_without_the_database_the_requests_are_told_all_the_same(small: Service, tmp_path: Path) -> None:
    small.get("/v1/jobs")
    with sqlite3.connect(tmp_path / "trainyard.db") as connection:
        connection.execute("ALTER TABLE jobs RENAME TO gone")

    read = samples(small.client.get("/metrics"))

    assert value(read, "database_up") == 0
    assert value(read, "requests_total", method="GET", route="/v1/jobs", status="200") == 1
    assert labels_of(read, "jobs") == {}


def test_a_caller_who_leaves_before_the_answer_is_counted_once(small: Service) -> None:
    id = small.submit()["id"]
    with pytest.raises(httpx2.ReadTimeout):
        small.client.get(f"/v1/jobs/{id}", params={"wait": 30}, timeout=0.3)
    small.post(f"/v1/jobs/{id}/cancel")

    def counted() -> float:
        read = samples(small.client.get("/metrics"))
        return value(read, "request_seconds_count", method="GET", route="/v1/jobs/{job_id}")

    wait_until(lambda: counted() == 1)
