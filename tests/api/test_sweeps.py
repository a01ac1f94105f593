"""Sweeps over HTTP: created with their trials, ranked while they train, cancelled; and every search that cannot be."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.domain.caller import Caller
from app.domain.cost import CostLimits
from app.domain.job import Status, StopReason
from app.domain.spec import JobSpec
from app.persistence import workers
from app.services.resolver import Resolver
from app.storage.folder import Folder
from tests.api.service import Service, Trained, assert_problem, pointers

SEEDS: dict[str, Any] = {"seed": {"choice": [1, 2, 3]}}


def asked(service: Service, **changes: object) -> dict[str, Any]:
    """A sweep of three trials unless `changes` say otherwise."""
    spec = {"dataset": service.described(), "target": "label", "epochs": 100, "pack": False}
    return {"spec": spec, "method": "grid", "search": SEEDS, **changes}


def sweep(service: Service, **changes: object) -> dict[str, Any]:
    return service.post("/v1/sweeps", asked(service, **changes), status=201)


def refused(service: Service, **changes: object) -> httpx2.Response:
    return service.client.post("/v1/sweeps", json=asked(service, **changes))


def trials(service: Service, id: str, **params: Any) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = service.get(f"/v1/sweeps/{id}/jobs", **params)["data"]
    return data


def test_a_sweep_shows_what_was_asked_and_queues_a_job_for_each_trial(service: Service) -> None:
    body = asked(service, name="seeds", parallel=2, search={"optimizer.learning_rate": {"choice": [0.1, 0.01]}, **SEEDS})

    answer = service.client.post("/v1/sweeps", json=body)

    made = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/sweeps/{made['id']}")
    assert made["id"].startswith("swp_")
    assert {name: made[name] for name in body} == body
    assert (made["object"], made["status"], made["terminal"], made["trials"]) == ("sweep", "running", False, 6)
    assert (made["metric"], made["mode"], made["seed"], made["stop"]) == ("val_loss", "min", 42, None)
    assert made["progress"] == {
        "trials": 6,
        "queued": 6,
        "running": 0,
        "paused": 0,
        "succeeded": 0,
        "failed": 0,
        "cancelled": 0,
        "fraction": 0.0,
    }
    assert (made["best"], made["finished_at"]) == (None, None)
    assert service.get(f"/v1/sweeps/{made['id']}") == made
    assert service.get("/v1/sweeps")["data"] == [made]


def test_a_trial_is_a_job_whose_spec_has_the_searched_values(service: Service) -> None:
    search = {"optimizer.learning_rate": {"choice": [0.1]}, "early_stopping": {"choice": [None, {"patience": 3}]}}
    made = sweep(service, search=search)

    first, second = trials(service, made["id"], order="asc")

    assert first["spec"] == made["spec"] | {"optimizer": {"name": "adam", "learning_rate": 0.1}, "early_stopping": None}
    assert (first["parameters"], first["value"]) == ({"optimizer.learning_rate": 0.1, "early_stopping": None}, None)
    assert second["resolved_spec"]["early_stopping"]["patience"] == 3
    job = service.get(f"/v1/jobs/{second['id']}")
    assert {name: second[name] for name in job} == job
    assert (job["sweep"], job["status"], job["queue_position"]) == (made["id"], "queued", 2)
    assert [event["type"] for event in service.get(f"/v1/jobs/{job['id']}/events")["data"]] == ["job.created"]


def test_a_trial_that_waits_for_its_siblings_stands_behind_all_others_and_says_why(service: Service) -> None:
    made = sweep(service, search=SEEDS, parallel=1)
    Trained(service)
    later = service.submit()

    waiting = [trial for trial in trials(service, made["id"], order="asc") if trial["status"] == "queued"]

    assert (later["queue_position"], later["queued_reason"]) == (1, "waiting")
    assert [trial["queue_position"] for trial in waiting] == list(range(2, 2 + len(waiting)))
    assert {trial["queued_reason"] for trial in waiting} == {"quota"}


def test_jobs_are_listed_by_their_sweep(service: Service) -> None:
    service.submit()
    made = sweep(service)

    listed = service.get("/v1/jobs", sweep=made["id"])["data"]

    assert [job["id"] for job in listed] == [job["id"] for job in trials(service, made["id"])]
    assert len(listed) == 3


def test_the_leaderboard_has_the_best_first_and_those_that_failed_or_have_no_value_last(service: Service) -> None:
    made = sweep(service, search={"seed": {"range": [0, 6]}})
    workers_hands = [Trained(service) for _ in range(5)]
    for hand, last in zip(workers_hands, (5, 20, 10, 40, 1), strict=True):
        hand.train(1, last)
    workers_hands[3].finish(StopReason.NON_FINITE_LOSS, message="Try a lower learning rate.")
    workers_hands[4].diverge(2)

    board = trials(service, made["id"], sort="metric")
    pages = [trials(service, made["id"], sort="metric", limit=2)]
    while len(pages[-1]) == 2:
        pages.append(trials(service, made["id"], sort="metric", limit=2, after=pages[-1][-1]["id"]))

    assert [(trial["parameters"]["seed"], trial["value"]) for trial in board] == [
        (1, 0.05),
        (2, 0.1),
        (0, 0.2),
        (3, 0.025),
        (4, "NaN"),
        (5, None),
    ]
    assert [trial["id"] for page in pages for trial in page] == [trial["id"] for trial in board]
    best = service.get(f"/v1/sweeps/{made['id']}")["best"]
    assert best == {
        "job": board[0]["id"],
        "status": "running",
        "epoch": 20,
        "value": 0.05,
        "parameters": {"seed": 1},
    }


def test_a_metric_of_which_more_is_better_turns_the_leaderboard(service: Service) -> None:
    made = sweep(service, metric="val_accuracy")
    for accuracy in (0.5, 0.75, 0.625):
        Trained(service).measure(val_accuracy=accuracy)

    board = trials(service, made["id"], sort="metric")

    assert (made["metric"], made["mode"]) == ("val_accuracy", "max")
    assert [trial["value"] for trial in board] == [0.75, 0.625, 0.5]
    assert service.get(f"/v1/sweeps/{made['id']}")["best"]["value"] == 0.75


def test_a_trial_that_goes_on_without_news_keeps_its_value(service: Service) -> None:
    made = sweep(service, metric="val_accuracy")
    trained = Trained(service)
    trained.measure(val_accuracy=0.75)

    trained.go_on()

    assert service.get(f"/v1/sweeps/{made['id']}")["best"]["value"] == 0.75


def test_without_validation_trials_are_compared_by_their_training_loss(small: Service) -> None:
    spec = {"dataset": small.described(), "target": "label", "split": {"validation": 0}}

    made = sweep(small, spec=spec)

    assert (made["metric"], made["mode"]) == ("train_loss", "min")


def test_a_sweep_is_over_when_its_trials_are_and_succeeded_when_one_of_them_did(service: Service) -> None:
    id = sweep(service)["id"]
    for reason in (StopReason.WORKER_LOST, StopReason.MAX_EPOCHS):
        Trained(service).finish(reason)
    before = service.get(f"/v1/sweeps/{id}")
    Trained(service).finish(StopReason.WORKER_LOST)

    after = service.get(f"/v1/sweeps/{id}")

    assert (before["status"], before["finished_at"], before["progress"]["fraction"]) == ("running", None, pytest.approx(2 / 3))
    assert (after["status"], after["terminal"], after["progress"]["fraction"]) == ("succeeded", True, 1.0)
    assert after["finished_at"] == max(trial["finished_at"] for trial in trials(service, id))


def test_a_sweep_none_of_whose_trials_succeeded_failed(small: Service) -> None:
    id = sweep(small)["id"]
    for _ in range(3):
        Trained(small).finish(StopReason.NON_FINITE_LOSS)

    assert small.get(f"/v1/sweeps/{id}")["status"] == "failed"


def test_cancel_stops_every_live_trial_as_a_job_s_cancel_does(service: Service) -> None:
    id = sweep(service, search={"seed": {"range": [0, 4]}})["id"]
    Trained(service).finish()
    hand = Trained(service)
    paused = trials(service, id)[0]["id"]
    service.post(f"/v1/jobs/{paused}/pause")

    asked = service.post(f"/v1/sweeps/{id}/cancel")
    hand.finish(StopReason.CANCELLED)
    over = service.get(f"/v1/sweeps/{id}")
    again = service.post(f"/v1/sweeps/{id}/cancel")

    assert (asked["status"], asked["terminal"], asked["progress"]["running"]) == ("cancelling", False, 1)
    assert (over["status"], over["terminal"]) == ("cancelled", True)
    assert (over["progress"]["succeeded"], over["progress"]["cancelled"]) == (1, 3)
    assert again == over
    last = [service.get(f"/v1/jobs/{trial['id']}/events")["data"][-1] for trial in trials(service, id, order="asc")]
    assert [event["type"] for event in last] == ["job.succeeded", *["job.cancelled"] * 3]
    assert last[2]["data"] == {"epoch": 0, "stop_reason": "cancelled"}
    assert {trial["stop_reason"] for trial in trials(service, id)} == {"max_epochs", "cancelled"}


def test_cancel_leaves_a_sweep_that_is_over_as_it_is(small: Service) -> None:
    id = sweep(small, search={"seed": {"choice": [1]}})["id"]
    Trained(small).finish()
    before = small.get(f"/v1/sweeps/{id}")

    assert small.post(f"/v1/sweeps/{id}/cancel") == before
    assert before["status"] == "succeeded"


def test_a_cancelled_trial_alone_does_not_cancel_its_sweep(small: Service) -> None:
    id = sweep(small, search={"seed": {"choice": [1, 2]}})["id"]
    small.post(f"/v1/jobs/{trials(small, id)[0]['id']}/cancel")
    Trained(small).finish()

    assert small.get(f"/v1/sweeps/{id}")["status"] == "succeeded"


def test_a_trial_that_was_deleted_counts_as_over(small: Service) -> None:
    id = sweep(small, search={"seed": {"choice": [1, 2]}})["id"]
    Trained(small).finish()
    done = trials(small, id, order="asc")[0]["id"]
    assert small.client.delete(f"/v1/jobs/{done}").status_code == 204

    progress = small.get(f"/v1/sweeps/{id}")["progress"]

    assert (progress["trials"], progress["queued"], progress["fraction"]) == (2, 1, 0.5)


def test_the_same_request_gets_the_first_answer_again_and_makes_no_second_sweep(service: Service) -> None:
    body, headers = asked(service), {"Idempotency-Key": "k"}

    first, again = (service.client.post("/v1/sweeps", json=body, headers=headers) for _ in range(2))
    other = service.client.post("/v1/sweeps", json=body | {"seed": 7}, headers=headers)

    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert_problem(other, 422, "idempotency_key_reused")
    assert len(service.get("/v1/jobs")["data"]) == 3


def test_sweeps_are_listed_newest_first_and_paged(service: Service) -> None:
    ids = [sweep(service)["id"] for _ in range(3)]

    first = service.get("/v1/sweeps", limit=2)
    rest = service.get("/v1/sweeps", limit=2, after=first["next"])

    assert [made["id"] for made in first["data"] + rest["data"]] == ids[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)


def test_a_large_sweep_is_made_whole(service: Service) -> None:
    with service.database.write() as connection:
        workers.register(connection, "host:1", device="cpu", threads=1, torch="2")

    made = sweep(service, search={"seed": {"range": [0, 10_000]}})

    assert (made["trials"], made["progress"]["queued"]) == (10_000, 10_000)
    assert [trial["parameters"]["seed"] for trial in trials(service, made["id"], order="asc", limit=3)] == [0, 1, 2]
    cancelled = service.post(f"/v1/sweeps/{made['id']}/cancel")
    assert (cancelled["status"], cancelled["progress"]["cancelled"]) == ("cancelled", 10_000)


@pytest.mark.parametrize(
    ("search", "places"),
    [
        ({"optimizer.speed": {"choice": [1]}, "nothing": {"choice": [1]}}, ["/search/nothing", "/search/optimizer.speed"]),
        ({"network.hidden_layers.0": {"choice": [1]}}, ["/search/network.hidden_layers.0"]),
        ({"seed": {"choice": []}}, ["/search/seed/choice"]),
        ({"seed": {"range": [5, 5]}}, ["/search/seed/range"]),
        ({"seed": {"range": [0, 5, 0]}}, ["/search/seed/range"]),
        ({"seed": {"choice": [1], "range": [0, 1]}}, ["/search/seed"]),
        ({"seed": {"normal": [0, 1]}}, ["/search/seed"]),
        ({"seed": 7}, ["/search/seed"]),
        ({"optimizer.learning_rate": {"uniform": [0.2, 0.1]}}, ["/search/optimizer.learning_rate/uniform"]),
        ({"optimizer.learning_rate": {"log_uniform": [0, 0.1]}}, ["/search/optimizer.learning_rate/log_uniform/0"]),
        ({"optimizer.learning_rate": {"uniform": [0.1, 0.2]}}, ["/search/optimizer.learning_rate"]),
        ({"seed": {"choice": [10**30]}}, ["/search/seed/choice/0"]),
        ({"network.hidden_layers": {"choice": [[4], [4, 0]]}}, ["/search/network.hidden_layers/choice/1/1"]),
        ({"seed": {"choice": [1, -1, "1"]}}, ["/search/seed/choice/1", "/search/seed/choice/2"]),
        ({"optimizer": {"choice": [{"name": "sgd", "betas": [0.9, 0.9]}]}}, ["/search/optimizer/choice/0/betas"]),
        ({"optimizer.momentum": {"choice": [0.9]}}, ["/search/optimizer.momentum/choice/0"]),
        ({"target": {"choice": ["label", "nothing"]}}, ["/search/target/choice/1"]),
        ({"dataset": {"choice": ["ds_none"]}}, ["/search/dataset/choice/0"]),
        ({"test_dataset": {"choice": [None, "ds_none"]}}, ["/search/test_dataset/choice/1"]),
        ({"early_stopping.metric": {"choice": ["val_loss", "val_rmse"]}}, ["/search/early_stopping.metric/choice/1"]),
        ({"seed": {"range": [0, 10_001]}}, ["/search"]),
        ({}, ["/search"]),
    ],
)  # fmt: skip
def test_a_search_that_cannot_be_is_refused_where_it_stands(shared: Service, search: object, places: list[str]) -> None:
    assert pointers(refused(shared, search=search)) == places


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({"method": "random"}, ["/trials"]),
        ({"method": "random", "trials": 10_001}, ["/trials"]),
        ({"trials": 2}, ["/trials"]),
        ({"parallel": 0}, ["/parallel"]),
        ({"metric": "val_rmse"}, ["/metric"]),
        ({"mode": "most"}, ["/mode"]),
        ({"spec": {"dataset": "ds_none", "target": "label"}}, ["/spec/dataset"]),
        ({"spec": {"dataset": "ds_none", "epochs": 0}}, ["/spec/epochs", "/spec/target"]),
        ({"method": "random", "trials": 2, "stop": {"name": "asha"}, "search": {"x": {"choice": [1]}}}, ["/search/x", "/stop"]),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_where_it_is_wrong(
    shared: Service, changes: dict[str, object], places: list[str]
) -> None:
    assert pointers(refused(shared, **changes)) == places


@pytest.mark.parametrize(("changes", "place"), [({"method": "tpe"}, "/method"), ({"stop": {"name": "asha"}}, "/stop")])
def test_a_search_of_a_later_version_is_refused_by_name(shared: Service, changes: dict[str, object], place: str) -> None:
    problem = assert_problem(refused(shared, **changes), 422, "not_supported")

    assert [fault["pointer"] for fault in problem["errors"]] == [place]


def test_a_fault_names_the_first_trial_that_has_it_and_no_more_than_twenty_are_told(shared: Service) -> None:
    answer = refused(shared, search={"seed": {"choice": [1, *range(-50, 0)]}, "epochs": {"choice": [5, 6]}})

    errors = answer.json()["errors"]
    assert len(errors) == 20
    assert (errors[0]["pointer"], errors[0]["detail"][:9]) == ("/search/seed/choice/1", "Trial 3: ")


def test_nothing_is_kept_of_a_sweep_that_is_refused(small: Service) -> None:
    refused(small, search={"seed": {"choice": [1, -1]}})

    assert (small.get("/v1/sweeps")["data"], small.get("/v1/jobs")["data"]) == ([], [])


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/cancel"), ("GET", "/jobs"), ("GET", "/jobs?sort=metric")])
def test_a_sweep_that_is_not_there_is_404_everywhere(shared: Service, method: str, path: str) -> None:
    assert_problem(shared.client.request(method, f"/v1/sweeps/swp_none{path}"), 404, "not_found")


def test_a_leaderboard_is_not_turned_round(shared: Service) -> None:
    answer = shared.client.get("/v1/sweeps/swp_none/jobs", params={"sort": "metric", "order": "asc"})

    assert pointers(answer) == ["order"]


ROWS = b"size,patient,part,a,b\n" + b"".join(
    f"{i}.5,p{i % 9},{('train', 'train', 'validation')[i % 3]},{'' if i % 7 == 0 else i},{'' if i % 5 == 0 else -i}\n".encode()
    for i in range(60)
)
SPLITS: dict[str, Any] = {
    "target": {"choice": [["a", "b"], "a"]},
    "split": {"choice": [{}, {"method": "column", "column": "part"}, {"method": "group", "column": "patient"}]},
    "seed": {"choice": [3, 4]},
}


def test_a_trial_becomes_what_a_job_of_its_spec_becomes_whatever_decides_its_rows(small: Service) -> None:
    train, own = small.upload(ROWS)["id"], small.upload(ROWS + b"9.5,p1,train,1,2\n")["id"]
    spec = {"dataset": train, "target": "a", "features": ["size"], "test_dataset": own, "epochs": 2}

    made = sweep(small, spec=spec, search=SPLITS)

    found = trials(small, made["id"], limit=100)
    assert len(found) == 12
    for trial in found:
        alone = small.post("/v1/jobs", trial["spec"], status=201)
        for name in ("resolved_spec", "warnings", "dataset"):
            assert trial[name] == alone[name]


class Counting(Folder):
    """Storage that knows how often a file was asked for."""

    fetched = 0

    def fetch(self, key: str, destination: Path, **more: Any) -> Path:
        self.fetched += 1
        return super().fetch(key, destination, **more)


def test_a_dataset_is_read_once_for_each_fact_and_not_for_each_trial(small: Service) -> None:
    spec = {"dataset": small.upload(ROWS)["id"], "features": ["size"]}
    storage = Counting(Path(small.settings.resolved_storage_url))
    resolver = Resolver(small.database, storage, limits=CostLimits(parameters=10_000), custom_losses=[])
    facts = resolver.facts(Caller())
    split = {"method": "group", "column": "patient"}

    for seed in range(20):
        for validation in (0.2, 0.3):
            blocks = {"target": ["a", "b"], "seed": seed, "split": split | {"validation": validation}}
            resolver.new_job(JobSpec.model_validate(spec | blocks), facts)

    assert storage.fetched == 2  # the rows that have both targets, and the groups


def test_every_dataset_of_a_live_trial_is_kept(service: Service) -> None:
    first, second = service.described(), service.described()
    sweep(service, search={"validation_dataset": {"choice": [None, first]}, "test_dataset": {"choice": [second]}})

    for id in (first, second):
        assert_problem(service.client.delete(f"/v1/datasets/{id}"), 409, "conflict")


def test_a_paused_trial_keeps_its_sweep_running(small: Service) -> None:
    id = sweep(small, search={"seed": {"choice": [1]}})["id"]

    assert small.post(f"/v1/jobs/{trials(small, id)[0]['id']}/pause")["status"] == Status.PAUSED
    found = small.get(f"/v1/sweeps/{id}")
    assert (found["status"], found["progress"]["paused"]) == ("running", 1)
