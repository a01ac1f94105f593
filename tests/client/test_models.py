"""The registry over a real service: what a worker trains is registered, predicts by name, and stays."""

import json
from pathlib import Path

import pytest

from tests.client.test_cli import trainyard
from tests.servers.processes import wait_until
from tests.servers.service import Service
from trainyard import Client, TrainyardProblem

SPEC: dict[str, object] = {"target": "species", "network": {"hidden_layers": [4]}, "batch_size": 16}
FLOWER = [[5.1, 3.5, 1.4, 0.2]]


def submit(client: Client, **changes: object) -> str:
    return client.submit({**SPEC, "dataset": client.sample("iris")["id"], **changes})["id"]


def kept(client: Client, job: str, kind: str) -> list[str]:
    """The ids of the job's checkpoints of a kind: one or none."""
    return [checkpoint["id"] for checkpoint in client.checkpoints(job) if kind in checkpoint["kinds"]]


def test_what_a_job_had_learned_while_it_trained_stays_under_its_name(client: Client, tmp_path: Path) -> None:
    job = submit(client, epochs=2_000_000, optimizer={"name": "sgd", "learning_rate": 1e-6})
    wait_until(lambda: bool(kept(client, job, "last")), seconds=60, what="the first checkpoint")
    [early] = kept(client, job, "last")

    client.models.create("while-training", description="for a test", metadata={"team": "a"})
    version = client.models.register("while-training", early, description="early")
    before = client.models.predict("while-training", FLOWER)
    wait_until(lambda: kept(client, job, "last") != [early], seconds=60, what="the next checkpoint")
    client.cancel(job)
    client.wait(job, timeout=60)

    assert (version["version"], version["job"], version["aliases"]) == (1, job, ["default"])
    assert (before["model"], before["version"], before["checkpoint"]) == ("while-training", 1, early)
    assert client.models.predict("while-training", FLOWER, version="default") == before
    assert client.download(early, "model.onnx", tmp_path / "model.onnx").stat().st_size > 0
    with pytest.raises(TrainyardProblem) as caught:
        client.models.delete_version("while-training", 1)
    assert caught.value.status == 409


def test_models_are_named_moved_listed_and_deleted(client: Client) -> None:
    job = submit(client, epochs=3)
    client.wait(job, timeout=60)
    [best], [last] = kept(client, job, "best"), kept(client, job, "last")
    client.models.create("moved")
    for checkpoint in (best, last):
        client.models.register("moved", checkpoint)

    alias = client.models.move("moved", "default", 2)

    assert (alias["name"], alias["version"]) == ("default", 2)
    assert client.models.get("moved")["aliases"] == {"default": 2}
    assert next(client.models.list())["name"] == "moved"
    assert [(move["from"], move["to"]) for move in client.models.history("moved", "default")] == [(1, 2), (None, 1)]
    assert [version["version"] for version in client.models.versions("moved")] == [2, 1]
    assert client.models.version("moved", 1)["checkpoint"] == best
    assert client.models.predict("moved", FLOWER, version=1)["checkpoint"] == best
    client.models.delete_version("moved", 1)
    client.models.delete_alias("moved", "default")
    client.models.delete("moved")
    with pytest.raises(TrainyardProblem):
        client.models.get("moved")


def test_a_model_is_typed_from_its_name_to_its_end(service: Service, client: Client, tmp_path: Path) -> None:
    job = submit(client, epochs=3)
    client.wait(job, timeout=60)
    (tmp_path / "rows.json").write_text(json.dumps(FLOWER))

    def typed(*words: str) -> str:
        done = trainyard(service, "models", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = [typed(*words) for words in (("create", "typed"), ("register", "typed", job), ("move", "typed", "next", "1"))]
    predicted = json.loads(typed("predict", "typed", str(tmp_path / "rows.json"), "--version", "next"))
    listed, shown, history = typed("list", "--limit", "1"), typed("show", "typed"), typed("history", "typed", "next")
    refused = trainyard(service, "models", "delete", "typed")
    typed("delete", "typed", "--alias", "next")

    assert said == ["typed\n", "1\n", "next → 1\n"]
    assert (predicted["version"], [predicted["checkpoint"]]) == (1, kept(client, job, "best"))
    assert "default → 1, next → 1" in listed
    assert predicted["checkpoint"] in shown
    assert history.splitlines()[1].split()[1:] == ["–", "1", "operator"]
    assert (refused.returncode, "'default', 'next'" in refused.stderr) == (1, True)
    assert client.models.get("typed")["aliases"] == {"default": 1}
