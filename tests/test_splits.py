"""Every way to split, through the whole service: the losses are those of the rows that should be held out."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from trainyard import Client

Row = tuple[float, str, int, str, float]
PARTS = ("train", "train", "train", "train", "validation", "train", "test")
# A line and a wave that no line learns: the loss tells one choice of rows from another.
ROWS: list[Row] = [
    (i * 0.37 % 5, f"g{i % 9}", (i * 17) % 60, PARTS[i % 7], round(i * 0.37 % 5 * 2 + (i * i % 11) * 0.7, 3)) for i in range(60)
]
HEADER = "x,group,time,part,y\n"
NETWORK: dict[str, list[int]] = {"hidden_layers": []}


def csv(rows: Sequence[Row]) -> bytes:
    return (HEADER + "".join(",".join(map(str, row)) + "\n" for row in rows)).encode()


def trained(client: Client, **spec: object) -> str:
    """A linear model of x, ended well."""
    usual = {"target": "y", "features": ["x"], "task": "regression", "network": NETWORK, "epochs": 40, "batch_size": 16}
    id = client.submit(usual | spec)["id"]
    assert client.wait(id, timeout=120)["status"] == "succeeded"
    return id


def plain_loss(client: Client, id: str, rows: Sequence[Row], *, checkpoint: str) -> float:
    """The mean squared error of what a checkpoint predicts."""
    predicted = client.predict(id, [{"x": row[0]} for row in rows], checkpoint=checkpoint)["predictions"]
    return sum((float(str(y)) - row[4]) ** 2 for y, row in zip(predicted, rows, strict=True)) / len(rows)


# The split, and the part in which a row should be.
CHOICES: dict[str, tuple[dict[str, object], Callable[[Row], str]]] = {
    "column": ({"method": "column", "column": "part"}, lambda row: row[3]),
    "time": (
        {"method": "time", "column": "time", "validation": 0.2, "test": 0.1},
        lambda row: "train" if row[2] < 42 else "validation" if row[2] < 54 else "test",
    ),
}


@pytest.mark.parametrize("kind", sorted(CHOICES))
def test_the_losses_are_those_of_the_rows_that_the_column_holds_out(client: Client, kind: str) -> None:
    split, part_of = CHOICES[kind]
    dataset = client.upload(csv(ROWS))["id"]

    id = trained(client, dataset=dataset, split=split)

    held_out = {part: [row for row in ROWS if part_of(row) == part] for part in ("validation", "test")}
    check(client, id, validation=held_out["validation"], test=held_out["test"])


def check(client: Client, id: str, *, validation: Sequence[Row], test: Sequence[Row]) -> None:
    job = client.job(id)
    assert job["latest"] is not None
    assert job["latest"]["val_loss"] == pytest.approx(plain_loss(client, id, validation, checkpoint="last"), rel=1e-4)
    assert job["test"] is not None
    assert job["test"]["loss"] == pytest.approx(plain_loss(client, id, test, checkpoint="best"), rel=1e-4)
    assert job["resolved_spec"]["validation_rows"] == len(validation)
    assert job["resolved_spec"]["test_rows"] == len(test)


def test_the_loss_is_that_of_whole_groups(client: Client) -> None:
    dataset = client.upload(csv(ROWS))["id"]

    id = trained(client, dataset=dataset, split={"method": "group", "column": "group", "validation": 0.1}, seed=3)

    job = client.job(id)
    assert job["latest"] is not None
    losses = {
        group: plain_loss(client, id, [row for row in ROWS if row[1] == group], checkpoint="last")
        for group in {row[1] for row in ROWS}
    }
    assert any(loss == pytest.approx(job["latest"]["val_loss"], rel=1e-4) for loss in losses.values())
    assert job["resolved_spec"]["validation_rows"] in (6, 7)


def test_the_losses_are_those_of_the_datasets_of_one_s_own(client: Client, tmp_path: Path) -> None:
    train, validation, test = ROWS[:40], ROWS[40:50], ROWS[50:]
    ids = [client.upload(csv(rows))["id"] for rows in (train, validation, test)]

    id = trained(
        client, dataset=ids[0], validation_dataset=ids[1], test_dataset=ids[2], early_stopping={"patience": 5}, epochs=400
    )

    check(client, id, validation=validation, test=test)
    best = next(checkpoint for checkpoint in client.checkpoints(id) if "best" in checkpoint["kinds"])
    manifest = json.loads(client.download(best["id"], "model.json", tmp_path / "model.json").read_text())
    hashes = {name: hashlib.sha256(csv(rows)).hexdigest() for name, rows in (("validation", validation), ("test", test))}
    for described in (client.job(id)["reproducibility"], manifest["provenance"]):
        assert {part: described[f"{part}_dataset_sha256"] for part in hashes} == hashes
