"""What the learning rates are where torch's schedulers cannot be asked."""

import numpy as np
import pytest
import torch

from tests.engine.plain import spec_of
from worker.engine.schedules import Rates


def test_one_cycle_follows_its_warm_up_as_if_it_began_there() -> None:
    one_cycle = {"name": "one_cycle"}
    warm = Rates(spec_of(epochs=12, lr_schedule=one_cycle | {"warmup_epochs": 4}), steps=3)
    plain = Rates(spec_of(epochs=8, lr_schedule=one_cycle), steps=3)
    np.testing.assert_allclose(warm.at(np.arange(12, 36)), plain.at(np.arange(24)))
    np.testing.assert_allclose(warm.of_epochs(1, 4), 0.05 * np.array([1, 2, 3, 4]) / 5)


def test_a_plateau_counts_no_epoch_of_its_warm_up() -> None:
    schedule = {"name": "plateau", "warmup_epochs": 3, "patience": 1, "factor": 0.1}
    rates = Rates(spec_of(lr_schedule=schedule), steps=1)
    for epoch in range(1, 4):
        rates.after_epoch(epoch, 1.0)
    np.testing.assert_allclose(rates.of_epochs(4, 2), [0.05, 0.05])
    for epoch in range(4, 7):
        rates.after_epoch(epoch, 1.0)
    np.testing.assert_allclose(rates.of_epochs(7, 1), [0.005])


@pytest.mark.parametrize("total", [1, 2, 3, 7])
@pytest.mark.parametrize("pct_start", [0.01, 0.3, 0.7, 0.99])
def test_a_one_cycle_of_a_few_steps_is_that_of_torch(total: int, pct_start: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=total, pct_start=pct_start)
    expected = list[float]()
    for step in range(total):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < total - 1:
            cycle.step()

    schedule = {"name": "one_cycle", "pct_start": pct_start}
    rates = Rates(spec_of(epochs=total, lr_schedule=schedule, optimizer={"name": "sgd", "learning_rate": 0.01}), steps=1)

    np.testing.assert_allclose(rates.at(np.arange(total)), expected, rtol=1e-12)
    assert np.isfinite(rates.at(np.arange(256))).all()
