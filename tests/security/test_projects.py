"""What is another project's is not there: every operation with an id, and every place where an id may be guessed."""

import shutil
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from app.domain.ids import new_id
from app.persistence import workers
from tests.api.keys import holder, locked_service, make
from tests.api.service import CSV, Service, Trained, assert_problem, pointers
from tests.persistence.batches import asked
from tests.security.routes import GUARDED, WITH_PARAMETERS, Operation
from tests.servers.postgres import create_database, drop_database

PREFIXES = {
    "dataset_id": "ds",
    "sweep_id": "swp",
    "job_id": "job",
    "checkpoint_id": "ckpt",
    "key_id": "key",
    "name": "model",
    "batch_id": "bp",
}
NO_LISTS = {"/v1/system", "/v1/history", "/v2", "/metrics"}
LISTS = sorted({one.path for one in GUARDED if one.method == "GET" and not one.parameters} - NO_LISTS)
BODIES: dict[str, dict[str, Any]] = {
    "/v1/jobs/{job_id}/clone": {},
    "/v1/jobs/{job_id}/evaluate": {"dataset": "ds_none"},
    "/v1/models/{name}/versions": {"checkpoint": "ckpt_1"},
    "/v1/models/{name}/aliases/{alias}": {"version": 1},
}
ALL = ["read", "write", "admin"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def operator(request: pytest.FixtureRequest, valkey_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on each kind of database, as its operator sees it."""
    folder = tmp_path_factory.mktemp("projects")
    if request.param == "sqlite":
        url = f"sqlite:///{shutil.copy(request.getfixturevalue('sqlite_template'), folder / 'trainyard.db')}"
    else:
        server, template = (request.getfixturevalue(name) for name in ("postgres_server", "postgres_template"))
        url = create_database(server, template=template)
    with locked_service(url, folder / "data", broker=valkey_server) as service:
        yield service
    if request.param != "sqlite":
        drop_database(server, url)


@pytest.fixture(scope="module")
def owner(operator: Service) -> Iterator[Service]:
    """Somebody of the default project who may do everything there."""
    with holder(operator, make(operator, scopes=ALL)["secret"]) as service:
        yield service


@pytest.fixture(scope="module")
def stranger(operator: Service) -> Iterator[Service]:
    """Somebody of another project who may do everything there."""
    with holder(operator, make(operator, project="another", scopes=ALL)["secret"]) as service:
        yield service


@pytest.fixture(scope="module")
def uploads(owner: Service) -> list[str]:
    """The datasets that the owner had for all tests of a database, the present one last."""
    return [owner.upload()["id"]]


@pytest.fixture
def ids(owner: Service, uploads: list[str]) -> dict[str, str]:
    """One of each kind of thing of the owner's that has an id or a name; the job is over and has a checkpoint."""
    if owner.client.get(f"/v1/datasets/{uploads[-1]}").status_code == 404:  # the test before removed it
        uploads.append(owner.upload()["id"])
    dataset = uploads[-1]
    spec = {"dataset": dataset, "target": "label", "pack": False}  # else a clone of the test before would be trained along
    made = {"dataset_id": dataset, "key_id": make(owner)["id"]}
    made["job_id"] = owner.post("/v1/jobs", {**spec, "priority": 100}, status=201)["id"]
    worker = Trained(owner)
    made["checkpoint_id"] = worker.checkpoint(1, "best")
    worker.finish()
    sweep = {"spec": spec, "search": {"seed": {"range": [0, 1]}}, "method": "grid"}
    made["batch_id"] = asked(owner.database).id
    made["sweep_id"] = owner.post("/v1/sweeps", sweep, status=201)["id"]
    owner.post(f"/v1/sweeps/{made['sweep_id']}/cancel")
    made["name"] = owner.post("/v1/models", {"name": f"model-{made['job_id']}"}, status=201)["name"]
    return made


def ask(service: Service, operation: Operation, id: str) -> httpx2.Response:
    path = operation.at(id, only=operation.parameters[0], otherwise="model.json")
    body = BODIES.get(operation.path, {"rows": [{"size": 1}]})
    return service.client.request(operation.method, path, json=body if operation.has_body else None)


def told(answer: httpx2.Response, id: str) -> object:
    """An answer without what differs in any two."""
    if not answer.headers.get("content-type", "").startswith("application/problem"):
        return answer.status_code
    return answer.status_code, answer.text.replace(id, "ID").replace(answer.headers["x-request-id"], "REQUEST")


@pytest.mark.parametrize("operation", WITH_PARAMETERS, ids=str)
def test_the_id_of_another_project_s_thing_is_told_as_one_that_nobody_has(
    owner: Service, stranger: Service, ids: dict[str, str], operation: Operation
) -> None:
    parameter = operation.parameters[0]
    theirs, nobodys = ids[parameter], new_id(PREFIXES[parameter])

    answer, missing = ask(stranger, operation, theirs), ask(stranger, operation, nobodys)

    assert_problem(answer, 404, "not_found")
    assert told(answer, theirs) == told(missing, nobodys)
    assert told(ask(owner, operation, theirs), theirs) != told(missing, nobodys)


@pytest.mark.parametrize("path", LISTS)
def test_no_list_shows_what_is_another_project_s(owner: Service, stranger: Service, ids: dict[str, str], path: str) -> None:
    own = {key["id"] for key in stranger.get("/v1/keys")["data"]}
    assert owner.get(path)["data"]

    for cursor in ({}, *({"after": id, "order": "asc"} for id in ids.values())):
        answer = stranger.client.get(path, params=cursor)
        if answer.status_code != 200:  # the id of another kind of thing
            assert_problem(answer, 422, "unknown_cursor")
        assert {item["id"] for item in answer.json().get("data", [])} <= own


def test_no_filter_and_no_cursor_leads_to_another_project_s_jobs(
    owner: Service, stranger: Service, ids: dict[str, str]
) -> None:
    [event] = owner.get(f"/v1/jobs/{ids['job_id']}/events", limit=1)["data"]
    dataset = stranger.upload()["id"]
    job = stranger.post("/v1/jobs", {"dataset": dataset, "target": "label", "name": "mine"}, status=201)["id"]

    assert stranger.get("/v1/jobs", dataset=ids["dataset_id"])["data"] == []
    assert stranger.get("/v1/jobs", sweep=ids["sweep_id"])["data"] == []
    assert_problem(stranger.client.get(f"/v1/jobs/{job}/events", params={"after": event["id"]}), 422, "unknown_cursor")
    assert_problem(stranger.client.get("/v1/history", params={"job": [job, ids["job_id"]]}), 404, "not_found")
    named = stranger.client.post(
        f"/v1/jobs/{job}/predict", params={"checkpoint": ids["checkpoint_id"]}, json={"rows": [{"size": 1}]}
    )
    assert_problem(named, 404, "not_found")


def specs(dataset: str, own: str) -> dict[str, dict[str, Any]]:
    """Every place of a body that names a dataset."""
    return {
        "dataset": {"dataset": dataset, "target": "label"},
        "validation_dataset": {"dataset": own, "target": "label", "validation_dataset": dataset},
        "test_dataset": {"dataset": own, "target": "label", "test_dataset": dataset},
    }


@pytest.mark.parametrize("place", specs("", ""))
def test_another_project_s_dataset_in_a_body_is_told_as_one_that_nobody_has(
    stranger: Service, ids: dict[str, str], place: str
) -> None:
    own, nobodys = stranger.upload()["id"], new_id("ds")
    for path in ("/v1/jobs", "/v1/jobs/plan", "/v1/sweeps"):
        for theirs, missing in zip(bodies(path, place, ids["dataset_id"], own), bodies(path, place, nobodys, own), strict=True):
            answer, other = stranger.client.post(path, json=theirs), stranger.client.post(path, json=missing)
            assert told(answer, ids["dataset_id"]) == told(other, nobodys), path
            assert "There is no such dataset." in answer.text


def test_nobody_evaluates_on_another_project_s_dataset(stranger: Service, ids: dict[str, str]) -> None:
    job = stranger.post("/v1/jobs", {"dataset": stranger.upload()["id"], "target": "label", "priority": 100}, status=201)["id"]
    Trained(stranger).checkpoint(1, "best")
    path, nobodys = f"/v1/jobs/{job}/evaluate", new_id("ds")

    answer, missing = (stranger.client.post(path, json={"dataset": id}) for id in (ids["dataset_id"], nobodys))

    assert_problem(answer, 404, "not_found")
    assert told(answer, ids["dataset_id"]) == told(missing, nobodys)


@pytest.mark.parametrize("place", ["dataset", "job", "checkpoint", "model"])
def test_a_batch_prediction_of_another_project_s_things_is_told_as_one_of_what_nobody_has(
    stranger: Service, ids: dict[str, str], place: str
) -> None:
    dataset = stranger.upload()["id"]
    job = stranger.post("/v1/jobs", {"dataset": dataset, "target": "label", "priority": 100}, status=201)["id"]
    Trained(stranger).checkpoint(1, "best")
    own = {"dataset": dataset} if place == "model" else {"dataset": dataset, "job": job}
    parameter = "name" if place == "model" else f"{place}_id"
    theirs, nobodys = ids[parameter], new_id(PREFIXES[parameter])

    answer, missing = (stranger.client.post("/v1/batch_predictions", json={**own, place: id}) for id in (theirs, nobodys))

    assert pointers(answer) == [f"/{place}"]
    assert told(answer, theirs) == told(missing, nobodys)


def test_another_project_s_checkpoint_in_a_body_is_told_as_one_that_nobody_has(stranger: Service, ids: dict[str, str]) -> None:
    path, nobodys = f"/v1/models/{stranger.post('/v1/models', {'name': 'mine'}, status=201)['name']}/versions", new_id("ckpt")

    answer, missing = (stranger.client.post(path, json={"checkpoint": id}) for id in (ids["checkpoint_id"], nobodys))

    assert told(answer, ids["checkpoint_id"]) == told(missing, nobodys)
    assert "There is no such checkpoint." in answer.text


def bodies(path: str, place: str, dataset: str, own: str) -> list[dict[str, Any]]:
    spec = specs(dataset, own)[place]
    if path != "/v1/sweeps":
        return [spec]
    searched = {"spec": specs(own, own)["dataset"], "search": {place: {"choice": [dataset]}}, "trials": 1}
    return [{"spec": spec, "search": {"seed": {"choice": [1]}}, "trials": 1}, searched]


def test_an_idempotency_key_is_its_project_s(owner: Service, stranger: Service) -> None:
    headers = {"Idempotency-Key": new_id("x"), "Content-Type": "text/csv"}

    first, theirs, again = (who.client.post("/v1/datasets", content=CSV, headers=headers) for who in (owner, stranger, owner))

    assert (first.status_code, theirs.status_code, again.content) == (201, 201, first.content)
    assert theirs.json()["id"] != first.json()["id"]
    assert "idempotency-replayed" not in theirs.headers
    assert stranger.get(f"/v1/datasets/{theirs.json()['id']}")["rows"] == 40


def test_the_overview_tells_nothing_of_another_project_s_jobs(owner: Service, stranger: Service, ids: dict[str, str]) -> None:
    job = owner.submit()["id"]
    with owner.database.write() as connection:
        workers.register(connection, "host:1", device="cpu", threads=1, torch="2")
        workers.beat(connection, "host:1", job_id=job)

    queued = [len(who.get("/v1/jobs", status="queued", limit=200)["data"]) for who in (owner, stranger)]

    mine, theirs = owner.get("/v1/system"), stranger.get("/v1/system")

    assert [(worker["status"], worker["job"]) for worker in mine["workers"]] == [("training", job)]
    assert [(worker["status"], worker["job"]) for worker in theirs["workers"]] == [("training", None)]
    assert [who["jobs"].get("queued", 0) for who in (mine, theirs)] == queued
    assert mine["queue_depth"] == sum(queued)
    assert theirs["queue_depth"] == sum(queued)


def test_an_admin_stays_inside_its_project(operator: Service, owner: Service, stranger: Service) -> None:
    for project in ("default", "prj_default", "a-new-one"):
        assert_problem(stranger.client.post("/v1/keys", json={"project": project}), 403, "forbidden")
    own = make(stranger, project="another")
    every = {key["id"] for key in operator.get("/v1/keys", limit=200)["data"]}
    seen = [{key["id"] for key in who.get("/v1/keys", limit=200)["data"]} for who in (owner, stranger)]

    assert own["project"] == "another"
    assert own["id"] in seen[1]
    assert not seen[0] & seen[1]
    assert seen[0] | seen[1] == every
