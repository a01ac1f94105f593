import pytest

from app.domain.admission import device_of, fault_of, rooms_of
from app.domain.memory import estimate
from app.domain.spec import ResolvedSpec
from tests.domain.test_memory import shape

SPEC = shape(50, 512)
NEEDED = estimate(SPEC).resident


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
        ("auto", {"cpu": 2**40, "cuda": 1}, "auto"),
        ("cpu", {"cpu": 2**40, "cuda": 2**40}, "cpu"),
        ("cuda", {"cpu": 2**40}, "cuda"),
    ],
)
def test_a_job_for_any_device_that_only_fits_on_a_gpu_waits_for_one(device: str, budgets: dict[str, int], chosen: str) -> None:
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
