"""Lists over HTTP: what a filter finds, page by page, and cursors that lead nowhere."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from app.domain.ids import new_id
from app.persistence.tables import jobs
from tests.api.service import Service, Trained, assert_problem, pointers


def ids(service: Service, **params: Any) -> list[str]:
    return [job["id"] for job in service.get("/v1/jobs", **params)["data"]]


def test_jobs_are_found_by_their_metadata(service: Service) -> None:
    strange = 'a.b"c]$[0]'
    both = service.submit(metadata={"team": "a", strange: "é'%"})["id"]
    one = service.submit(metadata={"team": "a"})["id"]
    other = service.submit(metadata={"team": "b", "": "nothing"})["id"]

    assert ids(service, **{"metadata[team]": "a"}) == [one, both]
    assert ids(service, **{"metadata[team]": "a", f"metadata[{strange}]": "é'%"}) == [both]
    assert ids(service, **{"metadata[]": "nothing"}) == [other]
    assert ids(service, **{"metadata[team]": ["a", "b"]}) == []
    assert ids(service, **{"metadata[Team]": "a"}) == []
    for holding_nul in ({"metadata[a\0]": "x"}, {"metadata[a]": "\0"}):
        assert_problem(service.client.get("/v1/jobs", params=holding_nul), 422, "invalid_request")
    assert ids(service, **{"metadata[team]": "a", "status": "running"}) == []


def at(service: Service, time: datetime, **spec: Any) -> str:
    """A job that was created then."""
    id: str = service.submit(**spec)["id"]
    with service.database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.id == id).values(created_at=time))
    return id


def test_jobs_are_found_between_two_times_as_they_are_told(service: Service) -> None:
    first, second, third = (at(service, datetime(2026, 1, 2, 3, 4, 5, 123_000 + us, UTC)) for us in (0, 456, 1000))
    told = [service.get(f"/v1/jobs/{id}")["created_at"] for id in (first, second, third)]

    assert told == ["2026-01-02T03:04:05.123Z", "2026-01-02T03:04:05.123Z", "2026-01-02T03:04:05.124Z"]
    assert ids(service, created_after=told[1]) == [third]
    assert ids(service, created_before=told[2]) == [second, first]
    assert ids(service, created_after="2026-01-02T04:04:05.1229+01:00", created_before="2026-01-02T03:04:05.1231Z") == [
        second,
        first,
    ]
    assert ids(service, created_after="2026-01-02T03:04:05.1231Z") == [third]
    assert ids(service, created_before=told[0]) == []
    assert ids(service, created_after="0001-01-01T00:00:00+14:00", created_before="9999-12-31T23:59:59.9999Z") == [
        third,
        second,
        first,
    ]


@pytest.mark.parametrize(
    "time",
    ["yesterday", "2026-01-02", "2026-01-02T03:04:05", "1767322345", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05 00:00", ""],
)
def test_what_is_no_time_is_refused(shared: Service, time: str) -> None:
    answer = shared.client.get("/v1/jobs", params={"created_after": time, "created_before": time})

    assert pointers(answer) == ["created_after", "created_before"]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_filtered_list_is_paged_without_a_gap(service: Service, order: str) -> None:
    wanted = []
    for number in range(9):
        id = service.submit(name="a" if number % 2 else "b", metadata={"third": str(number % 3)})["id"]
        wanted += [id] if number % 2 and number % 3 else []
    wanted = wanted if order == "asc" else wanted[::-1]

    found, params = [], {"name": "a", "limit": 2, "order": order, "metadata[third]": None}
    for third in ("1", "2"):
        page: dict[str, Any] = {"has_more": True, "next": None}
        while page["has_more"]:
            after = {"after": page["next"]} if page["next"] else {}
            page = service.get("/v1/jobs", **{**params, "metadata[third]": third, **after})
            assert len(page["data"]) <= 2
            found += [job["id"] for job in page["data"]]

    assert sorted(found) == sorted(wanted)
    assert len(set(found)) == len(found)


def test_a_page_follows_also_from_an_item_that_was_deleted(service: Service) -> None:
    first, second, third = (service.submit()["id"] for _ in range(3))
    service.post(f"/v1/jobs/{second}/cancel")
    assert service.client.delete(f"/v1/jobs/{second}").status_code == 204

    assert ids(service, after=second) == [first]
    assert ids(service, after=second, order="asc") == [third]


@pytest.mark.parametrize("cursor", ["", "x", "job_", "job_" + "g" * 32, "0" * 32, "JOB_" + "0" * 32, "of another kind"])
@pytest.mark.parametrize("list", ["/v1/jobs", "/v1/datasets", "/v1/sweeps", "events", "trials", "leaderboard"])
def test_a_cursor_that_is_none_of_the_list_is_refused(shared: Service, list: str, cursor: str) -> None:
    job, sweep = shared.submit()["id"], one_sweep(shared)
    paths = {
        "events": f"/v1/jobs/{job}/events",
        "trials": f"/v1/sweeps/{sweep}/jobs",
        "leaderboard": f"/v1/sweeps/{sweep}/jobs",
    }
    cursor = new_id("ckpt") if cursor == "of another kind" else cursor

    answer = shared.client.get(
        paths.get(list, list), params={"after": cursor, **({"sort": "metric"} if list == "leaderboard" else {})}
    )

    assert_problem(answer, 422, "unknown_cursor")


def test_what_has_no_place_in_a_log_or_on_a_leaderboard_is_no_cursor(shared: Service) -> None:
    job, sweep = shared.submit()["id"], one_sweep(shared)

    for path in (f"/v1/jobs/{job}/events?after={new_id('evt')}", f"/v1/sweeps/{sweep}/jobs?sort=metric&after={job}"):
        assert_problem(shared.client.get(path), 422, "unknown_cursor")


def one_sweep(service: Service) -> str:
    spec = {"dataset": service.described(), "target": "label"}
    made = service.post("/v1/sweeps", {"spec": spec, "search": {"seed": {"choice": [1]}}, "method": "grid"}, status=201)
    id: str = made["id"]
    return id


@pytest.mark.parametrize(
    "name", ["metadata", "metadata[", "metadata]a[", "spec[a]", "metadata.team", "Metadata[a]", "metadata[a][b]"]
)
def test_a_parameter_that_is_no_entry_of_a_map_is_unknown(shared: Service, name: str) -> None:
    assert pointers(shared.client.get("/v1/jobs", params={name: "a"})) == [name]
    assert pointers(shared.client.get("/v1/sweeps", params={"metadata[a]": "a"})) == ["metadata[a]"]


def test_the_reference_describes_the_map_as_the_standard_has_it(shared: Service) -> None:
    parameters = shared.get("/openapi.json")["paths"]["/v1/jobs"]["get"]["parameters"]
    [found] = [parameter for parameter in parameters if parameter["name"] == "metadata"]

    assert (found["style"], found["explode"], found["schema"]["type"]) == ("deepObject", True, "object")
    names = {parameter["name"] for parameter in parameters}
    assert names >= {"status", "dataset", "name", "created_after", "created_before", "limit", "after", "order"}


def test_a_trained_job_is_found_by_its_status(service: Service) -> None:
    first = service.submit(metadata={"team": "a"})["id"]
    service.submit(metadata={"team": "a"})
    Trained(service).finish()

    assert ids(service, **{"status": ["succeeded", "failed"], "metadata[team]": "a"}) == [first]
