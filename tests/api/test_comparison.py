"""Several histories in one answer."""

import math

import pytest

from tests.api.service import Service, Trained, assert_problem, pointers

PATH = "/v1/history"


@pytest.fixture
def jobs(service: Service) -> list[Trained]:
    """Two jobs in training, of 300 and of 5 epochs."""
    workers = []
    for last in (300, 5):
        service.submit(epochs=1000)
        workers.append(Trained(service))
        workers[-1].train(1, last, loss={4: math.nan, 250: 9.0})
    return workers


def test_each_job_has_its_sample_in_the_order_asked_for(service: Service, jobs: list[Trained]) -> None:
    long, short = (worker.job.id for worker in jobs)

    answer = service.get(PATH, job=[short, long, short], max_points=20)

    assert (answer["object"], answer["has_more"], answer["next"]) == ("list", False, None)
    assert answer["data"] == [service.get(f"/v1/jobs/{id}/history", max_points=20) for id in (short, long)]
    assert [(one["job"], one["sampled"], one["total"]) for one in answer["data"]] == [(short, False, 5), (long, True, 300)]
    assert {1, 4, 250, 300} <= set(answer["data"][1]["epoch"])


def test_all_are_asked_for_the_same_range(service: Service, jobs: list[Trained]) -> None:
    answer = service.get(PATH, job=[worker.job.id for worker in jobs], after=2, before=9, every=2)

    assert [one["epoch"] for one in answer["data"]] == [[4, 6, 8], [4]]


def test_the_answer_is_known_until_one_of_them_changes(service: Service, jobs: list[Trained]) -> None:
    params = {"job": [worker.job.id for worker in jobs]}
    tag = service.client.get(PATH, params=params).headers["etag"]

    def asked() -> int:
        return service.client.get(PATH, params=params, headers={"If-None-Match": tag}).status_code

    assert asked() == 304
    jobs[1].train(6, 6)
    assert asked() == 200


def test_one_that_is_not_there_is_named(service: Service, jobs: list[Trained]) -> None:
    answer = service.client.get(PATH, params={"job": [jobs[0].job.id, "job_1"]})

    assert "job_1" in assert_problem(answer, 404, "not_found")["detail"]


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({}, ["job"]),
        ({"job": [f"job_{number}" for number in range(101)]}, ["job"]),
        ({"job": ["job_1"], "max_points": 1, "after": -1}, ["after", "max_points"]),
        ({"job": [f"job_{number}" for number in range(100)], "max_points": 2001}, ["max_points"]),
        ({"job": ["job_1"], "limit": 5}, ["limit"]),
    ],
)
def test_a_query_is_refused_by_the_names_of_its_parameters(
    shared: Service, params: dict[str, list[str] | int], where: list[str]
) -> None:
    assert pointers(shared.client.get(PATH, params=params)) == where
