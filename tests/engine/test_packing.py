"""Sixteen members of all sorts in one stack: each learns what it learns alone, for every optimizer and every loss."""

from typing import Any

import numpy as np
import pytest

from app.domain.job import StopReason
from tests.engine.drawn import IN_UNITS
from tests.engine.plain import member_of, spec_of
from tests.engine.running import run, run_and_stop
from tests.engine.test_parity import LOSSES, OPTIMIZERS
from worker.engine.data import Member

MEMBERS, CANCELLED, DIVERGING = 16, 5, 9


def sixteen(**fields: Any) -> list[Member]:
    """Members that differ in rows, weights, learning rate, decay, seed, epochs, dropout and stopping; one will diverge."""
    optimizer = fields.pop("optimizer", {"name": "adam", "learning_rate": 0.003})
    members = []
    for i in range(MEMBERS):
        rate = 1e300 if i == DIVERGING else optimizer["learning_rate"] * (0.3 + 0.1 * i)
        own: dict[str, Any] = {
            "optimizer": optimizer | {"learning_rate": rate, "weight_decay": 0.01 * (i % 3)},
            "network": {"activation": "elu", "dropout": [0.0, 0.2 * (i % 2)]},
            "early_stopping": {"patience": 1 + i % 4, "min_delta": 0.002} if i % 3 == 0 else None,
            "regularization_schedule": "flat_cosine" if i % 4 == 2 else "constant",
            "gradient_clip_norm": 0.3 if i % 5 == 1 else None,
        }
        spec = spec_of(**own, epochs=20 + i, seed=i, val=[7, 0, 9][i % 3], **fields)
        members.append(member_of(spec, seed=i, weighted=i % 4 == 1, scale=2.5 if spec.loss.name in IN_UNITS else 1.0))
    return members


def assert_each_as_alone(members: list[Member], *, after: int) -> None:
    histories = run_and_stop(members, CANCELLED, after=after)
    ends = [history.end.finished for history in histories]
    assert (ends[CANCELLED], ends[DIVERGING]) == (StopReason.CANCELLED, StopReason.NON_FINITE_LOSS)
    assert ends.count(StopReason.MAX_EPOCHS) > 8
    for position, (member, together) in enumerate(zip(members, histories, strict=True)):
        _, [alone] = run([member])
        epochs = len(together.columns.epoch)
        assert epochs > 0
        if position != CANCELLED:
            assert (together.columns.epoch, together.end.finished) == (alone.columns.epoch, alone.end.finished)
        for name in ("train_loss", "val_loss", "learning_rate"):
            found, expected = (np.array(getattr(one.columns, name)[:epochs], dtype=float) for one in (together, alone))
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: "-".join(map(str, o.values())))
def test_with_every_optimizer_a_member_learns_among_fifteen_what_it_learns_alone(optimizer: dict[str, Any]) -> None:
    assert_each_as_alone(sixteen(optimizer=optimizer, batch_size=8), after=20)


@pytest.mark.parametrize("batch_size", [23, 9])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda o: "-".join(map(str, o.values())))
def test_with_every_loss_a_member_learns_among_fifteen_what_it_learns_alone(loss: dict[str, Any], batch_size: int) -> None:
    assert_each_as_alone(sixteen(loss=loss, batch_size=batch_size), after=12)
