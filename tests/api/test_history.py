"""The history over HTTP: columns, pages, thinning, waiting, and numbers that JSON does not have."""

import math
import threading

import pytest

from tests.api.service import Service, Trained, assert_problem, pointers


@pytest.fixture
def trained(service: Service) -> Trained:
    service.submit()
    worker = Trained(service)
    worker.train(1, 10)
    return worker


def test_a_page_has_columns_of_one_length(service: Service, trained: Trained) -> None:
    page = service.get(f"/v1/jobs/{trained.job.id}/history", limit=2)

    assert page == {
        "object": "history",
        "job": trained.job.id,
        "epoch": [1, 2],
        "train_loss": [1.0, 0.5],
        "val_loss": [1.0, 0.5],
        "learning_rate": [0.001, 0.001],
        "seconds": [0.001, 0.002],
        "metrics": {"val_accuracy": [0.5, 0.5]},
        "total": 10,
        "sampled": False,
        "next": 2,
        "has_more": True,
        "status": "running",
        "terminal": False,
    }


def test_a_page_of_the_losses_alone_is_the_page_without_the_other_columns(service: Service, trained: Trained) -> None:
    path, others = f"/v1/jobs/{trained.job.id}/history", {"learning_rate", "seconds", "metrics"}
    trained.train(11, 12, loss={11: math.nan, 12: -math.inf})

    for query in ({}, {"max_points": 3}):
        whole, losses = service.get(path, **query), service.get(path, columns="losses", **query)
        assert losses == {name: value for name, value in whole.items() if name not in others}
    assert service.get(path, columns="losses", after=10)["train_loss"] == ["NaN", "-Infinity"]


def test_a_file_leaves_no_column_out(service: Service, trained: Trained) -> None:
    path, form = f"/v1/jobs/{trained.job.id}/history", {"Accept": "text/csv"}
    answer = service.client.get(path, params={"columns": "losses"}, headers=form)

    assert pointers(answer) == ["columns"]


def test_pages_follow_each_other_without_gap_or_double(service: Service, trained: Trained) -> None:
    epochs, after, more = [], 0, True
    while more:
        page = service.get(f"/v1/jobs/{trained.job.id}/history", limit=4, after=after)
        epochs += page["epoch"]
        after, more = page["next"], page["has_more"]

    assert epochs == list(range(1, 11))
    assert service.get(f"/v1/jobs/{trained.job.id}/history", after=10) | {"epoch": []} == {
        **service.get(f"/v1/jobs/{trained.job.id}/history", after=10),
        "next": 10,
        "has_more": False,
        "total": 10,
    }


def test_every_keeps_the_first_epoch_and_each_nth(service: Service, trained: Trained) -> None:
    page = service.get(f"/v1/jobs/{trained.job.id}/history", every=4)

    assert (page["epoch"], page["total"], page["has_more"]) == ([1, 4, 8], 10, False)


def test_a_range_ends_before_an_epoch(service: Service, trained: Trained) -> None:
    page = service.get(f"/v1/jobs/{trained.job.id}/history", after=3, before=7)
    first = service.get(f"/v1/jobs/{trained.job.id}/history", before=7, limit=2)

    assert (page["epoch"], page["next"], page["has_more"], page["total"]) == ([4, 5, 6], 6, False, 10)
    assert (first["epoch"], first["has_more"]) == ([1, 2], True)
    assert service.get(f"/v1/jobs/{trained.job.id}/history", before=1)["epoch"] == []


def test_numbers_that_are_not_finite_are_words_and_missing_ones_null(service: Service) -> None:
    service.submit()
    worker = Trained(service)

    worker.train(1, 4, loss={1: math.nan, 2: math.inf, 3: -math.inf})

    page = service.get(f"/v1/jobs/{worker.job.id}/history")
    assert page["train_loss"] == ["NaN", "Infinity", "-Infinity", 0.25]


def test_a_wait_ends_with_the_first_new_epoch(service: Service, trained: Trained) -> None:
    timer = threading.Timer(0.2, trained.train, (11, 12))
    timer.start()

    page = service.get(f"/v1/jobs/{trained.job.id}/history", after=10, wait=30)

    timer.join()
    assert page["epoch"] == [11, 12]


def test_a_wait_ends_with_the_job(service: Service, trained: Trained) -> None:
    timer = threading.Timer(0.2, trained.finish)
    timer.start()

    page = service.get(f"/v1/jobs/{trained.job.id}/history", after=10, wait=30)

    timer.join()
    assert (page["epoch"], page["next"], page["status"], page["terminal"]) == ([], 10, "succeeded", True)


def test_a_wait_that_finds_nothing_new_ends_by_itself(service: Service, trained: Trained) -> None:
    assert service.get(f"/v1/jobs/{trained.job.id}/history", after=10, wait=0.05)["epoch"] == []


def test_a_poll_that_finds_nothing_new_is_304(service: Service, trained: Trained) -> None:
    path = f"/v1/jobs/{trained.job.id}/history"
    tag = service.client.get(path).headers["etag"]

    unchanged = service.client.get(path, headers={"If-None-Match": tag})
    trained.train(11, 11)
    changed = service.client.get(path, headers={"If-None-Match": tag})

    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
    assert (changed.status_code, changed.json()["total"]) == (200, 11)


@pytest.mark.parametrize(("sent", "status"), [('"x", {}', 304), ("*", 304), ('"x"', 200), ("", 200)])
def test_a_tag_may_stand_in_a_list(service: Service, trained: Trained, sent: str, status: int) -> None:
    path = f"/v1/jobs/{trained.job.id}/history"
    tag = service.client.get(path).headers["etag"]

    assert service.client.get(path, headers={"If-None-Match": sent.format(tag)}).status_code == status


def test_a_tag_is_worth_nothing_where_there_is_no_job(shared: Service) -> None:
    answer = shared.client.get("/v1/jobs/job_1/history", headers={"If-None-Match": "*"})

    assert_problem(answer, 404, "not_found")


def test_a_wait_with_a_tag_ends_with_the_next_epoch_or_with_304(service: Service, trained: Trained) -> None:
    path = f"/v1/jobs/{trained.job.id}/history"
    tag = {"If-None-Match": service.client.get(path).headers["etag"]}

    nothing = service.client.get(path, params={"wait": 0.05}, headers=tag)
    timer = threading.Timer(0.2, trained.train, (11, 12))
    timer.start()
    something = service.client.get(path, params={"wait": 30}, headers=tag)

    timer.join()
    assert nothing.status_code == 304
    assert something.json()["epoch"] == list(range(1, 13))


def test_a_wait_with_a_tag_ends_with_a_pause(service: Service, trained: Trained) -> None:
    path = f"/v1/jobs/{trained.job.id}/history"
    tag = {"If-None-Match": service.client.get(path).headers["etag"]}
    timer = threading.Timer(0.2, service.post, [f"/v1/jobs/{trained.job.id}/pause"])
    timer.start()

    told = service.client.get(path, params={"wait": 60, "after": 10}, headers=tag, timeout=20).json()

    timer.join()
    assert (told["epoch"], told["status"]) == ([], "pausing")


def test_what_was_told_of_a_job_that_is_over_is_told_again_to_the_byte_and_no_longer_than_it_is_there(
    service: Service, trained: Trained
) -> None:
    path = f"/v1/jobs/{trained.job.id}/history"

    def ask(**params: int) -> bytes:
        return service.client.get(path, params=params).content

    living = ask()
    trained.train(11, 12)
    trained.finish()
    first, second = ask(), ask()
    other, third = ask(limit=2), ask()

    assert first == second == third
    assert len({living, first, other}) == 3
    assert service.get(path)["total"] == 12
    service.client.delete(f"/v1/jobs/{trained.job.id}")
    assert service.client.get(path).status_code == 404


def test_an_epoch_stands_once_after_a_crash(service: Service, trained: Trained) -> None:
    trained.crash()
    trained.claim()
    assert service.get(f"/v1/jobs/{trained.job.id}/history")["epoch"] == []

    trained.train(1, 12)

    assert service.get(f"/v1/jobs/{trained.job.id}/history")["epoch"] == list(range(1, 13))


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"limit": 0}, ["limit"]),
        ({"limit": 10_001, "after": -1, "before": -1}, ["after", "before", "limit"]),
        ({"every": "x"}, ["every"]),
        ({"wait": 61}, ["wait"]),
        ({"bogus": 1, "nope": 2}, ["bogus", "nope"]),
    ],
)
def test_a_query_is_refused_by_the_names_of_its_parameters(
    shared: Service, params: dict[str, str | int], where: list[str]
) -> None:
    assert pointers(shared.client.get("/v1/jobs/job_1/history", params=params)) == where
