"""Sweeps over a real service: trained by a worker, compared, waited for, cancelled."""

import math

import pytest

from trainyard import Client, TrainyardProblem

SPEC: dict[str, object] = {"target": "species", "network": {"hidden_layers": [4]}, "batch_size": 16, "epochs": 5}


def spec(client: Client, **changes: object) -> dict[str, object]:
    return {**SPEC, "dataset": client.sample("iris")["id"], **changes}


def test_a_sweep_from_search_to_the_best_trial(client: Client) -> None:
    search = {"optimizer.learning_rate": {"choice": [0.0001, 0.01, 1e30]}, "optimizer.name": {"choice": ["sgd", "adam"]}}
    made = client.submit_sweep({"spec": spec(client), "method": "grid", "search": search, "parallel": 2})

    done = client.wait_for_sweep(made["id"], timeout=120)
    board = list(client.leaderboard(made["id"]))

    assert (done["status"], done["progress"]["fraction"]) == ("succeeded", 1.0)
    assert done["progress"]["succeeded"] + done["progress"]["failed"] == 6
    assert done["progress"]["failed"] >= 1
    ended_well = [trial for trial in board if trial["status"] == "succeeded"]
    assert board[: len(ended_well)] == ended_well
    values = [trial["value"] for trial in ended_well if trial["value"] is not None and math.isfinite(trial["value"])]
    assert values == sorted(values)
    assert done["best"] is not None
    assert (done["best"]["job"], done["best"]["value"]) == (board[0]["id"], values[0])
    assert done["best"]["parameters"] == board[0]["parameters"]
    losses = client.history(board[0]["id"])["val_loss"]
    assert values[0] == min(loss for loss in losses if loss is not None)
    assert client.predict(board[0]["id"], [[5.1, 3.5, 1.4, 0.2]])["predictions"]


def test_a_trial_learns_what_the_same_job_learns_alone(client: Client) -> None:
    base = spec(client)
    made = client.submit_sweep({"spec": base, "method": "grid", "search": {"seed": {"range": [3, 5]}}})
    alone = client.submit({**base, "seed": 4})
    client.wait_for_sweep(made["id"], timeout=60)
    client.wait(alone["id"], timeout=60)

    [trial] = [trial for trial in client.leaderboard(made["id"]) if trial["parameters"] == {"seed": 4}]

    assert client.history(trial["id"])["val_loss"] == pytest.approx(client.history(alone["id"])["val_loss"], rel=1e-5)


def test_a_cancelled_sweep_ends_with_what_its_trials_learned(client: Client) -> None:
    search = {"seed": {"range": [0, 3]}}
    made = client.submit_sweep({"spec": spec(client, epochs=2_000_000), "method": "grid", "search": search, "parallel": 1})
    first = client.leaderboard(made["id"])
    next(client.follow(min(trial["id"] for trial in first)))

    client.cancel_sweep(made["id"])
    done = client.wait_for_sweep(made["id"], timeout=60)

    assert (done["status"], done["progress"]["cancelled"]) == ("cancelled", 3)
    assert done["best"] is not None
    assert client.checkpoints(done["best"]["job"])


def test_waiting_for_a_sweep_ends_at_its_limit(client: Client) -> None:
    made = client.submit_sweep({"spec": spec(client, epochs=2_000_000), "search": {"seed": {"choice": [1]}}, "trials": 1})

    with pytest.raises(TimeoutError):
        client.wait_for_sweep(made["id"], timeout=0.1)

    assert client.cancel_sweep(made["id"])["id"] == next(client.sweeps(limit=1))["id"]
    assert client.wait_for_sweep(made["id"], timeout=60)["status"] == "cancelled"


def test_a_refused_sweep_tells_which_value_is_wrong(client: Client) -> None:
    with pytest.raises(TrainyardProblem) as caught:
        client.submit_sweep({"spec": spec(client), "method": "grid", "search": {"epochs": {"choice": [1, 0]}}})

    assert [fault.place for fault in caught.value.faults] == ["/search/epochs/choice/1"]
