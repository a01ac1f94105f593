"""What can be seen of the way to a GPU without one: that all of a computation is there, and what its host waits for.

`pytest --pretend-gpu tests/engine` takes every other test of the engine that way, too.
"""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.plain import member_of
from tests.engine.pretended import PretendedGpu, recorder_of
from tests.engine.running import run
from tests.engine.test_ensembles import ensemble_of
from tests.engine.test_replay import CASES, FRONT, members_of
from tests.engine.test_resume import assert_identical, run_in_pieces
from tests.engine.test_streaming import spec, streamed
from worker.engine.data import Member
from worker.engine.evaluation import Judge
from worker.engine.replayed import Replayed


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedGpu]:
    """Tapes are short, so that what was recorded is wanted again."""
    monkeypatch.setattr("worker.engine.tape._LONGEST", 8)
    gpu = PretendedGpu()
    monkeypatch.setattr("worker.engine.replay.of", recorder_of(gpu))
    with gpu:
        yield gpu


def test_a_pretended_gpu_keeps_tensors_apart(gpu: PretendedGpu) -> None:
    there, here = torch.ones(3, device="cuda"), torch.ones(3)

    assert (there.device.type, here.device.type, (there[1:] * 2).device.type) == ("cuda", "cpu", "cuda")
    assert (there.is_cuda, here.is_cuda, there.cpu().is_cuda) == (True, False, False)
    with pytest.raises(RuntimeError, match="same device"):
        there + here
    with pytest.raises(RuntimeError, match="same device"):
        torch.cat([there, here])
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    here[0] = 5
    assert there.tolist() == [1, 1, 1]


def test_a_pretended_gpu_tells_what_waits(gpu: PretendedGpu) -> None:
    there = torch.ones(3, device="cuda")
    waits: list[Callable[[], object]] = [
        *(lambda: there.sum().item(), lambda: float(there[0]), lambda: bool(there.any()), lambda: there.cpu()),
        *(lambda: there[there > 0], lambda: there[[0, 1]], lambda: there[torch.tensor([0])], lambda: there.nonzero()),
        *(lambda: torch.tensor([1.0], device="cuda"), lambda: there.copy_(torch.zeros(3)), lambda: torch.ones(3).to(there)),
    ]
    for wait in waits:
        with pytest.raises(RuntimeError, match="not now"), gpu.without_waiting("not now"):
            wait()
        wait()
    with gpu.without_waiting("not now"):
        there[0] = 2.0
        there.copy_(torch.zeros(3).pin_memory().to("cuda", non_blocking=True)).add_(torch.tensor(1.0))
    assert there.tolist() == [1, 1, 1]


PACKS: dict[str, list[Member]] = {
    **{f"{count} with {case}": members_of(CASES[case], count=count) for case in CASES for count in (1, 3)},
    "labels": members_of({"loss": {"name": "bce"}, "target": ["a", "b", "c"], "batch_size": 6}, count=2),
    "an ensemble": [ensemble_of(folds=False, batch_size=5, epochs=20, network={"dropout": 0.3})],
    "an ensemble with folds": [ensemble_of(folds=True, batch_size=5, epochs=20, network={"dropout": 0.3}, weighted=True)],
    "an ensemble with folds and a front": [ensemble_of(folds=True, batch_size=4, epochs=20, featured=2, network=FRONT)],
}


@pytest.mark.parametrize("pack", PACKS)
def test_all_is_on_the_gpu_and_no_step_waits(pack: str, gpu: PretendedGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in ((Replayed, "leap"), (Replayed, "begin"), (Replayed, "step"), (Judge, "scores")):
        monkeypatch.setattr(owner, name, _without_waiting(getattr(owner, name), gpu))
    _, theirs = run(PACKS[pack])
    stack, ours = run(PACKS[pack], device="cuda")

    for one, other in zip(ours, theirs, strict=True):
        assert one.columns.epoch == other.columns.epoch
        close = 1e-2 if "rounded" in pack else 1e-9
        np.testing.assert_allclose(one.columns.train_loss, other.columns.train_loss, rtol=close)
        for name, column in one.columns.metrics.items():
            np.testing.assert_allclose(column, other.columns.metrics[name], rtol=close, err_msg=name)
    assert stack.exported(0, "best").weights.keys() == stack.weights(0, "best").keys()


@pytest.mark.parametrize(
    "fields", [{"batch_size": 23}, {"batch_size": 4, "network": {"dropout": 0.3}}], ids=["full batch", "mini-batches"]
)
def test_a_killed_run_of_streamed_rows_goes_on_to_the_same_bits(
    fields: dict[str, Any], gpu: PretendedGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.engine.stack.plan", lambda members, layout, **_: (1, 2))
    monkeypatch.setattr("worker.engine.logits._CELLS", 12)
    monkeypatch.setattr("worker.engine.dropout.MASKS_OF_ONE_DRAW", 2)
    member = streamed(member_of(spec(precision="fp32", epochs=9, **fields), weighted=True))
    assert_identical(run([member], torch.float32, device="cuda"), run_in_pieces([member], [2, 3, 17, 10_000], device="cuda"))


def _without_waiting(method: Callable[..., Any], gpu: PretendedGpu) -> Callable[..., Any]:
    @wraps(method)
    def without(*args: Any, **kwargs: Any) -> Any:
        with gpu.without_waiting("a step waits"):
            return method(*args, **kwargs)

    return without
