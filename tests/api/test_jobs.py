"""Jobs over HTTP: created, waited for, listed, and every change of status that a caller may ask for."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from app.domain.history import HeldOut
from app.domain.job import Status, StopReason
from app.persistence import workers
from tests.api.service import Service, Trained, assert_problem, pointers, row_of, running, settings_for
from tests.plugins import MODULE, install


def test_a_job_shows_what_was_sent_and_what_became_of_it(service: Service) -> None:
    dataset = service.described()

    answer = service.client.post(
        "/v1/jobs", json={"dataset": dataset, "target": "label", "metadata": {"team": "a"}, "name": "first"}
    )

    job = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/jobs/{job['id']}")
    assert job["spec"] == {"dataset": dataset, "target": "label", "metadata": {"team": "a"}, "name": "first"}
    assert (job["resolved_spec"]["task"], job["resolved_spec"]["features"]) == ("binary", ["size"])
    assert (job["object"], job["status"], job["terminal"], job["stop_reason"]) == ("job", "queued", False, None)
    assert (job["queue_position"], job["queued_reason"], job["attempt"]) == (1, "waiting", 0)
    assert (job["name"], job["dataset"], job["metadata"], job["error"]) == ("first", dataset, {"team": "a"}, None)
    assert job["progress"] == {"epoch": 0, "epochs": 200, "fraction": 0.0, "epochs_per_second": None, "eta_seconds": None}
    assert job["reproducibility"] == {"dataset_sha256": "0" * 64, "seed": 42}
    assert service.get(f"/v1/jobs/{job['id']}") == job


def test_a_running_job_tells_how_far_it_is_and_how_long_it_will_take(service: Service) -> None:
    id = service.submit()["id"]

    Trained(service).train(1, 25)

    job = service.get(f"/v1/jobs/{id}")
    assert job["progress"] == {"epoch": 25, "epochs": 100, "fraction": 0.25, "epochs_per_second": 1000.0, "eta_seconds": 0.075}
    assert job["latest"] == {"epoch": 25, "train_loss": 0.04, "val_loss": 0.04, "metrics": {}}
    assert (job["status"], job["queue_position"], job["queued_reason"]) == ("running", None, None)


def test_a_job_with_little_time_left_is_over_when_that_is(small: Service) -> None:
    id = small.submit(max_seconds=0.05)["id"]
    worker = Trained(small)

    worker.train(1, 25)  # a millisecond each
    soon = small.get(f"/v1/jobs/{id}")["progress"]["eta_seconds"]
    worker.train(26, 60)

    assert soon == pytest.approx(0.025)
    assert small.get(f"/v1/jobs/{id}")["progress"]["eta_seconds"] == 0
    small.post(f"/v1/jobs/{id}/pause")
    assert small.get(f"/v1/jobs/{id}")["progress"]["eta_seconds"] is None


def test_a_failed_job_says_why(small: Service) -> None:
    id = small.submit()["id"]

    Trained(small).finish(StopReason.NON_FINITE_LOSS, message="Try a lower learning rate.")

    job = small.get(f"/v1/jobs/{id}")
    assert (job["status"], job["stop_reason"], job["terminal"]) == ("failed", "non_finite_loss", True)
    assert job["error"] == {"code": "non_finite_loss", "message": "Try a lower learning rate."}


def test_a_custom_loss_is_known_by_the_workers_that_have_it(service: Service) -> None:
    with service.database.write() as connection:
        workers.register(connection, "host:1", device="cpu", threads=1, torch="2", custom_losses=["ours", "mine"])
        workers.register(connection, "host:2", device="cpu", threads=1, torch="2", custom_losses=["mine"])

    job = service.submit(loss={"name": "custom:mine"})

    spec = {"dataset": service.described(), "target": "label", "loss": {"name": "custom:other"}}
    answer = service.client.post("/v1/jobs", json=spec)
    document = assert_problem(answer, 422, "invalid_request")
    assert (job["resolved_spec"]["loss"], pointers(answer)) == ({"name": "custom:mine"}, ["/loss/name"])
    assert document["errors"][0]["detail"].endswith("installed are: custom:mine, custom:ours.")


def test_a_custom_loss_beside_the_api_is_known_and_not_loaded(
    sqlite_url: str, valkey_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = install(tmp_path / "site", {"mine": "Focal"})
    (installed / f"{MODULE}.py").unlink()  # whoever loads it fails
    monkeypatch.syspath_prepend(installed)

    with running(settings_for(sqlite_url, tmp_path / "data", redis_url=valkey_server)) as service:
        assert service.submit(loss={"name": "custom:mine"})["status"] == "queued"


def test_a_job_with_test_rows_tells_their_result(small: Service) -> None:
    id = small.submit(split={"test": 0.2})["id"]
    held_out = HeldOut(epoch=7, loss=0.5, metrics={"accuracy": 0.75, "roc_auc": "NaN"})

    Trained(small).finish(test=held_out)

    told = {"epoch": 7, "loss": 0.5, "metrics": {"accuracy": 0.75, "roc_auc": "NaN"}}
    assert small.get(f"/v1/jobs/{id}")["test"] == told
    assert small.get("/v1/jobs")["data"][0]["test"] == told


def test_all_faults_of_a_spec_are_told_at_once_and_none_echoes_a_value(shared: Service) -> None:
    spec = {
        "dataset": shared.described(),
        "target": "label",
        "optimizer": {"name": "sgd", "momentum": "secret-1", "betas": [1]},
        "loss": {"name": "secret-2"},
        "batch_size": "secret-3",
        "split": {"validation": 7.125},
        "network": {"hidden_layers": [4, 0]},
        "a/b~c": 1,
    }

    answer = shared.client.post("/v1/jobs", json=spec)

    assert pointers(answer) == [
        "/a~1b~0c",
        "/batch_size",
        "/loss/name",
        "/network/hidden_layers/1",
        "/optimizer/betas",
        "/optimizer/momentum",
        "/split/validation",
    ]
    assert "secret" not in answer.text
    assert "7.125" not in answer.text


@pytest.mark.parametrize(
    ("block", "pointer"),
    [
        ({"epochs": "5"}, "/epochs"),
        ({"epochs": True}, "/epochs"),
        ({"pack": "yes"}, "/pack"),
        ({"optimizer": {"name": "sgd", "learning_rate": "0.1"}}, "/optimizer/learning_rate"),
        ({"optimizer": {"name": "adam", "betas": ["0.9", 0.99]}}, "/optimizer/betas/0"),
        ({"network": {"hidden_layers": ["4"]}}, "/network/hidden_layers/0"),
    ],
)
def test_a_value_of_another_type_is_a_fault_and_not_guessed_at(shared: Service, block: dict[str, Any], pointer: str) -> None:
    answer = shared.client.post("/v1/jobs", json={"dataset": shared.described(), "target": "label", **block})

    assert pointers(answer) == [pointer]


@pytest.mark.parametrize("number", [2**31, 10**20, 10**400], ids=["2^31", "10^20", "10^400"])
def test_a_whole_number_beyond_its_bound_is_a_fault_wherever_it_stands(service: Service, number: int) -> None:
    spec = {
        "dataset": service.described(),
        "target": "label",
        "batch_size": number,
        "checkpoints": {"every": number},
        "early_stopping": {"patience": number},
        "epochs": number,
        "record_every": number,
    }
    schedules = [
        {"name": "step", "step_size": number},
        {"name": "cosine", "warmup_epochs": number},
        {"name": "plateau", "patience": number},
    ]

    answers = [service.client.post("/v1/jobs", json=spec | {"lr_schedule": schedule}) for schedule in schedules]

    others = ["/batch_size", "/checkpoints/every", "/early_stopping/patience", "/epochs"]
    for answer, field in zip(answers, ("step_size", "warmup_epochs", "patience"), strict=True):
        assert pointers(answer) == [*others, f"/lr_schedule/{field}", "/record_every"]


@pytest.mark.parametrize("field", ["gradient_clip_norm", "max_seconds"])
def test_a_number_that_no_float_holds_is_a_fault(shared: Service, field: str) -> None:
    answer = shared.client.post("/v1/jobs", json={"dataset": shared.described(), "target": "label", field: 10**400})

    assert pointers(answer) == [f"/{field}"]


def test_a_whole_number_may_be_written_with_a_point(shared: Service) -> None:
    job = shared.submit(epochs=5.0, network={"hidden_layers": [4.0]})

    assert (job["resolved_spec"]["epochs"], job["resolved_spec"]["layers"]) == (5, [1, 4, 1])


def test_a_fault_names_the_choices_as_they_are_written(shared: Service) -> None:
    answer = shared.client.post(
        "/v1/jobs", json={"dataset": shared.described(), "target": "label", "columns": {"size": "datetime"}}
    )

    [fault] = answer.json()["errors"]
    assert fault["detail"] == "It must be 'numeric', 'categorical' or 'boolean'."


@pytest.mark.parametrize(
    ("block", "kinds"),
    [
        ("optimizer", "'sgd', 'adam', 'adamw', 'nadam', 'radam', 'rmsprop', 'adagrad'"),
        ("lr_schedule", "'constant', 'step', 'exponential', 'cosine', 'one_cycle', 'log_cosine', 'plateau'"),
        ("loss", "'auto', 'cross_entropy', 'bce', 'mse', 'l1', 'huber', 'quantile', 'poisson', 'focal', 'custom:NAME'"),
    ],
)
def test_a_kind_of_block_that_there_is_not_is_told_with_those_that_there_are(shared: Service, block: str, kinds: str) -> None:
    answer = shared.client.post("/v1/jobs", json={"dataset": shared.described(), "target": "label", block: {"name": "adma"}})

    [fault] = answer.json()["errors"]
    assert fault == {"pointer": f"/{block}/name", "code": "not_allowed", "detail": f"It must be one of {kinds}."}


@pytest.mark.parametrize("block", ["optimizer", "lr_schedule"])
def test_a_block_that_does_not_say_its_kind_is_told_so_where_it_should(shared: Service, block: str) -> None:
    answer = shared.client.post("/v1/jobs", json={"dataset": shared.described(), "target": "label", block: {}})

    [fault] = answer.json()["errors"]
    assert (fault["pointer"], fault["code"]) == (f"/{block}/name", "missing")


@pytest.mark.parametrize(
    ("block", "pointer"),
    [
        ({"class_weights": {"yes": -2, "no": 1}}, "/class_weights/yes"),
        ({"class_weights": {"a/b": "2"}}, "/class_weights/a~1b"),
        ({"network": {"dropout": [0.5, 1.5]}}, "/network/dropout/1"),
        ({"target": ["a", 1]}, "/target/1"),
        ({"class_weights": "even"}, "/class_weights"),
    ],
)
def test_what_a_value_might_have_been_instead_is_told_only_where_it_is_none_of_it(
    shared: Service, block: dict[str, Any], pointer: str
) -> None:
    assert pointers(shared.client.post("/v1/jobs", json={"dataset": shared.described(), "target": "label", **block})) == [
        pointer
    ]


@pytest.mark.parametrize("path", ["", "/plan"])
@pytest.mark.parametrize(
    ("block", "places"),
    [
        ({"target": "nope"}, ["/epochs", "/target"]),
        ({"features": ["size", "nope"], "columns": {"none": "numeric"}}, ["/columns/none", "/epochs", "/features/1"]),
        ({"target": ["nope", 1], "features": ["nope"]}, ["/epochs", "/features/0", "/target/1"]),
        ({"dataset": "ds_none", "target": "nope"}, ["/dataset", "/epochs"]),
        ({"dataset": 1, "target": "nope"}, ["/dataset", "/epochs"]),
        ({"loss": {"name": "mse"}}, ["/epochs"]),
        ({"target": ["a", "b"], "columns": {"b": "typo"}}, ["/columns/b", "/epochs"]),
    ],
)
def test_a_dataset_or_columns_that_are_not_there_are_told_beside_the_faults_of_the_form(
    shared: Service, path: str, block: dict[str, Any], places: list[str]
) -> None:
    spec = {"dataset": shared.described(), "target": "label", "epochs": 0, **block}

    assert pointers(shared.client.post(f"/v1/jobs{path}", json=spec)) == places


def test_beside_the_faults_of_the_form_a_target_is_read_as_its_task_says(shared: Service) -> None:
    columns = {"size": [1.5, 2.5, 3.5], "a": [True, False, True], "b": [0, 1, 1]}
    dataset = shared.post("/v1/datasets", {"columns": columns}, status=201)["id"]
    spec = {"dataset": dataset, "target": ["a", "b"], "task": "multilabel", "epochs": 0}

    assert pointers(shared.client.post("/v1/jobs", json=spec)) == ["/epochs"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_a_fault(shared: Service, number: str) -> None:
    body = (
        f'{{"dataset": "{shared.described()}", "target": "label", "optimizer": {{"name": "adam", "learning_rate": {number}}}}}'
    )

    answer = shared.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    assert pointers(answer) == ["/optimizer/learning_rate"]


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_a_text_that_no_database_keeps_is_a_fault_where_it_stands(service: Service, text: str) -> None:
    spec = {"dataset": service.described(), "target": "label", "metadata": {"team": text, text: "x"}}

    answer = service.client.post("/v1/jobs", content=json.dumps(spec), headers={"Content-Type": "application/json"})

    assert pointers(answer) == ["/metadata", "/metadata/team"]


@pytest.mark.parametrize("body", [b"{", b"[1,", b"", b'{"a": ' + b"9" * 5000 + b"}"])
def test_a_body_that_is_no_json_object_is_refused(shared: Service, body: bytes) -> None:
    answer = shared.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) in {(400, "unparsable"), (422, "invalid_request")}


def test_a_feature_of_a_later_version_is_refused_by_name(shared: Service) -> None:
    lacking = {"ensemble": {"members": 2}, "preprocessing": {"categorical": "embedding"}}
    answer = shared.client.post("/v1/jobs", json={"dataset": shared.described(), "target": "label", **lacking})

    assert assert_problem(answer, 422, "not_supported")["errors"][0]["pointer"] == "/preprocessing/categorical"


def test_jobs_are_listed_by_status_dataset_and_name(service: Service) -> None:
    first, second, third = (service.submit(name=name)["id"] for name in ("a", "b", "b"))
    Trained(service).finish()

    def ids(**params: Any) -> list[str]:
        return [job["id"] for job in service.get("/v1/jobs", **params)["data"]]

    assert ids() == [third, second, first]
    assert ids(order="asc") == [first, second, third]
    assert ids(status="queued") == [third, second]
    assert ids(status=["queued", "succeeded"]) == [third, second, first]
    assert ids(name="b", status="succeeded") == []
    assert ids(dataset=row_of(service, second).dataset_id) == [second]
    assert ids(limit=1, after=third) == [second]


def test_the_queue_has_places(service: Service) -> None:
    first, urgent, last = (service.submit(priority=priority)["id"] for priority in (0, 5, 0))

    assert [service.get(f"/v1/jobs/{id}")["queue_position"] for id in (urgent, first, last)] == [1, 2, 3]


def test_a_job_for_a_gpu_says_that_nobody_has_one(shared: Service) -> None:
    assert shared.submit(device="cuda")["queued_reason"] == "no_gpu_worker"


def test_a_job_in_bf16_waits_for_a_gpu(shared: Service) -> None:
    job = shared.submit(precision="bf16")
    assert (job["queued_reason"], job["resolved_spec"]["device"]) == ("no_gpu_worker", "cuda")


def test_waiting_ends_when_the_job_does(service: Service) -> None:
    id = service.submit()["id"]
    worker = Trained(service)
    timer = threading.Timer(0.2, worker.finish)
    timer.start()

    job = service.get(f"/v1/jobs/{id}", wait=30)

    timer.join()
    assert job["status"] == "succeeded"


def test_waiting_for_a_job_that_goes_on_answers_it_as_it_is(shared: Service) -> None:
    id = shared.submit()["id"]

    assert shared.get(f"/v1/jobs/{id}", wait=0.05)["status"] == "queued"


@pytest.mark.parametrize("statuses", [("queued", "cancelled"), ("running", "cancelling")])
def test_cancel_stops_a_job_wherever_it_stands(service: Service, statuses: tuple[str, str]) -> None:
    before, after = statuses
    id = service.submit()["id"]
    if before == "running":
        Trained(service)

    once, twice = service.post(f"/v1/jobs/{id}/cancel"), service.post(f"/v1/jobs/{id}/cancel")

    assert (once["status"], twice["status"]) == (after, after)
    assert [event["type"] for event in service.get(f"/v1/jobs/{id}/events")["data"]][-1] == f"job.{after}"


def test_cancel_leaves_a_job_that_is_over_as_it_is(small: Service) -> None:
    id = small.submit()["id"]
    Trained(small).finish()
    before = small.get(f"/v1/jobs/{id}")

    assert small.post(f"/v1/jobs/{id}/cancel") == before


def test_pause_and_resume_of_a_queued_job(service: Service) -> None:
    id = service.submit()["id"]

    paused, resumed, again = (service.post(f"/v1/jobs/{id}/{verb}") for verb in ("pause", "resume", "resume"))

    assert [job["status"] for job in (paused, resumed, again)] == ["paused", "queued", "queued"]
    types = [event["type"] for event in service.get(f"/v1/jobs/{id}/events")["data"]]
    assert types == ["job.created", "job.paused", "job.resumed"]


def test_a_worker_reads_the_wish_to_pause_at_its_next_report(service: Service) -> None:
    id = service.submit()["id"]
    worker = Trained(service)

    assert service.post(f"/v1/jobs/{id}/pause")["status"] == "pausing"
    assert worker.train(1, 5) is Status.PAUSING
    assert_problem(service.client.post(f"/v1/jobs/{id}/resume"), 409, "conflict")


def test_a_job_that_is_over_can_neither_pause_nor_resume(small: Service) -> None:
    id = small.submit()["id"]
    Trained(small).finish()

    for verb in ("pause", "resume"):
        assert_problem(small.client.post(f"/v1/jobs/{id}/{verb}"), 409, "conflict")


def test_events_are_oldest_first_and_paged(service: Service) -> None:
    id = service.submit()["id"]
    worker = Trained(service)
    worker.checkpoint(5, "best", "last")
    worker.finish()

    first = service.get(f"/v1/jobs/{id}/events", limit=2)
    rest = service.get(f"/v1/jobs/{id}/events", limit=2, after=first["next"])

    assert [(event["object"], event["sequence"], event["type"]) for event in first["data"] + rest["data"]] == [
        ("event", 1, "job.created"),
        ("event", 2, "job.started"),
        ("event", 3, "job.checkpoint"),
        ("event", 4, "job.succeeded"),
    ]
    assert rest["data"][0]["data"]["kinds"] == ["best", "last"]
    assert (first["has_more"], rest["has_more"]) == (True, False)


def test_deleting_a_job_takes_history_and_checkpoints_with_it(service: Service) -> None:
    id = service.submit()["id"]
    worker = Trained(service)
    worker.train(1, 3)
    checkpoint = worker.checkpoint(3, "best", "last")

    refused = service.client.delete(f"/v1/jobs/{id}")
    worker.finish()
    deleted = service.client.delete(f"/v1/jobs/{id}")

    assert_problem(refused, 409, "conflict")
    assert (deleted.status_code, deleted.content, deleted.headers.get("content-type")) == (204, b"", None)
    for path in (f"/v1/jobs/{id}", f"/v1/jobs/{id}/history", f"/v1/checkpoints/{checkpoint}"):
        assert_problem(service.client.get(path), 404, "not_found")
    assert not list((service.settings.folder / "files" / "checkpoints").iterdir())


@pytest.mark.parametrize("path", ["", "/history", "/stream", "/events", "/checkpoints"])
def test_a_job_that_is_not_there_is_404_everywhere(shared: Service, path: str) -> None:
    assert_problem(shared.client.get(f"/v1/jobs/job_none{path}"), 404, "not_found")


def test_a_job_and_a_sweeps_trials_know_the_request_that_created_them(service: Service) -> None:
    spec = {"dataset": service.described(), "target": "label"}
    headers = {"X-Request-ID": "mine-7"}
    job = service.client.post("/v1/jobs", json=spec, headers=headers).json()
    search = {"spec": spec, "search": {"seed": {"range": [0, 2]}}, "method": "grid"}
    sweep = service.client.post("/v1/sweeps", json=search, headers=headers).json()

    trials = service.get(f"/v1/sweeps/{sweep['id']}/jobs")["data"]

    assert [row_of(service, one["id"]).request_id for one in (job, *trials)] == ["mine-7"] * 3
    assert "request_id" not in job
