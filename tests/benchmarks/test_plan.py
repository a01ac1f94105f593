"""The benchmark of plans: rows as they are named, and ratios of what was measured to what was planned."""

import numpy as np
import pytest

from benchmarks.plan import MB, UNSEEN, Taken, Work, area, compared, drawn

WORK = Work(name="few", rows=500, columns=6, categories=2)


def test_rows_are_drawn_with_categories_missing_numbers_and_two_labels() -> None:
    found = drawn(WORK)

    assert (found.rows.height, found.unseen.height) == (500, UNSEEN)
    assert found.rows.columns == ["x0", "x1", "x2", "x3", "c0", "c1", "y"]
    assert 0 < found.rows["x0"].null_count() < 50
    assert found.unseen["y"].unique().sort().to_list() == ["no", "yes"]
    assert 0.7 < found.accuracy < found.area < 1


def test_the_same_seed_draws_the_same_rows() -> None:
    assert drawn(WORK).rows.equals(drawn(WORK).rows)
    assert not drawn(WORK).rows.equals(drawn(WORK, seed=1).rows)


@pytest.mark.parametrize(("scores", "expected"), [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], 0.0), ([1, 3, 2, 4], 0.75)])
def test_the_area_is_how_often_the_right_one_has_the_higher_score(scores: list[int], expected: float) -> None:
    assert area(np.array(scores), np.array([False, False, True, True])) == expected


@pytest.mark.parametrize(
    ("reason", "time"), [("early_stopping", "2.00 (10.0 / 5.0 s)"), ("time_limit", "0.50 (10.0 / 20.0 s)")]
)
def test_ratios_are_of_the_epochs_that_were_trained_and_of_a_warm_process(reason: str, time: str) -> None:
    duration = {"overhead_seconds": 1.0, "epoch_seconds": 0.5, "total_seconds": 20.0}
    job = {"progress": {"epoch": 8, "epochs": 48}, "stop_reason": reason}

    taken = Taken(job=job, seconds=10.0, cpu=5.0, before=200 * MB, peak=350 * MB)
    line = compared({"duration": duration, "memory": {"total": 100 * MB}}, taken)

    assert line.startswith(f"8 of 48 epochs ({reason}); time {time}, processor ")
    assert line.endswith("memory 1.17 (350 / 300 MB; growth 150 / 100 MB, 1.50)")
