"""Rows that are read from disk in windows teach what the same rows in the same order teach a plain torch loop."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch

from app.domain.bundles import TEST, TRAIN, VALIDATION
from app.domain.job import StopReason
from app.domain.spec import ResolvedSpec, Window
from app.tabular.streaming import Piece
from tests.engine.explicit import as_used, is_explicit
from tests.engine.plain import member_of, order_of, spec_of, train_plainly
from tests.engine.running import run
from tests.engine.test_resume import assert_identical, run_in_pieces
from worker.engine.data import Member, MemberArrays, StoredRows
from worker.engine.layout import Layout
from worker.engine.stack import Stack
from worker.engine.tape import ON_CPU
from worker.engine.training import plan
from worker.stored_rows import StoredSplit

# 23 rows are eight blocks, the last of them with two rows, in three windows.
WINDOW = {"block_rows": 3, "blocks": 3}
CASES: dict[str, dict[str, Any]] = {
    "classes": {"loss": {"name": "cross_entropy", "label_smoothing": 0.1}},
    "two classes": {"loss": {"name": "bce"}, "optimizer": {"name": "adam", "learning_rate": 0.01}},
    "regression": {"loss": {"name": "huber", "delta": 0.8}, "scale": 2.5},
    "several target columns": {"loss": {"name": "mse"}, "target": ["a", "b"], "scale": [2.5, 0.5]},
    "labels": {"loss": {"name": "bce"}, "target": ["a", "b"]},
    "embeddings": {"tables": [(5, 2), (3, 2)], "network": {"dropout": 0.2}},
    "numeric features": {
        "featured": 2,
        "network": {"numeric_features": {"kind": "piecewise_linear", "bins": 4}, "initialization": "data_driven"},
    },
    "batch normalization": {"network": {"normalization": "batch"}, "batch_size": 8},
    "plateau": {"lr_schedule": {"name": "plateau", "patience": 1, "factor": 0.5, "threshold": 0.1}},
}


def streamed(member: Member) -> Member:
    """The same member with its rows on disk, written in two pieces."""
    arrays, dtype = member.arrays, np.float64 if member.spec.precision == "fp64" else np.float32
    assert isinstance(arrays, MemberArrays)
    parts = {
        TRAIN: (arrays.x_train, arrays.y_train, arrays.w_train),
        VALIDATION: (arrays.x_val, arrays.y_val, arrays.w_val),
        TEST: (arrays.x_test, arrays.y_test, arrays.w_test),
    }
    stored = {}
    for part, (x, y, w) in parts.items():
        if x is not None and y is not None:
            pieces = [Piece(part, x[few], y[few], None if w is None else w[few]) for few in (slice(4), slice(4, None))]
            stored[part] = StoredSplit(pieces[0], dtype=dtype)
            for piece in pieces:
                stored[part].append(piece)
    center, scale = arrays.target_center, arrays.target_scale
    rows = StoredRows(
        train=stored[TRAIN],
        validation=stored.get(VALIDATION),
        test=stored.get(TEST),
        target_center=center,
        target_scale=scale,
    )
    return replace(member, arrays=rows)


def spec(**fields: Any) -> ResolvedSpec:
    usual: dict[str, Any] = {"window": WINDOW, "streaming": True, "precision": "fp64", "batch_size": 5, "epochs": 25}
    return spec_of(**(usual | fields))


def assert_follows(member: Member, tolerance: float = 1e-9) -> None:
    plain = train_plainly(member)
    stack, [history] = run([streamed(member)])
    np.testing.assert_allclose(history.columns.train_loss, plain.train, rtol=tolerance)
    np.testing.assert_allclose(np.array(history.columns.val_loss, dtype=float), plain.val, rtol=tolerance)
    named = {name: value.numpy() for name, value in plain.net.state_dict().items()}
    for name, value in (as_used(member.spec, plain.net) if is_explicit(member.spec) else named).items():
        np.testing.assert_allclose(stack.weights(0, "last")[name], value, rtol=1e-7)


@pytest.fixture(params=["tape of many epochs", "one epoch, gathered in pieces"])
def tape(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny rows are gathered an epoch at a time; large ones some batches at a time, across windows, and judged in slabs."""
    if request.param != "tape of many epochs":
        monkeypatch.setattr("worker.engine.stack.plan", lambda members, layout, **_: (1, 2))
        monkeypatch.setattr("worker.engine.logits._CELLS", 12)
        monkeypatch.setattr("worker.engine.dropout.MASKS_OF_ONE_DRAW", 2)


@pytest.mark.usefixtures("tape")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_streamed_rows_teach_what_a_plain_loop_learns_of_them(case: str, weighted: bool) -> None:
    fields = dict(CASES[case])
    scale = fields.pop("scale", 1.0)
    assert_follows(member_of(spec(**fields), weighted=weighted, scale=scale))


@pytest.mark.parametrize("weighted", [False, True])
def test_a_full_batch_is_all_rows_in_file_order(weighted: bool) -> None:
    assert_follows(member_of(spec(batch_size=23), weighted=weighted))


def test_the_order_of_an_epoch_is_each_row_once_and_blocks_stay_in_their_window() -> None:
    one, other = order_of(spec(), 1), order_of(spec(), 2)

    assert sorted(one.tolist()) == sorted(other.tolist()) == list(range(23))
    assert one.tolist() != other.tolist()
    # The short block has two rows, so a window has nine or eight.
    assert len({row // 3 for row in one[:8].tolist()}) == 3


def test_rows_in_file_order_would_be_noticed() -> None:
    member = member_of(spec())
    sorted_ = replace(member, spec=member.spec.model_copy(update={"window": Window(block_rows=23, blocks=1)}))
    assert train_plainly(member).train != pytest.approx(train_plainly(sorted_).train, rel=1e-9)


def test_streamed_rows_are_judged_as_those_in_memory() -> None:
    member = member_of(spec(batch_size=23, test_rows=6), weighted=True)
    ours, theirs = run([streamed(member)])[0], run([replace(member, spec=member.spec.model_copy(update={"window": None}))])[0]

    parts: tuple[Literal["validation", "test"], ...] = ("validation", "test")
    for part in parts:
        assert ours.evaluate(0, part, "best") == theirs.evaluate(0, part, "best")


def test_early_stopping_watches_streamed_rows() -> None:
    stopping = {"early_stopping": {"metric": "val_accuracy", "patience": 3}, "epochs": 200}
    member = member_of(spec(**stopping))
    _, [history] = run([streamed(member)])

    assert history.end.finished is StopReason.EARLY_STOPPING
    assert len(history.columns.epoch) < 200


@pytest.mark.usefixtures("tape")
@pytest.mark.parametrize("pieces", [[1, 10_000], [2, 3, 17, 10_000], [13, 1, 1, 40, 10_000]])
@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": {"name": "adam"}},
        {"network": {"dropout": 0.3}, "batch_size": 4},
        {"batch_size": 7, "lr_schedule": {"name": "plateau", "patience": 1}},
        {"batch_size": 23},
    ],
    ids=["adam", "dropout", "plateau", "full batch"],
)
def test_a_killed_run_of_streamed_rows_goes_on_to_the_same_bits(fields: dict[str, Any], pieces: list[int]) -> None:
    member = streamed(member_of(spec(precision="fp32", epochs=9, **fields), weighted=True))
    assert_identical(run([member], torch.float32), run_in_pieces([member], pieces))


def test_rows_on_disk_without_a_window_are_refused() -> None:
    with pytest.raises(ValueError, match="need a window"):
        Stack([streamed(member_of(spec(window=None)))])


def test_an_epoch_is_gathered_in_pieces_where_its_rows_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.tape._WINDOW", 60)
    limits = replace(ON_CPU, cells=60)
    monkeypatch.setattr("worker.engine.tape.ON_CPU", limits)
    member = streamed(member_of(spec(batch_size=3)))
    assert plan([member], Layout(member.spec), limits=limits) == (1, 2)
    assert plan([member], Layout(member.spec), limits=replace(limits, windows=2)) == (1, 4)
