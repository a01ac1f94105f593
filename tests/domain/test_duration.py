"""The time of a plan: near what was measured, and growing with what takes time."""

import pytest

from app.domain.duration import duration, slowness_of
from app.domain.resolve import resolve
from app.domain.spec import JobSpec, ResolvedSpec
from benchmarks.memory import Shape, columns_of

FAST: dict[str, object] = {"recipe": "fast"}
STRONG: dict[str, object] = {"recipe": "strong"}


def plain(*hidden: int, **other: object) -> dict[str, object]:
    return {"network": {"hidden_layers": list(hidden)}, **other}


def spec_of(rows: int, numbers: int, spec: dict[str, object], *, classes: int = 2, **asked: object) -> ResolvedSpec:
    shape = Shape(rows=rows, numbers=numbers, classes=classes, spec=spec)
    named = JobSpec.model_validate({"dataset": "ds", "target": "y", **spec, **asked})
    return resolve(named, columns=columns_of(shape), rows=rows).spec


@pytest.mark.parametrize(
    ("spec", "milliseconds"),
    [
        (spec_of(150, 4, plain(10, batch_size="full"), classes=3), 0.027),
        (spec_of(150, 4, plain(10, batch_size=16), classes=3), 0.47),
        (spec_of(1_796, 64, plain(64, 64), classes=10), 2.3),
        (spec_of(125_000, 50, plain(128, 64, batch_size=1024)), 121),
        (spec_of(125_000, 50, {"network": {"hidden_layers": [128, 64], "normalization": "batch"}, "batch_size": 1024}), 355),
        (spec_of(500, 100, plain(2048, 2048)), 174),
        (spec_of(150, 4, plain(10, batch_size="full", lr_schedule={"name": "plateau"}), classes=3), 1.33),
        (spec_of(1_000, 10, plain(64, 32, batch_size=32, loss={"name": "focal"})), 6.5),
        (spec_of(20_000, 50, {"network": {"hidden_layers": [128, 64], "activation": "mish"}, "batch_size": 512}), 52),
        (spec_of(40_000, 20, plain(512, 512, batch_size="full")), 628),
        (spec_of(1_000_000, 10, plain(32, batch_size=1024)), 132),
        (spec_of(100_000, 50, plain(128, batch_size=1024, precision="fp64"), classes=0), 80),
        (spec_of(1_000, 20, FAST), 15),
        (spec_of(1_000, 20, STRONG), 38),
        (spec_of(50_000, 8, STRONG, classes=0), 595),
        (spec_of(5_000, 300, FAST), 437),
    ],
    ids=lambda value: None if isinstance(value, ResolvedSpec) else f"{value} ms",
)
def test_an_epoch_is_estimated_near_what_it_took(spec: ResolvedSpec, milliseconds: float) -> None:
    assert 0.6 < milliseconds / 1000 / duration(spec).epoch < 1.6


def test_a_job_takes_its_epochs_and_what_is_around_them() -> None:
    found = duration(spec_of(1_000, 20, FAST))

    assert found.total == pytest.approx(found.overhead + 60 * found.epoch)
    assert duration(spec_of(500_000, 20, FAST)).overhead > 10 * found.overhead


def test_a_limit_of_seconds_is_an_end_but_never_before_the_first_epoch() -> None:
    limits = (0.001, 100.0, 200.0, 10_000_000.0)
    found = [duration(spec_of(500_000, 20, STRONG, max_seconds=limit)) for limit in limits]

    least, one, other, all_of_it = (one.total - one.overhead for one in found)
    assert (least, all_of_it) == pytest.approx((found[0].epoch, 76 * found[0].epoch))
    assert 100 < one < 200
    assert other == pytest.approx(2 * one)


def test_checkpoints_that_are_measured_on_many_rows_are_part_of_an_epoch_and_of_the_end() -> None:
    hot, calibrated = (spec_of(500_000, 20, FAST).model_copy(update={"calibration": how}) for how in ("none", "temperature"))

    assert duration(calibrated).epoch > 1.05 * duration(hot).epoch
    assert duration(calibrated).overhead > duration(hot).overhead + 2


def test_a_slower_machine_takes_longer_for_all_of_it() -> None:
    spec = spec_of(1_000, 20, FAST)
    one, other = duration(spec), duration(spec, slowness=3.0)

    assert (other.overhead, other.epoch, other.total) == pytest.approx(
        (3 * one.overhead, 3 * one.epoch, 3 * one.total), rel=0.05
    )


def test_how_slow_a_machine_is_is_the_median_of_its_jobs() -> None:
    spec = spec_of(1_000, 20, FAST)

    assert slowness_of([]) == 1.2
    assert slowness_of([(spec, 0.2), (spec, 5.0), (spec, 0.3)]) == slowness_of([(spec, 0.3)])
    assert slowness_of([(spec, 0.3)]) == pytest.approx(3 * slowness_of([(spec, 0.1)]))
