"""Callers who change one model at the same moment: whoever comes second finds what the first left; on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import httpx2
from sqlalchemy import text

from app.persistence import checkpoints as rows
from app.persistence import models, versions
from tests.api.registry import ROWS, checkpoints, delete, job_of, move, named, register
from tests.api.service import Service, assert_problem, running, settings_for
from tests.persistence.test_registered import new_model, new_version
from tests.servers.processes import wait_until

ROUNDS = 6


def together(*calls: Callable[[], httpx2.Response]) -> list[int]:
    """The statuses of calls that begin at the same moment."""
    barrier = Barrier(len(calls))

    def begin(call: Callable[[], httpx2.Response]) -> int:
        barrier.wait(10)
        return call().status_code

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begin, calls))


def test_versions_at_once_get_numbers_without_a_gap_and_one_becomes_the_default(lasting: Service) -> None:
    [checkpoint] = checkpoints(lasting, 1)
    path = named(lasting, "many-at-once")

    statuses = together(*[lambda: lasting.client.post(f"{path}/versions", json={"checkpoint": checkpoint})] * 8)

    assert statuses == [201] * 8
    assert sorted(one["version"] for one in lasting.get(f"{path}/versions")["data"]) == list(range(1, 9))
    assert lasting.get(path)["aliases"] == {"default": 1}
    assert len(lasting.get(f"{path}/aliases/default/history")["data"]) == 1


def test_a_name_at_once_is_registered_once(lasting: Service) -> None:
    statuses = together(*[lambda: lasting.client.post("/v1/models", json={"name": "named-at-once"})] * 6)

    assert sorted(statuses) == [201] + [409] * 5


def test_an_alias_never_points_at_a_version_that_is_being_deleted(lasting: Service) -> None:
    [checkpoint] = checkpoints(lasting, 1)
    path = named(lasting, "moved-and-deleted", checkpoint)
    for _ in range(ROUNDS):
        number = register(lasting, path, checkpoint)["version"]

        moved, deleted = together(
            lambda: lasting.client.put(f"{path}/aliases/default", json={"version": number}),  # noqa: B023 - called in this round
            lambda: lasting.client.delete(f"{path}/versions/{number}"),  # noqa: B023 - as above
        )

        assert (moved, deleted) in {(200, 409), (422, 204)}
        assert lasting.post(f"{path}/predict", ROWS)["version"] == lasting.get(path)["aliases"]["default"]
        move(lasting, path, "default", 1)


def test_a_job_is_deleted_or_registered_and_never_both(lasting: Service) -> None:
    path = named(lasting, "deleted-and-registered")
    for _ in range(ROUNDS):
        [checkpoint] = checkpoints(lasting, 1)
        job = job_of(lasting, checkpoint)

        deleted, registered = together(
            lambda: lasting.client.delete(job),  # noqa: B023 - as above
            lambda: lasting.client.post(f"{path}/versions", json={"checkpoint": checkpoint}),  # noqa: B023 - as above
        )

        # Deleted while it was loaded is 409, before or after that 422.
        assert (deleted, registered) in {(409, 201), (204, 422), (204, 409)}
        versions = {one["checkpoint"] for one in lasting.get(f"{path}/versions")["data"]}
        assert (checkpoint in versions) == (registered == 201)
        if registered == 201:
            assert lasting.post(f"{job}/predict", ROWS)["checkpoint"] == checkpoint
        else:
            assert_problem(lasting.client.get(job), 404, "not_found")


def test_a_job_that_is_deleted_while_it_is_being_registered_waits_and_stays(postgres_url: str, tmp_path: Path) -> None:
    with running(settings_for(postgres_url, tmp_path / "data")) as service, ThreadPoolExecutor(1) as pool:
        [checkpoint] = checkpoints(service, 1)
        job = job_of(service, checkpoint)
        with service.database.write() as connection:
            assert rows.hold(connection, checkpoint)
            model = models.add(connection, new_model("by-hand"))
            assert model is not None
            versions.add(connection, new_version(model, checkpoint))
            deleted = pool.submit(delete, service, job)
            wait_until(lambda: waits_for_a_lock(service), what="the deletion to wait")

        assert deleted.result(10) == 409
        assert [delete(service, path) for path in ("/v1/models/by-hand", job)] == [204, 204]


def waits_for_a_lock(service: Service) -> bool:
    with service.database.read() as connection:
        query = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
        return bool(connection.execute(query).scalar_one())


def test_a_model_is_deleted_or_gets_an_alias_and_never_both(lasting: Service) -> None:
    [checkpoint] = checkpoints(lasting, 1)
    for number in range(ROUNDS):
        path = named(lasting, f"deleted-or-aliased-{number}", checkpoint)
        lasting.client.delete(f"{path}/aliases/default")

        deleted, moved = together(
            lambda: lasting.client.delete(path),  # noqa: B023 - as above
            lambda: lasting.client.put(f"{path}/aliases/default", json={"version": 1}),  # noqa: B023 - as above
        )

        # Deleted between the look for the model and that for its version is 422.
        assert (deleted, moved) in {(204, 404), (204, 422), (409, 201)}
        assert lasting.client.post(f"{path}/predict", json=ROWS).status_code == (404 if deleted == 204 else 200)
