"""Jobs whose target is several columns, over HTTP from rows to predictions."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from tests.servers.service import Service
from trainyard import Client, TrainyardProblem


def rows_of_a_dataset() -> bytes:
    """CSV: price and weight follow x, ripe and large are questions about it; gaps in two of them, in different rows."""
    lines = ["x,price,weight,ripe,large"]
    for i in range(60):
        price = "" if i in (3, 4) else f"{1000.5 + 10 * i}"
        weight = "" if i in (4, 7, 9) else f"{0.25 - 0.01 * i}"
        lines.append(f"{i}.5,{price},{weight},{str(i > 30).lower()},{str(i % 60 > 45).lower()}")
    return "\n".join(lines).encode()


def trained(client: Client, target: list[str], **changes: object) -> dict[str, Any]:
    spec = {"dataset": client.upload(rows_of_a_dataset())["id"], "target": target, "features": ["x"], "epochs": 150, "seed": 1}
    optimizer = {"name": "adam", "learning_rate": 0.02}
    job = client.submit({**spec, "optimizer": optimizer, **changes})
    return cast(dict[str, Any], client.wait(job["id"], timeout=60))


def predict(client: Client, job: str, *x: float) -> dict[str, Any]:
    return cast(dict[str, Any], client.predict(job, [{"x": value} for value in x]))


def test_several_numbers_from_rows_to_predictions(client: Client, tmp_path: Path) -> None:
    job = trained(client, ["price", "weight"], split={"validation": 0.2, "test": 0.2})

    resolved = job["resolved_spec"]
    answer = predict(client, job["id"], 10.5, 50.5)
    best = next(checkpoint for checkpoint in client.checkpoints(job["id"]) if "best" in checkpoint["kinds"])
    model = json.loads(client.download(best["id"], "model.json", tmp_path / "model.json").read_bytes())

    assert (job["status"], resolved["task"], resolved["target"]) == ("succeeded", "regression", ["price", "weight"])
    assert resolved["train_rows"] + resolved["validation_rows"] + resolved["test_rows"] == 56
    assert job["warnings"] == ["4 row(s) lack a target and are left out."]
    assert answer["classes"] is None
    for [price, weight], expected in zip(answer["predictions"], [(1100.5, 0.15), (1500.5, -0.25)], strict=True):
        assert price == pytest.approx(expected[0], abs=60)
        assert weight == pytest.approx(expected[1], abs=0.06)
    assert [column["name"] for column in model["target"]["columns"]] == ["price", "weight"]
    assert job["test"] is not None
    assert set(job["test"]["metrics"]) == {"rmse", "mae", "r2"}


def test_several_booleans_from_rows_to_predictions(client: Client) -> None:
    job = trained(client, ["ripe", "large"], early_stopping={"metric": "val_f1", "patience": 100})

    history = client.history(job["id"])
    answer = predict(client, job["id"], 1.5, 38.5, 58.5)

    assert (job["status"], job["resolved_spec"]["task"], job["resolved_spec"]["loss"]["name"]) == (
        "succeeded",
        "multilabel",
        "bce",
    )
    assert set(history["metrics"]) == {"val_accuracy", "val_balanced_accuracy", "val_f1", "val_log_loss", "val_brier"}
    assert answer["classes"] == ["ripe", "large"]
    assert answer["predictions"] == [[False, False], [True, False], [True, True]]
    assert [len(row) for row in answer["probabilities"]] == [2, 2, 2]


def test_a_mix_is_refused_with_the_names_of_the_columns(service: Service, client: Client) -> None:
    dataset = client.upload(rows_of_a_dataset())["id"]

    with pytest.raises(TrainyardProblem) as caught:
        client.submit({"dataset": dataset, "target": ["price", "ripe"]})

    assert caught.value.status == 422
    [fault] = caught.value.faults
    assert fault.place == "/target"
    assert "'price' is numeric, 'ripe' is boolean" in fault.detail
