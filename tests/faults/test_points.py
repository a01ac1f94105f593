"""A kill between any two lines from a claim to its end, for a job alone and for a pack: whoever comes next ends it alike."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.persistence import leases
from app.persistence.database import Database
from tests.faults import recording
from tests.faults.invariants import check
from tests.faults.points import Nursery, Outcome, Trial, nursery
from tests.faults.recording import Record
from tests.worker.yard import Yard

ALONE: dict[str, object] = {
    "epochs": 4,
    "checkpoints": {"every": 2, "keep": 1},
    "split": {"validation": 0.2, "test": 0.2},
}
PACK: dict[str, object] = {**ALONE, "pack": True}
Point = tuple[tuple[str, int], int]


class Deaths:
    """Jobs on a database, each with a process of its own that dies at a point of its own."""

    def __init__(self, yard: Yard, born: Nursery, folder: Path) -> None:
        self.yard, self._born, self._files = yard, born, str(folder / "files")
        self._owners: list[str] = []
        self._twins: dict[str, str] = {}
        self._undisturbed: list[str] = []
        self._url = yard.database.engine.url.render_as_string(hide_password=False)
        recording.install(yard.database)

    def undisturbed(self, spec: dict[str, object], *, members: int) -> Outcome:
        """Train as nothing disturbs it; the lines that it takes."""
        self._undisturbed = self._submit(spec, members)
        return self.run(None)

    def die_at(self, point: Point, spec: dict[str, object], *, members: int) -> None:
        """The same, with a process that is killed at a point."""
        ids = self._submit(spec, members)
        self._twins |= dict(zip(ids, self._undisturbed, strict=True))
        outcome = self.run(point)
        assert outcome.status == -9, f"the process came to its end before {point}"
        if any(
            self.yard.job(id).status == "queued" for id in ids
        ):  # it died before the claim: the next takes these by themselves
            self.run(None)

    def run(self, point: Point | None) -> Outcome:
        """A process that works off what is due."""
        self._owners.append(f"test:{len(self._owners)}")
        at, occurrence = point or (None, 1)
        trial = Trial(database_url=self._url, files=self._files, owner=self._owners[-1], at=at, occurrence=occurrence)
        return self._born.run(trial)

    def bury_all(self) -> None:
        """What the parents of the dead do."""
        with self.yard.database.write() as connection:
            for owner in self._owners:
                leases.crashed(connection, owner=owner, max_crashes=3, back_off_seconds=0)

    def record(self) -> Record:
        """What happened."""
        accepted = [*self._undisturbed, *self._twins]
        return recording.read(self.yard.database, Path(self._files), accepted=accepted, twins=self._twins)

    def _submit(self, spec: dict[str, object], members: int) -> list[str]:
        number = len(self._owners)
        rates = [{"name": "adam", "learning_rate": 0.01 * (place + 1)} for place in range(members)]
        return [self.yard.submit(**spec, name=f"{number}.{place}", optimizer=rate).id for place, rate in enumerate(rates)]


def points_of(outcome: Outcome) -> list[Point]:
    """Every line at its first time, and those that come again at their last."""
    first = [(line, 1) for line in outcome.lines]
    return first + [(line, count) for line, count in outcome.lines.items() if count > 1]


@pytest.fixture(scope="module")
def born() -> Iterator[Nursery]:
    with nursery() as made:
        yield made


@pytest.fixture
def deaths(database: Database, born: Nursery, tmp_path: Path) -> Deaths:
    return Deaths(Yard(database, tmp_path), born, tmp_path)


def kill_at(deaths: Deaths, spec: dict[str, object], *, members: int, every: int) -> None:
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
