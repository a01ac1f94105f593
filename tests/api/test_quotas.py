"""What a project may have at once: refused with what to do, and no other project's concern; on both databases."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.api.keys import holder, locked_service, make
from tests.api.service import CSV, Service, Trained, assert_problem

INCOMPRESSIBLE = b"a\n" + Random(0).randbytes(16_000).hex().encode() + b"\n"
QUOTAS = {"project_queued_jobs": 2, "project_running_jobs": 1, "project_rows": 100, "project_stored_bytes": 10_000}


@pytest.fixture
def locked(database_url: str, valkey_server: str, tmp_path: Path) -> Iterator[Service]:
    with locked_service(database_url, tmp_path / "data", broker=valkey_server, **QUOTAS) as service:
        yield service


def test_a_project_s_queue_has_an_end_until_a_job_runs(locked: Service) -> None:
    spec = {"dataset": locked.described(), "target": "label", "pack": False}
    for _ in range(2):
        locked.post("/v1/jobs", spec, status=201)

    refused = locked.client.post("/v1/jobs", json=spec)
    Trained(locked)
    accepted = locked.client.post("/v1/jobs", json={**spec, "seed": 2})

    assert "2 jobs of the project wait" in assert_problem(refused, 429, "queue_full")["detail"]
    assert refused.headers["retry-after"] == "30"
    assert accepted.status_code == 201
    assert len(locked.get("/v1/jobs")["data"]) == 3


def test_a_full_queue_is_no_other_project_s_concern(locked: Service) -> None:
    spec = {"dataset": locked.described(), "target": "label"}
    for _ in range(2):
        locked.post("/v1/jobs", spec, status=201)

    with holder(locked, make(locked, project="other")["secret"]) as other:
        other.post("/v1/jobs", {"dataset": other.upload()["id"], "target": "label"}, status=201)


def test_a_sweep_counts_its_trials_and_one_that_never_fits_is_told_so(locked: Service) -> None:
    spec = {"dataset": locked.described(), "target": "label"}

    def sweep(trials: int) -> dict[str, object]:
        return {"spec": spec, "search": {"seed": {"range": [0, trials]}}, "method": "grid"}

    never = locked.client.post("/v1/sweeps", json=sweep(3))
    locked.post("/v1/jobs", spec, status=201)
    not_now = locked.client.post("/v1/sweeps", json=sweep(2))

    assert_problem(never, 413, "quota_exceeded")
    assert_problem(not_now, 429, "queue_full")
    assert locked.get("/v1/sweeps")["data"] == []


def test_a_refused_job_may_be_tried_again_with_its_idempotency_key(locked: Service) -> None:
    spec = {"dataset": locked.described(), "target": "label"}
    made = [locked.post("/v1/jobs", spec, status=201) for _ in range(2)]
    headers = {"Idempotency-Key": "k"}

    refused = locked.client.post("/v1/jobs", json=spec, headers=headers)
    locked.post(f"/v1/jobs/{made[0]['id']}/cancel")

    assert refused.status_code == 429
    assert locked.client.post("/v1/jobs", json=spec, headers=headers).status_code == 201


@pytest.mark.parametrize(("body", "what"), [(CSV, "rows"), (INCOMPRESSIBLE, "bytes")])
def test_a_project_keeps_no_more_rows_and_bytes_than_it_may_until_some_are_deleted(
    locked: Service, body: bytes, what: str
) -> None:
    kept = [locked.upload(CSV)["id"] for _ in range(2)]
    before = set(locked.settings.folder.rglob("*.parquet"))

    refused = locked.client.post("/v1/datasets", content=body, headers={"Content-Type": "text/csv"})

    assert f" {what} of " in assert_problem(refused, 413, "quota_exceeded")["detail"]
    assert set(locked.settings.folder.rglob("*.parquet")) == before
    for id in kept:
        assert locked.client.delete(f"/v1/datasets/{id}").status_code == 204
    assert locked.upload(CSV)["rows"] == 40


def test_a_job_says_that_it_waits_for_its_project_s_others(locked: Service) -> None:
    spec = {"dataset": locked.described(), "target": "label", "pack": False}
    locked.post("/v1/jobs", spec, status=201)
    worker = Trained(locked)
    waiting = locked.post("/v1/jobs", spec, status=201)

    assert (waiting["queued_reason"], waiting["queue_position"]) == ("quota", 1)
    worker.finish()
    assert locked.get(f"/v1/jobs/{waiting['id']}")["queued_reason"] == "waiting"
