"""A step that was recorded and is replayed learns what it learns call by call: nothing in it is decided by the host."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.plain import member_of, spec_of
from tests.engine.recording import Tape
from tests.engine.running import run
from tests.engine.test_ensembles import ensemble_of
from tests.engine.test_resume import assert_identical, run_in_pieces
from worker.engine.activations import Call
from worker.engine.data import Member
from worker.engine.replay import CudaGraphs, OneByOne, Piece

FRONT: dict[str, Any] = {
    "numeric_features": {"kind": "piecewise_linear", "bins": 4, "width": 2},
    "input_scaling": True,
    "parametrization": "ntk",
}
CASES: dict[str, dict[str, Any]] = {
    "full batch": {"optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}},
    "full batch by autograd": {"network": {"normalization": "batch"}, "optimizer": {"name": "adam"}},
    "full batch with dropout": {"network": {"dropout": 0.3}, "lr_schedule": {"name": "cosine"}},
    "mini-batches": {"batch_size": 6, "optimizer": {"name": "adam"}, "gradient_clip_norm": 0.4},
    "mini-batches with dropout": {"batch_size": 5, "network": {"dropout": 0.3}, "optimizer": {"name": "radam"}},
    "batch normalization": {"batch_size": 6, "network": {"normalization": "batch"}, "optimizer": {"name": "nadam"}},
    "embeddings": {"batch_size": 6, "tables": [(7, 3), (4, 2)], "optimizer": {"name": "adamw", "weight_decay": 0.1}},
    "embeddings by autograd": {"batch_size": 6, "tables": [(7, 3)], "network": {"normalization": "layer"}},
    "numbers by autograd": {"batch_size": 6, "loss": {"name": "mse"}, "network": {"normalization": "layer"}},
    "plateau": {"batch_size": 9, "lr_schedule": {"name": "plateau", "patience": 1, "factor": 0.5, "threshold": 0.1}},
    "one cycle": {"batch_size": 7, "lr_schedule": {"name": "one_cycle"}, "loss": {"name": "huber"}},
    "a front": {"batch_size": 6, "featured": 2, "tables": [(5, 2)], "network": FRONT, "optimizer": {"name": "adamw"}},
    "a front by autograd": {"featured": 2, "network": FRONT | {"normalization": "layer"}, "gradient_clip_norm": 0.4},
    "rounded products": {"batch_size": 6, "precision": "bf16"},
}


@pytest.fixture(autouse=True)
def tape_of_eight_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.tape._LONGEST", 8)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Tape:
    """What the steps are recorded by from here on."""
    tape = Tape()
    monkeypatch.setattr("worker.engine.replay.of", lambda members, device: tape)
    return tape


def members_of(fields: dict[str, Any], *, count: int) -> list[Member]:
    """They differ in rows, seed, rate, and in when they end."""
    members = []
    for i in range(count):
        own: dict[str, Any] = {"epochs": 43 - 9 * i, "seed": i, "early_stopping": {"patience": 12} if i == 1 else None}
        members.append(member_of(spec_of(**(fields | own)), seed=i, weighted=True))
    return members


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_a_replayed_step_learns_the_same_bits(case: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    members, tape = members_of(CASES[case], count=count), Tape()
    monkeypatch.setattr("worker.engine.replay.of", lambda members, device: OneByOne())
    one_by_one = run(members, torch.float32)
    monkeypatch.setattr("worker.engine.replay.of", lambda members, device: tape)

    assert_identical(run(members, torch.float32), one_by_one)
    assert tape.replayed > tape.recorded > 0


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_pieces_learn_what_single_steps_learn(case: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    members = members_of(CASES[case], count=count)
    dtype, close = (torch.float32, 1e-2) if case == "rounded products" else (torch.float64, 1e-9)
    _, steps = run(members, dtype)
    monkeypatch.setattr("worker.engine.replay.of", lambda members, device: OneByOne())
    _, pieces = run(members, dtype)

    for one, other in zip(pieces, steps, strict=True):
        assert (one.columns.epoch, one.end.finished) == (other.columns.epoch, other.end.finished)
        for name in ("train_loss", "val_loss", "learning_rate"):
            np.testing.assert_allclose(getattr(one.columns, name), getattr(other.columns, name), rtol=close)


@pytest.mark.parametrize("case", ["full batch", "mini-batches with dropout", "batch normalization", "plateau"])
def test_a_replaying_run_that_was_killed_goes_on_to_the_same_bits(case: str, recorded: Tape) -> None:
    members = [member_of(spec_of(**(CASES[case] | {"epochs": 30, "seed": seed})), seed=seed) for seed in range(2)]
    assert_identical(run(members, torch.float32), run_in_pieces(members, [2, 3, 17, 10_000]))


def test_full_batches_that_were_killed_while_they_were_judged_go_on_to_the_same_bits(
    recorded: Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.engine.stack.plan", lambda members, layout, **_: (1, 1))
    monkeypatch.setattr("worker.engine.logits._CELLS", 12)  # judged in many slabs, between which a report falls due
    members = members_of(CASES["full batch"], count=1)
    assert_identical(run(members, torch.float32), run_in_pieces(members, [2, 3, 17, 10_000]))


def test_windows_and_draws_of_masks_end_a_piece(recorded: Tape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.stack.plan", lambda members, layout, **_: (1, 4))
    monkeypatch.setattr("worker.engine.dropout._BLOCK", 32)
    members = members_of({"batch_size": 3, "network": {"dropout": [0.3, 0.0]}}, count=2)
    whole = run(members, torch.float32)
    monkeypatch.setattr("worker.engine.replay.of", lambda members, device: OneByOne())

    assert_identical(whole, run(members, torch.float32))


@pytest.mark.parametrize("window", [2, 4])
def test_a_replayed_ensemble_takes_of_each_batch_what_is_not_of_its_own_folds(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.engine.stack.plan", lambda members, layout, **_: (1, window))
    monkeypatch.setattr("worker.engine.dropout._BLOCK", 32)
    member = ensemble_of(folds=True, batch_size=4, epochs=9, featured=2, network=FRONT | {"dropout": 0.2})
    one_by_one, tape = run([member], torch.float32), Tape()
    monkeypatch.setattr("worker.engine.replay.of", lambda members, device: tape)

    assert_identical(run([member], torch.float32), one_by_one)
    assert tape.replayed > tape.recorded > 0


def test_a_whole_tape_of_full_batches_is_one_piece(recorded: Tape) -> None:
    run([member_of(spec_of(epochs=80))])
    assert (recorded.recorded, recorded.replayed) == (1, 9)


def test_one_recording_serves_every_epoch_of_mini_batches(recorded: Tape) -> None:
    run([member_of(spec_of(epochs=80, batch_size=6))])
    assert (recorded.recorded, recorded.replayed) == (1, 79)


def test_what_cannot_be_recorded_goes_on_call_by_call() -> None:
    counts = []
    piece = Piece([lambda: counts.append(1)], OneByOne())
    for _ in range(3):
        piece()
    assert len(counts) == 3


class Captured(CudaGraphs):
    """Without a GPU: counts what would be recorded."""

    def _captured(self, calls: Sequence[Call]) -> Call:
        return lambda: None


@pytest.mark.parametrize(("pieces", "calls", "recorded"), [(70, 9000, 64), (400, 15, 400), (1000, 15, 546)])
def test_a_stack_records_its_first_graphs_whatever_their_length_and_more_of_short_ones(
    pieces: int, calls: int, recorded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    graphs = Captured(torch.device("cuda"))

    made = [graphs.record([lambda: None] * calls) for _ in range(pieces)]
    assert [graphs.recorded, sum(one is not None for one in made)] == [recorded, recorded]
    assert None not in made[:recorded]


def test_a_recording_that_breaks_off_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    class Breaking(Tape):
        def record(self, calls: Any) -> Any:
            with monkeypatch.context() as patched:
                patched.setattr(torch.autograd, "grad", refuse)
                try:
                    return super().record(calls)
                except RuntimeError:
                    self.failed = True
            return None

    members = members_of(CASES["batch normalization"], count=2)
    monkeypatch.setattr("worker.engine.replay.of", lambda members, device: OneByOne())
    one_by_one, _ = whole = run(members, torch.float32)
    monkeypatch.setattr("worker.engine.replay.of", lambda members, device: Breaking())
    broken, _ = broken_off = run(members, torch.float32)

    assert_identical(broken_off, whole)
    assert (one_by_one.spoiled, broken.spoiled) == (False, True)


def test_rows_that_are_gathered_at_once_are_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    members = members_of({"batch_size": 11, "rows": 23, "optimizer": {"name": "adam"}}, count=3)
    each = run(members, torch.float32)
    monkeypatch.setattr("worker.engine.sources._at_once", lambda order: True)

    assert_identical(run(members, torch.float32), each)
