"""What only a GPU can show: that graphs are recorded there, and that their numbers are right. Skipped where there is none."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.plain import member_of, spec_of
from tests.engine.running import run
from tests.engine.test_ensembles import ensemble_of
from tests.engine.test_replay import CASES, members_of
from tests.engine.test_resume import assert_identical
from worker.engine.precision import use_whole_float32
from worker.engine.replay import CudaGraphs, OneByOne
from worker.engine.stack import Stack

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


@pytest.fixture(autouse=True)
def whole_float32() -> None:
    use_whole_float32()


@pytest.fixture(autouse=True)
def tape_of_eight_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.tape._LONGEST", 8)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[CudaGraphs]:
    """What the steps are recorded by, and that it did record all that it was asked to."""
    made = CudaGraphs(torch.device("cuda"))
    monkeypatch.setattr("worker.engine.replay.of", lambda members, device: made if device.type == "cuda" else None)
    yield made
    assert made.recorded > 0
    assert not made.failed


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_graphs_learn_the_bits_of_single_calls(
    case: str, count: int, graphs: CudaGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = members_of(CASES[case], count=count)
    replayed = run(members, torch.float32, device="cuda")
    monkeypatch.setattr("worker.engine.replay.of", lambda members, device: OneByOne())

    assert_identical(replayed, run(members, torch.float32, device="cuda"))


@pytest.mark.parametrize("case", [case for case in CASES if case != "rounded products"])
def test_a_gpu_learns_what_a_cpu_learns(case: str, graphs: CudaGraphs) -> None:
    members = members_of(CASES[case], count=2)
    _, ours = run(members, device="cuda")
    _, theirs = run(members)

    for one, other in zip(ours, theirs, strict=True):
        assert one.columns.epoch == other.columns.epoch
        np.testing.assert_allclose(one.columns.train_loss, other.columns.train_loss, rtol=1e-9)
        np.testing.assert_allclose(
            np.array(one.columns.val_loss, dtype=float), np.array(other.columns.val_loss, dtype=float), rtol=1e-9
        )


@pytest.mark.parametrize("folds", [False, True])
def test_an_ensemble_learns_on_a_gpu_what_it_learns_on_a_cpu(folds: bool, graphs: CudaGraphs) -> None:
    member = ensemble_of(folds=folds, batch_size=5, epochs=20, network={"dropout": 0.3})
    _, [ours] = run([member], device="cuda")
    _, [theirs] = run([member])

    np.testing.assert_allclose(ours.columns.train_loss, theirs.columns.train_loss, rtol=1e-9)
    np.testing.assert_allclose(np.array(ours.columns.val_loss), np.array(theirs.columns.val_loss), rtol=1e-9)


@pytest.mark.parametrize("fields", [{}, {"batch_size": 6, "network": {"dropout": 0.3}}], ids=["full batch", "mini-batches"])
def test_a_run_on_a_gpu_goes_on_to_the_same_bits(fields: dict[str, Any], graphs: CudaGraphs) -> None:
    member = member_of(spec_of(epochs=60, optimizer={"name": "adam"}, **fields))
    whole = run([member], torch.float32, device="cuda")
    stack = Stack([member], device="cuda", report_seconds=0)
    for count, _ in enumerate(stack.train()):
        if count == 3:
            break
    on, _ = run([member], torch.float32, device="cuda", states=[stack.recovery_state(0)])

    for name, values in whole[0].weights(0, "last").items():
        assert np.array_equal(values, on.weights(0, "last")[name])
