"""Probes, the overview, the reference; and what importing the API must not load."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from app.main import create_app
from app.persistence import projects, workers
from tests.api.service import Service, Trained, running, settings_for
from tests.persistence.batches import asked


def test_ready_means_database_queue_and_storage(service: Service) -> None:
    assert service.get("/readyz") == {"status": "ready", "database": "ok", "queue": "ok", "storage": "ok"}


def test_without_a_broker_the_service_is_ready_and_says_that_jobs_start_later(sqlite_url: str, tmp_path: Path) -> None:
    with running(settings_for(sqlite_url, tmp_path / "data")) as service:
        assert service.get("/readyz")["queue"] == "degraded"


def test_without_its_storage_the_service_is_not_ready(small: Service) -> None:
    assert small.client.get("/readyz").json()["storage"] == "ok"
    shutil.rmtree(small.settings.folder / "files")

    answer = small.client.get("/readyz")

    assert (answer.status_code, answer.json()["storage"]) == (503, "down")


def test_where_a_worker_is_expected_ready_waits_for_it(sqlite_url: str, valkey_server: str, tmp_path: Path) -> None:
    with running(settings_for(sqlite_url, tmp_path / "data", expect_worker=True, redis_url=valkey_server)) as service:
        before = service.client.get("/readyz")
        with service.database.write() as connection:
            workers.register(connection, "host:1", device="cpu", threads=1, torch="2")
        after = service.client.get("/readyz")

    assert (before.status_code, before.json()["workers"]) == (503, "starting")
    assert (after.status_code, after.json()["workers"]) == (200, "ok")


def test_the_overview_tells_who_trains_and_what_waits(service: Service) -> None:
    service.submit()
    service.submit()
    Trained(service)
    with service.database.write() as connection:
        workers.register(connection, "host:1", device="cpu", threads=1, torch="2.13")

    system = service.get("/v1/system")

    assert (system["queue_depth"], system["jobs"]) == (1, {"queued": 1, "running": 1})
    assert [(worker["id"], worker["device"], worker["job"], worker["status"]) for worker in system["workers"]] == [
        ("host:1", "cpu", None, "idle")
    ]


def test_the_overview_tells_who_predicts_what_to_whom_it_belongs(service: Service) -> None:
    own = asked(service.database)
    with service.database.write() as connection:
        other = projects.find_or_add(connection, "another")
    for number, row in enumerate((own, asked(service.database, project_id=other))):
        with service.database.write() as connection:
            workers.register(connection, f"host:{number}", device="cpu", threads=1, torch="2.13")
            workers.beat(connection, f"host:{number}", job_id=row.id)

    told = [(one["status"], one["job"], one["batch_prediction"]) for one in service.get("/v1/system")["workers"]]

    assert told == [("predicting", None, own.id), ("predicting", None, None)]


def test_the_front_page_leads_to_a_reference_that_loads_nothing_from_elsewhere(shared: Service) -> None:
    front = shared.client.get("/")
    page = shared.client.get("/docs")

    assert (front.status_code, front.headers["location"]) == (307, "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert set(re.findall(r"""(?:src=|href=|fetch\(|url\(|import )["']?([^"')\s]+)""", page.text)) == {"/openapi.json"}
    assert "://" not in page.text


def test_making_the_application_opens_nothing(tmp_path: Path) -> None:
    create_app(settings_for(f"sqlite:///{tmp_path}/none.db", tmp_path / "data"))

    assert list(tmp_path.iterdir()) == []


def test_importing_the_api_loads_neither_torch_nor_the_worker() -> None:
    code = "import sys, app.main; print([name for name in ('torch', 'celery.worker', 'worker') if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
