"""Plans, and jobs that no worker's memory holds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from app.domain.job import Status
from app.persistence import workers
from app.persistence.tables import jobs
from tests.api.service import Service, running, settings_for

WIDE: dict[str, object] = {"network": {"hidden_layers": [1024, 1024]}}
MODEST: dict[str, object] = {"network": {"hidden_layers": [4]}}
BUDGET = 20_000_000


@pytest.fixture
def tight(sqlite_url: str, tmp_path: Path) -> Iterator[Service]:
    """A service whose training processes have 20 MB."""
    with running(settings_for(sqlite_url, tmp_path / "data", memory_bytes=BUDGET)) as service:
        yield service


def spec(service: Service, **changes: object) -> dict[str, object]:
    return {"dataset": service.described(), "target": "label", "batch_size": 10, **changes}


def test_a_plan_tells_what_a_job_would_be_and_makes_none(service: Service) -> None:
    body = spec(service, network={"hidden_layers": [5]}, split={"validation": 0.2})

    plan = service.post("/v1/jobs/plan", body)

    assert service.get("/v1/jobs")["data"] == []
    job = service.post("/v1/jobs", body, status=201)
    assert plan["object"] == "plan"
    assert plan["resolved_spec"] == job["resolved_spec"]
    assert plan["warnings"] == job["warnings"]
    assert plan["layers"] == [
        {"name": "hidden_1", "inputs": 1, "outputs": 5, "parameters": 10},
        {"name": "output", "inputs": 5, "outputs": 1, "parameters": 6},
    ]
    assert (plan["parameters"], plan["steps_per_epoch"]) == (16, 4)
    assert (plan["columns"], plan["column_count"]) == (["size"], 1)
    assert plan["would_be_refused"] == []


def test_a_plan_tells_the_memory_by_what_needs_it(tight: Service) -> None:
    memory = tight.post("/v1/jobs/plan", spec(tight, **MODEST))["memory"]

    assert memory["total"] == sum(memory[part] for part in ("data", "parameters", "optimizer", "activations"))
    assert (memory["device"], memory["budget"]) == ("cpu", BUDGET)
    assert 0 < memory["total"] < BUDGET


def test_a_plan_tells_the_time_of_all_epochs_and_of_what_is_around_them(service: Service) -> None:
    found = service.post("/v1/jobs/plan", spec(service, epochs=50))["duration"]

    assert (found["device"], found["measured_jobs"]) == ("cpu", 0)
    assert found["total_seconds"] == pytest.approx(found["overhead_seconds"] + 50 * found["epoch_seconds"])


@pytest.mark.parametrize("recipe", ["fast", "strong", "best"])
def test_a_plan_of_a_recipe_tells_the_time_of_its_own_epochs(service: Service, recipe: str) -> None:
    body = {"dataset": service.described(), "target": "label", "recipe": recipe}
    plan = service.post("/v1/jobs/plan", body)
    job = service.post("/v1/jobs", body, status=201)

    epochs, found = plan["resolved_spec"]["epochs"], plan["duration"]
    assert job["progress"]["epochs"] == epochs
    assert found["total_seconds"] == pytest.approx(found["overhead_seconds"] + epochs * found["epoch_seconds"])


def test_earlier_jobs_of_the_project_tell_how_quick_the_machine_is(service: Service) -> None:
    body = spec(service, epochs=50)
    before = service.post("/v1/jobs/plan", body)["duration"]
    job = service.post("/v1/jobs", body, status=201)
    over = {"status": Status.SUCCEEDED, "stack_size": 1, "epoch": 10**5, "seconds": 3 * before["epoch_seconds"] * 10**5}
    with service.database.write() as connection:
        values = {**over, "reproducibility": {"device": "cpu"}}
        connection.execute(update(jobs).where(jobs.c.id == job["id"]).values(**values))

    after = service.post("/v1/jobs/plan", body)["duration"]

    assert after["measured_jobs"] == 1
    assert after["epoch_seconds"] == pytest.approx(3 * before["epoch_seconds"], rel=0.01)


def test_a_plan_of_a_spec_with_faults_tells_all_of_them(shared: Service) -> None:
    bad = spec(shared, features=["nowhere"], class_weights={"maybe": 2.0})

    plan = shared.post("/v1/jobs/plan", bad)

    refused = shared.client.post("/v1/jobs", json=bad).json()["errors"]
    assert [(fault["pointer"], fault["code"], fault["detail"]) for fault in plan["would_be_refused"]] == [
        (fault["pointer"], fault["code"], fault["detail"]) for fault in refused
    ]
    assert [fault["pointer"] for fault in refused] == ["/features/0", "/class_weights/maybe"]
    assert (plan["resolved_spec"], plan["memory"], plan["layers"], plan["columns"]) == (None, None, [], [])


def test_a_plan_without_its_dataset_says_so(shared: Service) -> None:
    plan = shared.post("/v1/jobs/plan", {"dataset": "ds_none", "target": "label"})

    assert [(fault["pointer"], fault["code"]) for fault in plan["would_be_refused"]] == [("/dataset", "not_found")]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b'{"dataset": "ds", "target": "label", "layers": 3}', 422), (b"[]", 422)],
    ids=["unparsable", "unknown field", "no object"],
)
def test_a_body_that_is_no_spec_is_refused_as_anywhere(shared: Service, body: bytes, status: int) -> None:
    answer = shared.client.post("/v1/jobs/plan", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_job_that_cannot_fit_is_refused_at_the_block_to_change(tight: Service) -> None:
    wide = spec(tight, **WIDE)

    answer = tight.client.post("/v1/jobs", json=wide)
    plan = tight.post("/v1/jobs/plan", wide)

    assert answer.status_code == 422
    [fault] = answer.json()["errors"]
    assert (fault["pointer"], fault["code"]) == ("/network/hidden_layers", "too_large")
    assert "a training process has 20 MB: use narrower or fewer hidden_layers" in fault["detail"]
    assert plan["would_be_refused"] == [{"parameter": None, "header": None, **fault}]
    assert plan["resolved_spec"]["layers"] == [1, 1024, 1024, 1]
    assert plan["memory"]["total"] > BUDGET
    assert tight.get("/v1/jobs")["data"] == []
    tight.post("/v1/jobs", spec(tight, **MODEST), status=201)


@pytest.fixture
def cheap(sqlite_url: str, tmp_path: Path) -> Iterator[Service]:
    """A service where a job may cost next to nothing."""
    limits = {"max_layers": 2, "max_epochs": 100, "max_row_epochs": 3200, "max_parameters": 50}
    with running(settings_for(sqlite_url, tmp_path / "data", **limits)) as service:
        yield service


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"network": {"hidden_layers": [1, 1, 1]}}, "/network/hidden_layers", "has 3 hidden layers; the limit is 2."),
        ({"network": {"hidden_layers": [17]}}, "/network/hidden_layers", "has 52 parameters; the limit is 50."),
        ({"epochs": 101}, "/epochs", "The limit is 100 epochs."),
        ({"epochs": 81}, "/epochs", "are 3240; the limit is 3200, which is 80 epochs of so many rows."),
    ],
    ids=["layers", "parameters", "epochs", "rows"],
)
def test_a_job_that_costs_too_much_is_refused_at_the_field_to_change(
    cheap: Service, changes: dict[str, object], pointer: str, words: str
) -> None:
    body = spec(cheap, **{"split": {"validation": 0.0}, "epochs": 80, "network": {"hidden_layers": [16]}, **changes})

    answer = cheap.client.post("/v1/jobs", json=body)
    plan = cheap.post("/v1/jobs/plan", body)

    assert answer.status_code == 422
    [fault] = answer.json()["errors"]
    assert (fault["pointer"], fault["code"]) == (pointer, "too_large")
    assert fault["detail"].endswith(words)
    assert plan["would_be_refused"] == [{"parameter": None, "header": None, **fault}]
    assert cheap.get("/v1/jobs")["data"] == []


def test_a_job_that_costs_as_much_as_it_may_is_taken_and_a_trial_that_costs_more_is_not(cheap: Service) -> None:
    body = spec(cheap, split={"validation": 0.0}, epochs=80, network={"hidden_layers": [16]})

    cheap.post("/v1/jobs", body, status=201)
    refused = cheap.client.post("/v1/sweeps", json={"spec": body, "search": {"epochs": {"choice": [80, 81]}}, "method": "grid"})

    assert [(fault["pointer"], fault["code"]) for fault in refused.json()["errors"]] == [
        ("/search/epochs/choice/1", "too_large")
    ]


def test_what_live_workers_say_of_their_memory_counts(tight: Service) -> None:
    with tight.database.write() as connection:
        workers.register(connection, "host:1", device="cpu", threads=1, torch="2", memory=1_000)
        workers.register(connection, "host:2", device="cpu", threads=1, torch="2", memory=10**10)

    plan = tight.post("/v1/jobs/plan", spec(tight, **WIDE))

    assert (plan["memory"]["budget"], plan["would_be_refused"]) == (10**10, [])


def test_a_job_that_fits_on_a_gpu_alone_waits_for_one(tight: Service) -> None:
    with tight.database.write() as connection:
        workers.register(connection, "gpu:1", device="cuda", threads=1, torch="2", memory=10**11)
    job = tight.post("/v1/jobs", spec(tight, **WIDE), status=201)
    with tight.database.write() as connection:
        workers.leave(connection, "gpu:1")

    assert tight.get(f"/v1/jobs/{job['id']}")["queued_reason"] == "no_gpu_worker"
    assert tight.get(f"/v1/jobs/{job['id']}")["spec"].get("device", "auto") == "auto"


def test_a_plan_for_a_gpu_tells_what_the_host_needs_and_which_memory_is_too_small(tight: Service) -> None:
    with tight.database.write() as connection:
        workers.register(connection, "gpu:1", device="cuda", threads=1, torch="2", memory=10**11, host_memory=1_000)

    plan = tight.post("/v1/jobs/plan", spec(tight, device="cuda", **WIDE))
    answer = tight.client.post("/v1/jobs", json=spec(tight, device="cuda", **WIDE))

    assert (plan["memory"]["budget"], plan["memory"]["host_budget"]) == (10**11, 1_000)
    assert plan["memory"]["host_total"] > 1_000
    assert answer.status_code == 422
    assert "and the host of a GPU has 0 MB" in answer.json()["errors"][0]["detail"]
    assert [fault["detail"] for fault in plan["would_be_refused"]] == [answer.json()["errors"][0]["detail"]]
    assert tight.get("/v1/system")["workers"][0]["host_memory"] == 1_000


def test_a_job_for_a_gpu_that_nobody_has_seen_is_planned_without_a_budget(tight: Service) -> None:
    plan = tight.post("/v1/jobs/plan", spec(tight, device="cuda", **WIDE))

    assert (plan["memory"]["device"], plan["memory"]["budget"], plan["would_be_refused"]) == ("cuda", None, [])
    assert plan["memory"]["host_budget"] is plan["duration"] is None


def test_columns_beyond_a_thousand_are_counted(shared: Service) -> None:
    words = b"".join(b"a%03d,b%03d,%d.5\n" % (i, i, i) for i in range(600))
    dataset = shared.upload(b"first,second,price\n" + words)

    plan = shared.post("/v1/jobs/plan", {"dataset": dataset["id"], "target": "price"})

    assert (len(plan["columns"]), plan["column_count"]) == (1000, 1200)
    assert (plan["columns"][0], plan["columns"][-1]) == ("first=a000", "second=b399")
