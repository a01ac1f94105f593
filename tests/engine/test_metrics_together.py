"""Members whose rows are measured at once: each has its own targets, weights and units, and nothing of another's."""

from typing import Any

import numpy as np
import pytest
import torch

from app.domain import metrics
from app.domain.schema import Task
from tests.engine.plain import member_of, spec_of
from tests.engine.running import run
from worker.engine.metrics import evaluate

MEMBERS, EPOCHS, ROWS, WIDTH = 3, 4, 30, 3
CASES = [(task, name) for task in Task for name in metrics.of_task(task)]


def outputs(task: Task) -> torch.Tensor:
    """[G, E, n, O] with equal ones among them."""
    drawn = torch.randn(MEMBERS, EPOCHS, ROWS, 1 if task is Task.BINARY else WIDTH, generator=torch.Generator().manual_seed(1))
    rounded = (drawn * 4).round() / 4
    if task is Task.MULTICLASS:
        return rounded.softmax(-1)
    return rounded if task is Task.REGRESSION else rounded.sigmoid()


def targets(task: Task) -> torch.Tensor:
    """[G, n], or [G, n, O] of several columns."""
    generator = torch.Generator().manual_seed(2)
    if task is Task.MULTICLASS:
        return torch.randint(0, WIDTH, (MEMBERS, ROWS), generator=generator)
    if task is Task.BINARY:
        return torch.randint(0, 2, (MEMBERS, ROWS), generator=generator)
    drawn = torch.randn(MEMBERS, ROWS, WIDTH, generator=generator)
    return drawn if task is Task.REGRESSION else (drawn > 0).long()


def units(task: Task) -> dict[str, Any]:
    """Of each member and column its own; predictions of the last member are not clipped."""
    if task is not Task.REGRESSION:
        return {}
    scale = np.array([[1.0, 10.0, 0.1], [2.0, 3.0, 5.0], [1.0, 1.0, 1.0]])
    center = np.array([[0.0, 100.0, -1.0], [7.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    bound = np.array([[0.5] * 3, [1.0] * 3, [np.inf] * 3])
    return {"scale": scale, "center": center, "limits": (center - bound * scale, center + bound * scale)}


def of_member(given: dict[str, Any], position: int) -> dict[str, Any]:
    if not given:
        return {}
    low, high = given["limits"]
    of_columns = {name: given[name][position] for name in ("scale", "center")}
    return {**of_columns, "limits": (low[position], high[position])}


def row_weights(weighted: bool) -> torch.Tensor | None:
    """[G, n]; a member's are no multiple of another's."""
    return torch.rand(MEMBERS, ROWS, generator=torch.Generator().manual_seed(3)) + 0.1 if weighted else None


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("task", "name"), CASES)
def test_each_member_is_measured_as_it_is_alone(task: Task, name: str, weighted: bool) -> None:
    p, y, w, given = outputs(task), targets(task), row_weights(weighted), units(task)

    together = evaluate(task, p, y, w, names=[name], **given)[name]

    assert together.shape == (MEMBERS, EPOCHS)
    for i in range(MEMBERS):
        alone = evaluate(task, p[i], y[i], None if w is None else w[i], names=[name], **of_member(given, i))[name]
        assert together[i].tolist() == pytest.approx(alone.tolist(), rel=1e-12)


@pytest.mark.parametrize(("task", "name"), CASES)
def test_a_member_whose_outputs_are_not_finite_leaves_the_others_theirs(task: Task, name: str) -> None:
    p, y, given = outputs(task), targets(task), units(task)
    spoiled = p.clone()
    spoiled[1] = torch.nan

    found = evaluate(task, spoiled, y, None, names=[name], **given)[name]

    expected = evaluate(task, p, y, None, names=[name], **given)[name]
    assert found[1].isnan().all()
    assert found[[0, 2]].tolist() == expected[[0, 2]].tolist()


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_members_with_the_same_rows_or_others_are_measured_in_one_go(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fields: dict[str, Any] = {"loss": {"name": loss}, "batch_size": 8}
    own: list[dict[str, Any]] = [{"seed": 0, "epochs": 30}, {"seed": 1, "epochs": 20}, {"seed": 2, "epochs": 30}]
    own[2] |= {"early_stopping": {"patience": 9, "metric": "val_mae" if loss == "mse" else "val_roc_auc"}}
    members = [member_of(spec_of(**(fields | one)), seed=place // 2, weighted=place < 2) for place, one in enumerate(own)]
    _, together = run(members)
    monkeypatch.setattr("worker.engine.evaluation._CELLS", 1)
    _, each = run(members)

    for one, other in zip(together, each, strict=True):
        assert one.columns.epoch == other.columns.epoch
        assert one.columns.metrics.keys() == other.columns.metrics.keys()
        for name, column in other.columns.metrics.items():
            np.testing.assert_allclose(one.columns.metrics[name], column, rtol=1e-12)
