"""A kill between any two lines from a claim to its end, for a job alone and for a pack: whoever comes next ends it alike."""

from collections.abc import Sequence

import pytest

from tests.faults.deaths import Deaths, Point
from tests.faults.invariants import check
from tests.faults.points import Outcome

ALONE: dict[str, object] = {
    "epochs": 4,
    "checkpoints": {"every": 2, "keep": 1},
    "split": {"validation": 0.2, "test": 0.2},
}
PACK: dict[str, object] = {**ALONE, "pack": True}


def points_of(outcome: Outcome) -> list[Point]:
    """Every line at its first time, and those that come again at their last."""
    first = [(line, 1) for line in outcome.lines]
    return first + [(line, count) for line, count in outcome.lines.items() if count > 1]


def kill_at(deaths: Deaths, spec: dict[str, object], *, members: int, every: int) -> None:
    deaths.undisturbed(spec, members=members)  # makes the folders, which later ones find
    outcome = deaths.undisturbed(spec, members=members)
    assert outcome.status == 0
    points: Sequence[Point] = points_of(outcome)[::every]
    for point in points:
        deaths.die_at(point, spec, members=members)
    deaths.bury_all()
    assert deaths.run(None).status == 0
    check(deaths.record())


def test_a_kill_at_some_lines_changes_nothing(deaths: Deaths) -> None:
    kill_at(deaths, ALONE, members=1, every=80)


def test_a_kill_of_a_pack_at_some_lines_changes_nothing(deaths: Deaths) -> None:
    kill_at(deaths, PACK, members=2, every=160)


@pytest.mark.faults
def test_a_kill_at_every_third_line_changes_nothing(deaths: Deaths) -> None:
    kill_at(deaths, ALONE, members=1, every=3)


@pytest.mark.faults
def test_a_kill_of_a_pack_at_every_third_line_changes_nothing(deaths: Deaths) -> None:
    kill_at(deaths, PACK, members=2, every=3)
