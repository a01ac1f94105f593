"""What stands before the output activation is what torch computes of the rows that were prepared for training."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
import torch

from app.domain.columns import AnyTarget, FittedColumn, FittedTarget, FittedTargets
from app.domain.manifest import Manifest
from app.domain.output import output_activation
from app.domain.schema import StorageType, Task
from app.domain.spec import ResolvedSpec
from app.services.row_inputs import RowInputs
from app.serving.logits import Logits
from app.tabular.preprocessing import transform
from tests.serving.checkpoints import COLUMNS, FRAME, LABELS, NUMBERS, TEXT, embedding, network_of, resolved, state
from worker.engine.export import to_onnx

TWO = FittedTarget(name="y", type=StorageType.BOOL, classes=[False, True])
SEVERAL = FittedTargets(columns=[NUMBERS, FittedTarget(name="z", type=StorageType.INT64)])
BOTH = FittedTargets(columns=[TWO, TWO])

TASKS: dict[str, tuple[Task, str, AnyTarget, int]] = {
    "multiclass": (Task.MULTICLASS, "cross_entropy", LABELS, 3),
    "one logit": (Task.BINARY, "bce", TWO, 1),
    "two logits": (Task.BINARY, "cross_entropy", TWO, 2),
    "labels": (Task.MULTILABEL, "bce", BOTH, 2),
    "regression": (Task.REGRESSION, "mse", NUMBERS, 1),
    "counts": (Task.REGRESSION, "poisson", NUMBERS, 1),
    "several numbers": (Task.REGRESSION, "huber", SEVERAL, 2),
    "clipped": (Task.REGRESSION, "mse", NUMBERS.model_copy(update={"minimum": 50.0, "maximum": 50.5}), 1),
    "clipped counts": (Task.REGRESSION, "poisson", NUMBERS.model_copy(update={"minimum": 54.0, "maximum": 54.1}), 1),
    "several counts": (Task.REGRESSION, "poisson", SEVERAL, 2),
}


def manifest_of(spec: ResolvedSpec, columns: Sequence[FittedColumn], target: AnyTarget) -> Manifest:
    losses: dict[str, object] = {"epoch": 1, "train_loss": 0.0, "val_loss": None, "metrics": {}, "provenance": {}}
    return Manifest.model_validate(
        {"spec": spec, "columns": list(columns), "target": target, "output": output_activation(spec), **losses}
    )


def assert_same(columns: Sequence[FittedColumn], frame: pl.DataFrame, spec: ResolvedSpec, target: AnyTarget) -> RowInputs:
    network, inputs = network_of(spec), RowInputs(columns)
    logits = Logits(
        to_onnx(columns=columns, target=target, spec=spec, weights=state(network)), manifest_of(spec, columns, target)
    )

    found = logits.of(inputs.read(frame))

    with torch.no_grad():
        expected = network(torch.from_numpy(transform(columns, frame)).float()).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert len(np.unique(expected.round(5), axis=0)) > 1
    return inputs


@pytest.mark.parametrize("hidden", [[], [7, 5]], ids=["linear", "two layers"])
@pytest.mark.parametrize("name", TASKS)
def test_the_logits_are_those_of_torch_for_every_task(name: str, hidden: list[int]) -> None:
    task, loss, target, outputs = TASKS[name]
    inputs = sum(column.width for column in COLUMNS)
    spec = resolved(task=task, inputs=inputs, outputs=outputs, loss=loss, hidden_layers=hidden, target=target.name)

    read = assert_same(COLUMNS, FRAME, spec, target)

    assert {name: count for name, count in read.missing.items() if count} == {
        "city": 1, "size": 2, "flag": 1, "rank": 1, "code": 1, "constant": 1, "gap": 2, "shares": 1, "grade": 1, "tone": 1,
        "income": 1, "side": 1,
    }  # fmt: skip
    unseen = {name: count for name, count in read.unseen.items() if count}
    assert unseen == dict.fromkeys(("city", "code", "grade", "tone", "side", "sort"), 1)


EMPTY = ["", "a", "b", "c"]
UNLIKE: dict[str, FittedColumn] = {
    "an empty text is a level and the missing is nothing": TEXT(name="t", levels=EMPTY),
    "an empty text is a level and the missing is imputed": TEXT(name="t", levels=EMPTY, impute="b"),
    "an empty text was never seen": TEXT(name="t", levels=["?", "a", "b", "c"], impute="b", indicator=True),
}


@pytest.mark.parametrize("width", [None, 2], ids=["one-hot", "embedded"])
@pytest.mark.parametrize("case", UNLIKE)
def test_an_empty_text_is_told_from_none_as_in_training(case: str, width: int | None) -> None:
    columns: list[FittedColumn] = [UNLIKE[case].model_copy(update={"embedding": width})]
    spec = embedding(resolved(inputs=columns[0].width, outputs=3, loss="cross_entropy"), columns)

    read = assert_same(columns, pl.DataFrame({"t": ["", None, "a", "new", "c"]}), spec, LABELS)

    assert (read.missing["t"], read.unseen["t"]) == (1, 2 if "never" in case else 1)
