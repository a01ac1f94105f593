"""Every verb on a job in every status, over HTTP against both databases, and what a lost lease makes of each."""

import resource
from collections.abc import Mapping

import pytest
from sqlalchemy import update

from app.domain.job import Status
from app.persistence import claims, events, leases
from app.persistence.database import now
from app.persistence.tables import jobs
from tests.api.service import Service, assert_problem, row_of

OVER = {"succeeded": "succeeded", "failed": "failed", "cancelled": "cancelled"}
CONFLICTS = dict.fromkeys(OVER, 409)
VERBS: dict[str, Mapping[str, str | int]] = {
    "cancel": {
        "queued": "cancelled",
        "running": "cancelling",
        "pausing": "cancelling",
        "paused": "cancelled",
        "cancelling": "cancelling",
        **OVER,
    },
    "pause": {
        "queued": "paused",
        "running": "pausing",
        "pausing": "pausing",
        "paused": "paused",
        "cancelling": 409,
        **CONFLICTS,
    },
    "resume": {
        "queued": "queued",
        "running": "running",
        "pausing": 409,
        "paused": "queued",
        "cancelling": 409,
        **CONFLICTS,
    },
}


def put(service: Service, status: str) -> str:
    """A job that stands there."""
    id: str = service.submit()["id"]
    with service.database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.id == id).values(status=status))
    return id


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_does_to_each_status_what_the_table_says(service: Service, verb: str) -> None:
    found: dict[str, str | int] = {}
    for status in Status:
        id = put(service, status)
        answer = service.client.post(f"/v1/jobs/{id}/{verb}")
        found[status] = answer.json()["status"] if answer.status_code == 200 else answer.status_code
        assert row_of(service, id).status == (status if answer.status_code == 409 else found[status])

    assert found == VERBS[verb]


def test_only_a_job_that_is_over_is_deleted(service: Service) -> None:
    found = {status: service.client.delete(f"/v1/jobs/{put(service, status)}").status_code for status in Status}

    assert found == {status: 204 if status.terminal else 409 for status in Status}
    assert len(service.get("/v1/jobs")["data"]) == sum(not status.terminal for status in Status)


def test_a_verb_that_changes_nothing_leaves_no_event(service: Service) -> None:
    id = put(service, "pausing")

    service.post(f"/v1/jobs/{id}/pause")

    assert [event["type"] for event in service.get(f"/v1/jobs/{id}/events")["data"]] == ["job.created"]


@pytest.mark.parametrize(("asked", "becomes"), [("running", "queued"), ("pausing", "paused"), ("cancelling", "cancelled")])
def test_a_wish_is_granted_when_the_lease_of_a_dead_worker_runs_out(service: Service, asked: str, becomes: str) -> None:
    id = service.submit()["id"]
    with service.database.write() as connection:
        [job] = claims.claim(connection, owner="host:1", devices=["auto"], lease_seconds=30)
        connection.execute(update(jobs).where(jobs.c.id == id).values(status=asked, lease_expires_at=now() - 1))
    with service.database.write() as connection:
        leases.crashed(connection, expired=True, max_crashes=3)
        last = events.after(connection, job.number)[-1]

    ended = service.get(f"/v1/jobs/{id}")
    assert ended["status"] == becomes
    assert (ended["stop_reason"], ended["terminal"]) == (("cancelled", True) if becomes == "cancelled" else (None, False))
    assert last.type == ("job.worker_lost" if becomes == "queued" else f"job.{becomes}")


def test_a_cancelled_job_that_no_worker_ever_saw_is_over_at_once_and_stays_so(service: Service) -> None:
    id = service.submit()["id"]

    cancelled = service.post(f"/v1/jobs/{id}/cancel")

    assert (cancelled["status"], cancelled["stop_reason"], cancelled["finished_at"] is None) == (
        "cancelled",
        "cancelled",
        False,
    )
    with service.database.write() as connection:
        assert claims.claim(connection, owner="host:1", devices=["auto"], lease_seconds=30) == []
    assert service.post(f"/v1/jobs/{id}/cancel") == cancelled


def test_a_database_whose_disk_is_full_says_so_and_nothing_else(small: Service) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    dataset = small.described()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        answer = small.client.post("/v1/jobs", json={"dataset": dataset, "target": "label"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert assert_problem(answer, 503, "unavailable")["detail"] == "The database cannot be written: is its disk full?"
    assert small.get("/v1/jobs")["data"] == []
