from collections.abc import Mapping
from typing import Any

import pytest

from app.domain.admission import Need, Room, device_of, fault_of
from app.domain.admission import rooms_of as rooms_as_it_is
from app.domain.memory import estimate, host_estimate
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


BESIDE = host_estimate(SPEC).resident
LARGE = {"cpu": 1, "cuda": 2**40}


@pytest.mark.parametrize(
    ("device", "budgets", "refused"),
    [
        ("cuda", {"cuda": 2**40, "host": BESIDE}, False),
        ("cuda", {"cuda": 2**40, "host": BESIDE - 1}, True),
        ("cuda", {"cuda": 1, "host": 2**40}, True),
        ("cuda", {"host": BESIDE - 1}, True),
        ("auto", LARGE | {"host": BESIDE}, False),
        ("auto", LARGE | {"host": BESIDE - 1}, True),
        ("auto", {"cpu": NEEDED, "cuda": 2**40, "host": 1}, False),
        ("cpu", {"cpu": NEEDED, "host": 1}, False),
        ("cpu", {"cpu": 1, "host": NEEDED}, False),
    ],
)
def test_on_a_gpu_a_job_must_fit_into_the_host_s_memory_too(device: str, budgets: dict[str, int], refused: bool) -> None:
    assert (fault_of(rooms_of(on(device), budgets)) is not None) is refused


def test_a_job_for_any_device_that_is_too_large_for_a_gpu_s_host_stays_on_a_cpu() -> None:
    budgets = {"cpu": 2**40, "cuda": 2**40, "host": 1}

    assert device_of(on("auto"), rooms_of(on("auto"), budgets)) == "cpu"


def test_the_memory_beside_a_gpu_is_none_for_a_job_for_any_device_on_a_cpu() -> None:
    budgets = {"cpu": NEEDED - 1, "cuda": 2**40, "host": 2**41}

    assert device_of(on("auto"), rooms_of(on("auto"), budgets)) == "cuda"


@pytest.mark.parametrize(
    ("budgets", "detail"),
    [
        ({"cuda": 2**40, "host": 10**6}, f"about {host_estimate(SPEC)}, and the host of a GPU has 1 MB: use narrower"),
        ({"cuda": 10**6, "host": 2**40}, f"about {estimate(SPEC, gpu=True)}, and a GPU has 1 MB: use"),
        # Here the rows are all that is too much for the GPU, and fewer of them would not do.
        ({"cuda": estimate(SPEC, gpu=True).total - 1, "host": 10**6}, "and the host of a GPU has 1 MB: use narrower"),
    ],
    ids=["the host", "the GPU", "both"],
)
def test_a_refusal_tells_which_of_a_gpu_s_memories_is_too_small(budgets: dict[str, int], detail: str) -> None:
    fault = fault_of(rooms_of(on("cuda"), budgets))

    assert fault is not None
    assert fault.pointer == ("/batch_size" if "a GPU has" in detail and "host" not in detail else "/network/hidden_layers")
    assert detail in fault.detail


def test_rows_that_do_not_fit_beside_a_gpu_are_streamed_in_a_window_for_the_host() -> None:
    spec, large = many_rows(device="cuda"), {"cuda": 2**40}
    whole = host_estimate(spec).total

    chosen, tight = (settled(spec, large | {"host": host}) for host in (whole - 1, host_estimate(spec).resident))

    assert settled(spec, large | {"host": whole}) == settled(spec, large) == spec
    assert chosen == streamed(spec, whole - 1, gpu=True)
    assert chosen.window is not None
    assert tight.window is not None
    assert chosen.window.block_rows > tight.window.block_rows
    assert fault_of(rooms_as_it_is(chosen, large | {"host": whole - 1})) is None


def test_beside_a_gpu_a_window_has_half_of_what_the_host_has_left() -> None:
    smallest, spare = streamed(many_rows(), 0), 1 << 25
    on_cpu = streamed(many_rows(), estimate(smallest).total + spare)

    assert on_cpu.window != smallest.window
    assert streamed(many_rows(), host_estimate(smallest).total + spare, gpu=True) == on_cpu


def test_rows_of_an_ensemble_that_do_not_fit_beside_a_gpu_are_a_fault_of_the_ensemble() -> None:
    spec = many_rows(device="cuda", ensemble={"members": 4})
    fault = fault_of(rooms_of(spec, {"cuda": 2**40, "host": host_estimate(spec).total - 1}))

    assert fault is not None
    assert fault.pointer == "/ensemble"
    assert "and the host of a GPU has 1.7 GB: use fewer rows or columns." in fault.detail


def test_what_a_job_needs_is_met_where_nobody_has_said_what_there_is() -> None:
    found = estimate(many_rows())
    needs = [
        Need(where="", estimate=found, budget=budget) for budget in (None, found.total, found.resident, found.resident - 1)
    ]

    assert [(need.met(rows=True), need.met(rows=False)) for need in needs] == [
        (True, True),
        (True, True),
        (False, True),
        (False, False),
    ]
