"""The log of a process, and of a job on its way from the API through a training process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.persistence.database import Database
from tests.servers.cluster import cluster
from tests.servers.plain import NOBODY
from tests.servers.processes import end, free_port, wait_until
from tests.servers.service import PERIODS

BEGIN = """
import logging, structlog, sys, warnings
from app.logs import configure_logs
configure_logs("debug", "{format}")
log = structlog.get_logger()
"""
SIMPLE = BEGIN + 'log.info("something.happened", size=5)\nprint("went on", file=sys.stderr)\n'
LIBRARIES = """
import billiard.util

def fail(secret):
    raise ValueError("it failed\\nbadly")

with structlog.contextvars.bound_contextvars(job="job_1", attempt=2, request_id="req_3"):
    log.info("ours", path="\\x1b[2J\\ud800", what={1, 2})
    logging.getLogger("uvicorn.error").error("of the %s", "server")
    logging.getLogger("celery.worker.consumer").warning("of the queue\\nin two lines")
    logging.getLogger("sqlalchemy.engine").info("SELECT 1")
    warnings.warn("of Python")
    billiard.util.get_logger().error("of the pool")
    try:
        fail("a value of a variable")
    except ValueError:
        log.exception("ours.failed")
        logging.getLogger("kombu").exception("theirs")
log.info("after")
"""


def run(code: str, format: str) -> subprocess.CompletedProcess[str]:
    program = code.replace("{format}", format)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)


def entries(log: str) -> list[dict[str, Any]]:
    """Every line, each a JSON object."""
    return [json.loads(line) for line in log.splitlines()]


@pytest.mark.parametrize("format", ["console", "json"])
def test_a_log_on_a_full_disk_ends_nothing(format: str) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", SIMPLE.replace("{format}", format)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert done.stderr.startswith("went on")


def test_a_line_for_the_console_has_its_event_and_its_values() -> None:
    done = run(SIMPLE, "console")

    assert "something.happened" in done.stdout
    assert "size=5" in done.stdout


@pytest.mark.parametrize("format", ["json", "auto"])
def test_a_line_for_a_machine_is_an_object_and_so_is_every_line_where_there_is_no_terminal(format: str) -> None:
    [entry] = entries(run(SIMPLE, format).stdout)

    assert {**entry, "timestamp": entry["timestamp"][-1]} == {
        "event": "something.happened",
        "size": 5,
        "level": "info",
        "timestamp": "Z",
    }


def test_libraries_and_warnings_write_the_same_lines_with_the_same_ids() -> None:
    done = run(BEGIN + LIBRARIES, "json")

    *bound, after = entries(done.stdout)
    assert [(entry["event"].splitlines()[0].partition(": ")[0], entry.get("logger"), entry["level"]) for entry in bound] == [
        ("ours", None, "info"),
        ("of the server", "uvicorn.error", "error"),
        ("of the queue\\nin two lines", "celery.worker.consumer", "warning"),
        ("<string>:17", "py.warnings", "warning"),
        ("of the pool", "multiprocessing", "error"),
        ("ours.failed", None, "error"),
        ("theirs", "kombu", "error"),
    ]
    assert all((entry["job"], entry["attempt"], entry["request_id"]) == ("job_1", 2, "req_3") for entry in bound)
    assert "job" not in after
    assert (bound[0]["path"], bound[0]["what"]) == ("\\x1b[2J\\ud800", "{1, 2}")
    assert done.stderr == ""


@pytest.mark.parametrize("format", ["console", "json"])
def test_a_traceback_has_no_values_of_variables(format: str) -> None:
    done = run(BEGIN + LIBRARIES, format)

    assert done.stdout.count("ValueError: it failed") == 2
    assert "a value of a variable" not in done.stdout.replace('fail("a value of a variable")', "")


def test_an_error_of_a_statement_does_not_tell_what_was_bound_to_it(database: Database) -> None:
    statement, values = text("SELECT nothing FROM nowhere WHERE a = :a"), {"a": "a value of a row"}

    with pytest.raises(DBAPIError, match="nowhere") as raised, database.write() as connection:
        connection.execute(statement, values)

    assert "a value of a row" not in str(raised.value)


def test_a_job_is_followed_by_its_request_from_the_api_to_the_training_process(
    sqlite_url: str, valkey_server: str, tmp_path: Path
) -> None:
    port = free_port()
    environment = {
        **PERIODS,
        "TRAINYARD_DATA": str(tmp_path / "data"),
        "TRAINYARD_DATABASE_URL": sqlite_url,
        "TRAINYARD_REDIS_URL": valkey_server,
        "TRAINYARD_PORT": str(port),
        "TRAINYARD_SLOTS": "1",
    }
    with cluster(environment, tmp_path) as parts:
        api = parts.start("api", ["trainyard", "api"])
        worker = parts.start("worker", ["trainyard", "worker"])
        parts.wait_until_healthy("api", ["trainyard", "api", "--check"])
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=90, verify=NOBODY) as client:
            dataset = client.post("/v1/datasets", json={"sample": "iris"}).json()["id"]
            spec = {"dataset": dataset, "target": "species", "epochs": 3}
            job = client.post("/v1/jobs", json=spec, headers={"X-Request-ID": "mine-1"}).json()["id"]
            wait_until(lambda: client.get(f"/v1/jobs/{job}").json()["terminal"], seconds=120, what="the job's end")
            for query in ("", "?checkpoint=last"):
                client.post(f"/v1/jobs/{job}/predict{query}", json={"rows": [[1, 2, 3, 4]]}, headers={"X-Request-ID": "mine-2"})
        end(api)
        end(worker)
        told = {part: entries(parts.log(part).read_text()) for part in ("api", "worker")}

    assert [entry["request_id"] for entry in told["api"] if entry["event"] == "job.created"] == ["mine-1"]
    asked = [entry for entry in told["api"] if entry["event"] == "request" and entry["path"] == f"/v1/jobs/{job}"]
    assert {entry["job"] for entry in asked} == {job}
    predicted = [entry for entry in told["api"] if entry.get("request_id") == "mine-2"]
    assert [(entry["event"], entry["job"], entry["status"]) for entry in predicted] == [("request", job, 200)] * 2
    about = [entry for entry in told["worker"] if job in str(entry)]
    assert {"job.claimed", "jobs.left"} <= {entry["event"] for entry in about}
    attempts = [entry for entry in about if entry["event"] in ("job.claimed", "jobs.left")]
    assert {(entry["job"], entry["attempt"], entry["request_id"]) for entry in attempts} == {(job, 1, "mine-1")}
