"""The registry over HTTP: names, versions, aliases and their history, predictions by them; on both databases."""

from pathlib import Path
from typing import Any

import pytest

from app.domain.ids import new_id
from app.domain.models import MOST_ALIASES
from tests.api.keys import holder, locked_service, make
from tests.api.registry import (
    ROWS,
    checkpoints,
    content,
    delete,
    forget_all,
    job_of,
    move,
    named,
    register,
    sessions_of,
    trained,
)
from tests.api.service import Service, assert_problem, damage, pointers


@pytest.fixture(scope="module")
def ids(lasting: Service) -> list[str]:
    """Three checkpoints of one job."""
    return checkpoints(lasting, 3)


def test_the_first_version_becomes_the_default_and_later_ones_change_no_alias(lasting: Service, ids: list[str]) -> None:
    path = named(lasting, "first")
    before = lasting.get(path)
    first, second = (register(lasting, path, id) for id in ids[:2])

    assert (before["object"], before["aliases"], before["latest_version"]) == ("model", {}, None)
    assert [(one["version"], one["checkpoint"], one["aliases"]) for one in (first, second)] == [
        (1, ids[0], ["default"]),
        (2, ids[1], []),
    ]
    assert lasting.get(path) == before | {"aliases": {"default": 1}, "latest_version": 2}
    assert lasting.get(f"{path}/versions/1") == lasting.get(f"{path}/versions/default") == first
    assert [one["version"] for one in lasting.get(f"{path}/versions")["data"]] == [2, 1]


def test_a_model_has_what_it_was_given_and_stands_where_its_answer_says(lasting: Service) -> None:
    body = {"name": "Given_1.x-y", "description": "for tests", "metadata": {"team": "a"}}

    answer = lasting.client.post("/v1/models", json=body)
    model = answer.json()

    assert (answer.status_code, answer.headers["location"]) == (201, "/v1/models/Given_1.x-y")
    assert {key: model[key] for key in body} == body
    assert lasting.get("/v1/models/Given_1.x-y") == model
    assert_problem(lasting.client.get("/v1/models/given_1.x-y"), 404, "not_found")
    assert_problem(lasting.client.post("/v1/models", json={"name": "Given_1.x-y"}), 409, "conflict")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "-a", "a/b", "a b", "ä", "a" * 65, *(f"{kind}_{'0' * 32}" for kind in ("job", "mdl")), "a\n", None, 7],
)
def test_a_name_that_could_not_stand_in_a_path_or_looks_like_an_id_is_refused(shared: Service, name: object) -> None:
    assert pointers(shared.client.post("/v1/models", json={"name": name})) == ["/name"]


def test_the_same_key_registers_once(lasting: Service, ids: list[str]) -> None:
    path = named(lasting, "once")
    headers = {"Idempotency-Key": "register-once"}

    answers = [lasting.client.post(f"{path}/versions", json={"checkpoint": ids[0]}, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert (answers[1].headers["location"], answers[1].headers["idempotency-replayed"]) == (f"{path}/versions/1", "true")
    assert len(lasting.get(f"{path}/versions")["data"]) == 1
    elsewhere = lasting.client.post(f"{named(lasting, 'twice')}/versions", json={"checkpoint": ids[0]}, headers=headers)
    assert_problem(elsewhere, 422, "idempotency_key_reused")


def test_lists_are_paged(lasting: Service, ids: list[str]) -> None:
    for number in range(3):
        named(lasting, f"page-{number}")
    path = named(lasting, "pages", *ids)
    for version in (2, 3, 2):
        move(lasting, path, "default", version)

    names = [model["name"] for model in paged(lasting, "/v1/models", limit=2)]
    oldest = [model["name"] for model in paged(lasting, "/v1/models", limit=3, order="asc")]

    assert names[:4] == ["pages", "page-2", "page-1", "page-0"]
    assert oldest == names[::-1]
    assert [one["version"] for one in paged(lasting, f"{path}/versions", limit=1, order="asc")] == [1, 2, 3]
    moves = paged(lasting, f"{path}/aliases/default/history", limit=3)
    assert [(one["from"], one["to"]) for one in moves] == [(3, 2), (2, 3), (1, 2), (None, 1)]
    for list in ("/v1/models", f"{path}/versions", f"{path}/aliases/default/history"):
        assert_problem(lasting.client.get(list, params={"after": new_id("job")}), 422, "unknown_cursor")


def paged(service: Service, path: str, **params: Any) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"has_more": True, "next": None}
    while page["has_more"]:
        page = service.get(path, **params, **({"after": page["next"]} if page["next"] else {}))
        assert len(page["data"]) <= params["limit"]
        found += page["data"]
    return found


def test_a_model_predicts_by_its_default_by_a_number_and_by_an_alias(lasting: Service, ids: list[str]) -> None:
    path = named(lasting, "predicts", *ids)
    move(lasting, path, "next", 3, status=201)

    answers = [lasting.post(f"{path}{which}/predict", ROWS) for which in ("", "/versions/2", "/versions/next")]

    assert [(one["object"], one["model"], one["version"], one["checkpoint"]) for one in answers] == [
        ("prediction", "predicts", number, id) for number, id in enumerate(ids, 1)
    ]
    for answer in answers:
        by_job = lasting.post(f"{job_of(lasting, ids[0])}/predict?checkpoint={answer['checkpoint']}", ROWS)
        assert by_job == {name: value for name, value in answer.items() if name not in ("model", "version")}
    assert len({str(answer["probabilities"]) for answer in answers}) == 3


def test_the_inference_protocol_tells_and_serves_versions_as_they_come_and_go(lasting: Service, ids: list[str]) -> None:
    name = "comes-and-goes"
    path = named(lasting, name, ids[0])

    def served(which: str = "") -> str:
        inputs = [{"name": "size", "datatype": "FP64", "shape": [1], "data": [1.0]}]
        answer = lasting.post(f"/v2/models/{name}{which}/infer", {"inputs": inputs})
        return f"{answer['model_version']} {answer['parameters']['checkpoint']}"

    assert (served(), lasting.get(f"/v2/models/{name}")["versions"]) == (f"1 {ids[0]}", ["1"])
    register(lasting, path, ids[1])
    assert (served(), served("/versions/2")) == (f"1 {ids[0]}", f"2 {ids[1]}")
    move(lasting, path, "default", 2)
    assert (served(), served("/versions/default")) == (f"2 {ids[1]}",) * 2
    delete(lasting, f"{path}/versions/1")
    assert lasting.get(f"/v2/models/{name}")["versions"] == ["2"]
    missing = lasting.client.post(f"/v2/models/{name}/versions/1/infer", json={"inputs": []})
    assert "error" in assert_problem(missing, 404, "not_found")


def test_what_is_not_there_predicts_nothing(lasting: Service) -> None:
    path = named(lasting, "empty")

    for which in (
        "/versions/1",
        "/versions/none",
        "/versions/01",
        "/versions/0",
        "/versions/3000000000",
        "/versions/99999999999",
        "/versions/١",
    ):
        assert_problem(lasting.client.post(f"{path}{which}/predict", json=ROWS), 404, "not_found")
    assert_problem(lasting.client.post("/v1/models/nobody/predict", json=ROWS), 404, "not_found")
    assert_problem(lasting.client.post(f"{path}/predict", json=ROWS), 409, "conflict")


def test_rows_that_do_not_fit_a_model_are_refused_by_row_and_column(lasting: Service, ids: list[str]) -> None:
    path = named(lasting, "refuses", ids[0])

    assert pointers(lasting.client.post(f"{path}/predict", json={"rows": [{"size": "x"}]})) == ["/rows/0/size"]


def test_the_history_says_who_moved_what_from_where_to_where(database_url: str, valkey_server: str, tmp_path: Path) -> None:
    with locked_service(database_url, tmp_path / "data", broker=valkey_server) as operator:
        ids = checkpoints(operator, 2)
        path = named(operator, "moved", *ids)
        key = make(operator)
        with holder(operator, key["secret"]) as caller:
            move(caller, path, "default", 2)
            move(caller, path, "default", 2)
            assert delete(caller, f"{path}/aliases/default") == 204
        history = operator.get(f"{path}/aliases/default/history")["data"]

    who = [(one["from"], one["to"], one["key"], one["prefix"]) for one in history]
    mine = (key["id"], key["prefix"])
    assert who == [(2, None, *mine), (1, 2, *mine), (None, 1, None, None)]
    assert {(one["object"], one["model"], one["alias"]) for one in history} == {("alias_move", "moved", "default")}


def test_an_alias_is_made_moved_listed_and_deleted(lasting: Service, ids: list[str]) -> None:
    path = named(lasting, "aliased", *ids[:2])

    made = move(lasting, path, "staging", 2, status=201)
    moved = move(lasting, path, "staging", 1)

    assert (made["object"], made["model"], made["name"], made["version"]) == ("alias", "aliased", "staging", 2)
    assert moved == made | {"version": 1, "moved_at": moved["moved_at"]}
    assert lasting.get(f"{path}/aliases/staging") == moved
    assert [alias["name"] for alias in lasting.get(f"{path}/aliases")["data"]] == ["default", "staging"]
    assert lasting.get(f"{path}/versions/1")["aliases"] == ["default", "staging"]
    assert delete(lasting, f"{path}/aliases/staging") == 204
    for gone in ("aliases/staging", "versions/staging", "aliases/never/history"):
        assert_problem(lasting.client.get(f"{path}/{gone}"), 404, "not_found")
    assert lasting.get(f"{path}/aliases/staging/history")["data"][0]["to"] is None


@pytest.mark.parametrize("alias", ["7", "007", "a b", ".x", "a" * 65])
def test_an_alias_that_is_a_number_or_no_name_is_refused(shared: Service, alias: str) -> None:
    assert pointers(shared.client.put(f"/v1/models/any/aliases/{alias}", json={"version": 1})) == ["alias"]


def test_an_alias_points_only_at_a_version_that_is_there(lasting: Service, ids: list[str]) -> None:
    path = named(lasting, "pointed", ids[0])

    assert pointers(lasting.client.put(f"{path}/aliases/default", json={"version": 2})) == ["/version"]
    assert pointers(lasting.client.put(f"{path}/aliases/default", json={"version": 2**31})) == ["/version"]
    assert_problem(lasting.client.put("/v1/models/nobody/aliases/default", json={"version": 1}), 404, "not_found")


def test_a_model_has_so_many_aliases_and_no_more(small: Service) -> None:
    path = named(small, "many", *checkpoints(small, 1))
    for number in range(1, MOST_ALIASES):
        move(small, path, f"alias-{number}", 1, status=201)

    assert_problem(small.client.put(f"{path}/aliases/one-more", json={"version": 1}), 409, "conflict")
    move(small, path, "alias-1", 1)


def test_what_an_alias_points_at_is_protected_and_numbers_are_never_used_again(lasting: Service, ids: list[str]) -> None:
    path = named(lasting, "protected", *ids[:2])

    problem = assert_problem(lasting.client.delete(f"{path}/versions/1"), 409, "conflict")
    assert delete(lasting, path) == 409
    move(lasting, path, "default", 2)
    gone = [delete(lasting, f"{path}/versions/1") for _ in range(2)]
    move(lasting, path, "gone", 2, status=201)
    assert [delete(lasting, f"{path}/{what}") for what in ("aliases/gone", "aliases/default", "versions/2")] == [204] * 3
    again = register(lasting, path, ids[2])

    assert "'default'" in problem["detail"]
    assert gone == [204, 404]
    assert (again["version"], again["aliases"]) == (3, [])
    assert delete(lasting, path) == 204
    assert delete(lasting, path) == 404
    assert named(lasting, "protected") == path
    assert lasting.get(f"{path}/versions")["data"] == []
    assert register(lasting, path, ids[2])["version"] == 1


def test_a_job_stays_while_a_model_needs_one_of_its_checkpoints(lasting: Service) -> None:
    [checkpoint] = checkpoints(lasting, 1)
    job = job_of(lasting, checkpoint)
    path = named(lasting, "needs-it", checkpoint)

    problem = assert_problem(lasting.client.delete(job), 409, "conflict")
    lasting.client.delete(f"{path}/aliases/default")
    lasting.client.delete(f"{path}/versions/1")

    assert "Version 1 of model 'needs-it'" in problem["detail"]
    assert lasting.post(f"{job}/predict", ROWS)["checkpoint"] == checkpoint
    assert [delete(lasting, job) for _ in range(2)] == [204, 404]


def test_a_checkpoint_that_is_not_there_is_no_version(lasting: Service) -> None:
    path = named(lasting, "of-nothing")

    for id in ("x", "", new_id("ckpt")):
        assert pointers(lasting.client.post(f"{path}/versions", json={"checkpoint": id})) == ["/checkpoint"]
    assert_problem(lasting.client.post("/v1/models/nobody/versions", json={"checkpoint": "x"}), 404, "not_found")


def test_what_cannot_be_loaded_is_neither_registered_nor_pointed_at(small: Service) -> None:
    worker = trained(small)
    good, bad, unreadable = (
        worker.checkpoint(epoch, "periodic", files=files)
        for epoch, files in enumerate([content(1), content(2), {**content(1), "model.onnx": b"no network"}], 1)
    )
    path = named(small, "loads", good, bad)
    damage(small, bad, "model.onnx")
    small.client.delete(f"{path}/aliases/default")
    forget_all(small)

    refused = small.client.put(f"{path}/aliases/default", json={"version": 2})

    assert_problem(refused, 500, "checkpoint_damaged")
    assert small.get(path)["aliases"] == {}
    assert_problem(small.client.post(f"{path}/versions", json={"checkpoint": unreadable}), 409, "conflict")
    assert small.get(path)["latest_version"] == 2


def test_an_alias_moves_when_its_checkpoint_is_in_memory(small: Service) -> None:
    path = named(small, "warm", *checkpoints(small, 2))
    forget_all(small)

    move(small, path, "default", 2)

    assert sessions_of(small).held() == [small.get(f"{path}/versions/2")["checkpoint"]]


def test_the_best_of_a_job_that_trains_stays_registered_when_it_is_best_no_more(lasting: Service) -> None:
    worker = trained(lasting)
    best = worker.checkpoint(1, "best", files=content(1))
    path = named(lasting, "still-training", best)
    before = lasting.post(f"{path}/predict", ROWS)

    later = worker.publish(2, "best", "last", files=content(2))
    worker.finish()

    assert lasting.get(f"/v1/checkpoints/{best}")["kinds"] == []
    assert lasting.post(f"{path}/predict", ROWS) == before
    assert lasting.post(f"/v1/jobs/{worker.job.id}/predict", ROWS)["checkpoint"] == later


def test_a_deleted_checkpoint_predicts_nothing_from_then_on_though_it_is_in_memory(lasting: Service) -> None:
    [checkpoint] = checkpoints(lasting, 1)
    job = job_of(lasting, checkpoint)
    lasting.post(f"{job}/predict", ROWS)

    assert delete(lasting, job) == 204

    assert_problem(lasting.client.post(f"{job}/predict", json=ROWS), 404, "not_found")
    assert_problem(lasting.client.post(f"{job}/predict?checkpoint={checkpoint}", json=ROWS), 404, "not_found")


def test_every_operation_of_the_registry_is_described_with_its_answers(shared: Service) -> None:
    document = shared.get("/openapi.json")

    put = document["paths"]["/v1/models/{name}/aliases/{alias}"]["put"]
    predict = document["paths"]["/v1/models/{name}/versions/{version}/predict"]["post"]
    assert {"200", "201", "404", "409", "422", "500"} <= put["responses"].keys()
    assert {"from", "to", "key", "prefix"} <= document["components"]["schemas"]["AliasMove"]["properties"].keys()
    assert {"model", "version"} <= set(document["components"]["schemas"]["ModelPrediction"]["required"])
    assert "409" not in predict["responses"]
