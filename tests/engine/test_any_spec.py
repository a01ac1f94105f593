"""Whatever a spec says, the engine learns what the textbook loop learns, and a packed member what it learns alone."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.job import StopReason
from app.domain.spec import ResolvedSpec
from tests.engine.drawn import members, packs, shapes
from tests.engine.plain import train_plainly
from tests.engine.running import History, run, run_and_stop
from worker.engine.data import Member

TOLERANCE = 1e-9
# Of losses that pass through 0 on their way (poisson, or an overfitted focal loss).
NEAR_ZERO = 1e-11


def bounded(examples: int) -> settings:
    """The same examples each time."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=slow)


def assert_close(found: History, train: list[float], val: list[float]) -> None:
    """The epochs that were found are the first of those expected."""
    epochs = len(found.columns.epoch)
    np.testing.assert_allclose(found.columns.train_loss, train[:epochs], rtol=TOLERANCE, atol=NEAR_ZERO)
    if val:
        np.testing.assert_allclose(np.array(found.columns.val_loss, dtype=float), val[:epochs], rtol=TOLERANCE, atol=NEAR_ZERO)


def last_epoch(member: Member, val: list[float]) -> int:
    """Where early stopping ends the textbook's curve."""
    rule, best, waited = member.spec.early_stopping, np.inf, 0
    if rule and rule.patience == "cycle":
        return end_of_a_cycle_for_nothing(member.spec, rule.min_delta, val)
    for epoch, loss in enumerate(val, start=1):
        best, waited = (loss, 0) if rule and loss < best - rule.min_delta else (best, waited + 1)
        if rule and rule.patience != "cycle" and waited >= rule.patience:
            return epoch
    return member.spec.epochs


def end_of_a_cycle_for_nothing(spec: ResolvedSpec, min_delta: float, val: list[float]) -> int:
    """The zeros of the schedule are at (2^i - 1) / (2^cycles - 1) of the epochs behind the warm-up."""
    warmup, cycles = spec.lr_schedule.warmup_epochs, getattr(spec.lr_schedule, "cycles", 0)
    zeros = [Fraction(2**i - 1, 2**cycles - 1) for i in range(cycles)]
    done = [Fraction(epoch - warmup, spec.epochs - warmup) for epoch in range(1, spec.epochs + 1)]
    for start, end in pairwise(zeros[1:]):
        first, last = first_beyond(done, start), first_beyond(done, end)
        if first < last and min(val[first:last]) >= min(val[:first]) - min_delta:
            return last
    return spec.epochs


def first_beyond(done: list[Fraction], zero: Fraction) -> int:
    """The first epoch at whose end the schedule has passed a zero."""
    return next(epoch for epoch, t in enumerate(done, start=1) if t >= zero)


@bounded(60)
@given(shapes().flatmap(members))
def test_any_spec_follows_torch(member: Member) -> None:
    plain = train_plainly(member)

    _, [history] = run([member])

    assert history.columns.epoch == list(range(1, last_epoch(member, plain.val) + 1))
    assert_close(history, plain.train, plain.val)


@bounded(30)
@given(packs(fewest=2, most=7), st.data())
def test_any_members_learn_together_what_they_learn_alone(pack: list[Member], data: st.DataObject) -> None:
    stopped = data.draw(st.integers(0, len(pack) - 1), label="stopped")

    histories = run_and_stop(pack, stopped, after=data.draw(st.integers(1, 40), label="reports"))

    for position, (member, history) in enumerate(zip(pack, histories, strict=True)):
        _, [alone] = run([member])
        if position != stopped or history.end.finished is not StopReason.CANCELLED:
            assert (history.end.finished, history.end.epoch) == (alone.end.finished, alone.end.epoch)
        assert_close(history, alone.columns.train_loss, [loss for loss in alone.columns.val_loss if loss is not None])
