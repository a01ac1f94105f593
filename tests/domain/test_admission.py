from collections.abc import Mapping
from typing import Any

import pytest

from app.domain.admission import Room, device_of, fault_of
from app.domain.admission import rooms_of as rooms_as_it_is
from app.domain.memory import estimate
from app.domain.spec import ResolvedSpec
from app.domain.streaming import settled, streamed
from tests.domain.test_memory import shape

SPEC = shape(50, 512)
NEEDED = estimate(streamed(SPEC, 0)).resident


def rooms_of(spec: ResolvedSpec, budgets: Mapping[str, int]) -> list[Room]:
    return rooms_as_it_is(settled(spec, budgets), budgets)


def on(device: str) -> ResolvedSpec:
    return SPEC.model_copy(update={"device": device})


@pytest.mark.parametrize(
    ("device", "budgets", "refused"),
    [
        ("cpu", {"cpu": NEEDED}, False),
        ("cpu", {"cpu": NEEDED - 1}, True),
        ("cpu", {"cpu": NEEDED - 1, "cuda": 2**40}, True),
        ("cuda", {"cpu": 2**40, "cuda": 1}, True),
        ("cuda", {"cpu": 1}, False),
        ("auto", {"cpu": 1, "cuda": 2**40}, False),
        ("auto", {"cpu": NEEDED, "cuda": 1}, False),
        ("auto", {"cpu": 1, "cuda": 1}, True),
        ("auto", {"cpu": 1}, True),
    ],
)
def test_a_job_is_refused_where_it_fits_on_no_device_that_it_may_train_on(
    device: str, budgets: dict[str, int], refused: bool
) -> None:
    assert (fault_of(rooms_of(on(device), budgets)) is not None) is refused


@pytest.mark.parametrize(
    ("device", "budgets", "chosen"),
    [
        ("auto", {"cpu": 1, "cuda": 2**40}, "cuda"),
        ("auto", {"cpu": 2**40, "cuda": 2**40}, "auto"),
        ("auto", {"cpu": 2**40, "cuda": 1}, "cpu"),
        ("auto", {"cpu": 2**40}, "auto"),
        ("cpu", {"cpu": 2**40, "cuda": 2**40}, "cpu"),
        ("cuda", {"cpu": 2**40}, "cuda"),
    ],
)
def test_a_job_for_any_device_goes_where_it_fits_if_there_is_one_where_it_does_not(
    device: str, budgets: dict[str, int], chosen: str
) -> None:
    assert device_of(on(device), rooms_of(on(device), budgets)) == chosen


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [(shape(50, 512, batch_size=10_000), "/batch_size"), (shape(50, 2048, 2048), "/network/hidden_layers")],
    ids=["batch", "network"],
)
def test_a_refusal_stands_at_the_block_to_change_and_tells_estimate_and_budget(spec: ResolvedSpec, pointer: str) -> None:
    fault = fault_of(rooms_of(spec, {"cpu": 1_000_000}))

    assert fault is not None
    assert (fault.pointer, fault.code) == (pointer, "too_large")
    assert str(estimate(spec)) in fault.detail
    assert "a training process has 1 MB: use" in fault.detail


def test_rows_alone_refuse_no_job() -> None:
    spec = shape(50, 8, train_rows=10_000_000)

    assert estimate(spec).data > 10**9
    assert fault_of(rooms_of(spec, {"cpu": 10**9})) is None


def many_rows(**changes: Any) -> ResolvedSpec:
    return shape(50, 8, train_rows=1_000_000, **changes)


def test_rows_that_do_not_fit_are_streamed_for_good() -> None:
    whole = estimate(many_rows()).total

    chosen = settled(many_rows(), {"cpu": whole - 1})

    assert settled(many_rows(), {"cpu": whole}) == many_rows()
    assert chosen.streaming
    assert chosen.window is not None
    assert settled(chosen, {"cpu": 10 * whole}) == chosen
    assert estimate(chosen).data < estimate(many_rows()).data / 5
    assert chosen == many_rows(streaming=True, window=chosen.window)


def test_a_job_that_fits_nowhere_even_without_its_rows_is_not_streamed() -> None:
    spec = shape(50, 2048, 2048, train_rows=1_000_000)

    assert settled(spec, {"cpu": estimate(spec).resident - 1}) == spec


def test_a_job_whose_rows_fit_on_a_gpu_alone_waits_for_one_and_is_not_streamed() -> None:
    budgets = {"cpu": estimate(many_rows()).total - 1, "cuda": 2**40}
    spec = settled(many_rows(), budgets)

    assert not spec.streaming
    assert device_of(spec, rooms_as_it_is(spec, budgets)) == "cuda"


def test_a_job_for_any_device_whose_rows_fit_into_the_host_s_memory_alone_stays_away_from_the_gpu() -> None:
    spec = many_rows()
    budgets = {"cpu": 10**12, "cuda": estimate(spec, gpu=True).resident}

    assert settled(spec, budgets) == spec
    assert device_of(spec, rooms_as_it_is(spec, budgets)) == "cpu"


def test_more_memory_is_a_larger_window_within_bounds() -> None:
    windows = [streamed(many_rows(), budget).window for budget in (0, 200_000_000, 10**10)]
    rows = [window.block_rows * window.blocks for window in windows if window]

    assert 10_000 < rows[0] < rows[1] < rows[2] < 1_000_000


def test_a_full_batch_that_does_not_fit_is_refused_at_the_batch_size() -> None:
    spec = many_rows(batch_size=1_000_000)
    budgets = {"cpu": estimate(spec).resident}

    fault = fault_of(rooms_of(spec, budgets))

    assert fault is not None
    assert (fault.pointer, fault.code) == ("/batch_size", "too_large")
