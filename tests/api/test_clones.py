"""Clones over HTTP: what is set, what is refused and where, and that a key makes them once."""

from typing import Any

import httpx2
import pytest

from app.domain.columns import FittedTarget, NumericColumn
from app.domain.manifest import Manifest
from app.domain.schema import StorageType
from app.domain.spec import ResolvedSpec
from tests.api.service import Service, Trained, assert_problem, damage, pointers, row_of

SPEC = {
    "name": "first",
    "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9},
    "early_stopping": {"patience": 5},
    "metadata": {"team": "a"},
}


def clone(service: Service, id: str, **body: Any) -> httpx2.Response:
    return service.client.post(f"/v1/jobs/{id}/clone", json=body)


def test_a_clone_is_a_new_job_from_the_same_spec(service: Service) -> None:
    job = service.submit(**SPEC)
    Trained(service).finish()

    answer = clone(service, job["id"])

    made = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/jobs/{made['id']}")
    assert (made["spec"], made["resolved_spec"]) == (job["spec"], job["resolved_spec"])
    assert (made["id"] == job["id"], made["status"], made["attempt"], made["metadata"]) == (False, "queued", 0, {"team": "a"})
    [created] = service.get(f"/v1/jobs/{made['id']}/events")["data"]
    assert (created["type"], created["data"]) == ("job.created", {"cloned_from": job["id"]})


def test_a_path_sets_one_value_a_blocks_name_the_block_and_null_is_a_value(service: Service) -> None:
    id = service.submit(**SPEC)["id"]
    set = {"optimizer.learning_rate": 0.01, "early_stopping": None, "network": {"hidden_layers": [4]}, "metadata.team": "b"}

    made = clone(service, id, set=set).json()

    assert made["spec"]["optimizer"] == {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9}
    assert (made["spec"]["early_stopping"], made["spec"]["network"]) == (None, {"hidden_layers": [4]})
    assert (made["metadata"], made["resolved_spec"]["layers"]) == ({"team": "b"}, [1, 4, 1])
    assert made["progress"]["epochs"] == 100


def test_a_clone_of_a_clone_has_what_both_set(shared: Service) -> None:
    first = clone(shared, shared.submit(**SPEC)["id"], set={"epochs": 7}).json()

    assert clone(shared, first["id"], set={"seed": 3}).json()["spec"] == first["spec"] | {"seed": 3}


def test_a_trial_s_clone_belongs_to_no_sweep(shared: Service) -> None:
    spec = {"dataset": shared.described(), "target": "label"}
    sweep = shared.post("/v1/sweeps", {"spec": spec, "search": {"seed": {"choice": [5]}}, "method": "grid"}, status=201)
    [trial] = shared.get(f"/v1/sweeps/{sweep['id']}/jobs")["data"]

    made = clone(shared, trial["id"]).json()

    assert (made["sweep"], made["spec"]["seed"]) == (None, 5)


@pytest.mark.parametrize(
    ("set", "where"),
    [
        ({"optimizer.speed": 1, "nothing": 2, "epochs.first": 3, "network.dropout.0": 0.5}, None),
        ({"epochs": "many"}, ["/set/epochs"]),
        ({"optimizer": {"name": "adam", "betas": [0.9, 2]}}, ["/set/optimizer/betas/1"]),
        ({"optimizer.name": "adam"}, ["/set/optimizer.name"]),
        ({"early_stopping.patience": 0}, ["/set/early_stopping.patience"]),
        ({"target": "nowhere"}, ["/set/target"]),
        ({"dataset": "ds_none"}, ["/set/dataset"]),
        ({"split": {"validation": 0.0}}, ["/set"]),
        ({"optimize": "auc"}, ["/set/optimize"]),
        ({"seed": 2**70}, ["/set/seed"]),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_where_it_was_sent(shared: Service, set: dict[str, Any], where: list[str] | None) -> None:
    id = shared.submit(**SPEC)["id"]
    before = len(shared.get("/v1/jobs", limit=200)["data"])

    answer = clone(shared, id, set=set)

    assert pointers(answer) == (where or sorted(f"/set/{path}" for path in set))
    assert len(shared.get("/v1/jobs", limit=200)["data"]) == before


def test_a_fault_that_another_value_of_the_block_brings_out_says_what_it_is_of(shared: Service) -> None:
    id = shared.submit(**SPEC)["id"]

    [fault] = clone(shared, id, set={"optimizer.name": "adam"}).json()["errors"]

    assert fault["detail"] == "optimizer.momentum: There is no such field here."


def test_without_its_dataset_a_job_has_no_clones(service: Service) -> None:
    job = service.submit()
    Trained(service).finish()
    assert service.client.delete(f"/v1/datasets/{job['dataset']}").status_code == 204

    assert pointers(clone(service, job["id"])) == [""]
    assert pointers(clone(service, job["id"], set={"dataset": job["dataset"]})) == ["/set/dataset"]


def test_a_key_makes_one_clone_of_one_job(service: Service) -> None:
    first, second = (service.submit()["id"] for _ in range(2))

    def keyed(id: str, **body: Any) -> httpx2.Response:
        return service.client.post(f"/v1/jobs/{id}/clone", json=body, headers={"Idempotency-Key": "k"})

    made, again = keyed(first, set={"epochs": 3}), keyed(first, set={"epochs": 3})

    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (201, made.content, "true")
    assert len(service.get("/v1/jobs")["data"]) == 3
    for other in (keyed(second, set={"epochs": 3}), keyed(first, set={"epochs": 4})):
        assert_problem(other, 422, "idempotency_key_reused")


def test_a_job_that_is_not_there_has_no_clones(shared: Service) -> None:
    assert_problem(clone(shared, "job_none"), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"continue": True}, "/continue"),
        ({"continue": "yes"}, "/continue"),
        ({"from_checkpoint": "ckpt_none"}, "/from_checkpoint"),
        ({"from_checkpoint": "c" * 65}, "/from_checkpoint"),
        ({"from_checkpoint": 7}, "/from_checkpoint"),
        ({"continues": True}, "/continues"),
    ],
    ids=str,
)
def test_a_start_that_cannot_be_is_refused(shared: Service, body: dict[str, Any], where: str) -> None:
    assert pointers(clone(shared, shared.submit()["id"], **body)) == [where]


def started(service: Service) -> tuple[str, str]:
    """A job's checkpoint, and a clone that starts from it."""
    id = service.submit()["id"]
    worker = Trained(service)
    label = FittedTarget(name="label", type=StorageType.STRING, classes=["no", "yes"])
    size = NumericColumn(name="size", type=StorageType.FLOAT64, kind="numeric", impute=0.0)
    manifest = Manifest(
        spec=ResolvedSpec.model_validate(row_of(service, id).resolved_spec),
        columns=[size],
        target=label,
        output="sigmoid",
        epoch=1,
        train_loss=1.0,
        val_loss=1.0,
        metrics={},
        provenance={},
    )
    content = {"model.json": manifest.model_dump_json().encode(), "weights.safetensors": b"as they are"}
    checkpoint = worker.checkpoint(1, "best", "last", files=content)
    worker.finish()
    made = clone(service, id, from_checkpoint=checkpoint)
    assert made.status_code == 201, made.text
    return checkpoint, made.json()["id"]


def test_a_job_tells_where_it_started(service: Service) -> None:
    checkpoint, id = started(service)

    job = service.get(f"/v1/jobs/{id}")

    assert (job["start"], job["progress"]["epoch"]) == ({"checkpoint": checkpoint, "epoch": 0}, 0)
    [created] = service.get(f"/v1/jobs/{id}/events")["data"]
    assert created["data"]["checkpoint"] == checkpoint
    assert service.submit()["start"] is None


def test_a_start_goes_with_its_job(service: Service) -> None:
    _, id = started(service)
    kept = service.settings.folder / "files" / "recovery"
    assert len(list(kept.iterdir())) == 1

    service.post(f"/v1/jobs/{id}/cancel")

    assert list(kept.iterdir()) == []


def test_a_damaged_checkpoint_starts_nothing(small: Service) -> None:
    checkpoint, id = started(small)
    damage(small, checkpoint, "weights.safetensors")

    assert_problem(clone(small, id, from_checkpoint=checkpoint), 500, "checkpoint_damaged")
    assert len(small.get("/v1/jobs")["data"]) == 2


def test_no_script_says_where_a_job_started(small: Service) -> None:
    _, id = started(small)

    assert_problem(small.client.get(f"/v1/jobs/{id}/code"), 422, "not_supported")
