"""Samples of a history: few epochs that look like all, the same whoever answers, and never one that is not there."""

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.caller import Caller
from app.domain.history import EpochColumns
from app.persistence import epochs
from app.persistence.database import Database
from app.persistence.epochs import Values
from app.services.history import Bodies, Histories
from app.services.pages import HistoryPage, Window
from app.services.samples import Samples, Stretch
from app.services.sampling import choose, epoch_leaves
from app.services.sketches import Curves, Sketches
from app.services.watcher import Watcher
from tests.api.service import Service, Trained, pointers, running, settings_for
from tests.persistence.jobs import queued

Curve = Sequence[float | None]
NAMES = ("train_loss", "val_loss")
CODES = {"nan": 1, "inf": 2, "-inf": 3}

cells = st.one_of(st.none(), st.floats(width=16), st.sampled_from([0.5, 1.0, math.nan, math.inf, -math.inf]))
pairs = st.lists(st.tuples(cells, cells), min_size=3, max_size=200)


def first_places(curve: Curve) -> set[int]:
    """What no sample may miss: the first least and greatest number unless all are equal, and the first of what is no number."""
    numbers = {cell for cell in curve if cell is not None and math.isfinite(cell)}
    kept = {curve.index(end(numbers)) for end in (min, max)} if len(numbers) > 1 else set()
    texts = [str(cell) for cell in curve]
    return kept | {texts.index(text) for text in CODES if text in texts}


def stored(curves: Sequence[Curve]) -> Values:
    codes = [[CODES.get(str(cell), 0) for cell in curve] for curve in curves]
    numbers = [[None if code else cell for cell, code in zip(*both, strict=True)] for both in zip(curves, codes, strict=True)]
    nonfinite = [sum(code << 2 * place for place, code in enumerate(row)) for row in zip(*codes, strict=True)]
    return Values(range(1, len(nonfinite) + 1), nonfinite, numbers)


@given(pairs, st.integers(12, 60))
def test_a_sample_keeps_both_ends_and_the_extremes_of_every_curve(cells: list[tuple[float | None, ...]], most: int) -> None:
    curves = list(zip(*cells, strict=True))

    chosen = choose(epoch_leaves(stored(curves), NAMES, step=1), (1, len(cells)), most=most)

    assert chosen == sorted(set(chosen))
    assert len(chosen) <= most
    assert {1, len(cells)} <= set(chosen) <= set(range(1, len(cells) + 1))
    assert {place + 1 for curve in curves for place in first_places(curve)} <= set(chosen)


@given(pairs, st.integers(2, 11))
def test_where_there_is_no_room_for_all_extremes_the_ends_come_first(cells: list[tuple[float | None, ...]], most: int) -> None:
    chosen = choose(epoch_leaves(stored(list(zip(*cells, strict=True))), NAMES, step=1), (1, len(cells)), most=most)

    assert len(chosen) <= most
    assert {1, len(cells)} <= set(chosen)


def test_a_smooth_curve_fills_most_of_the_room_and_every_spike_stands_out() -> None:
    spikes = range(37, 5000, 500)
    curve = [100.0 if epoch in spikes else 1 / epoch for epoch in range(1, 5001)]

    chosen = choose(epoch_leaves(stored([curve, curve]), NAMES, step=1), (1, 5000), most=1000)

    assert set(spikes) <= set(chosen)
    assert 500 < len(chosen) <= 1000


def wavy(count: int) -> EpochColumns:
    """Curves whose extremes lie all over the place, some no numbers, others missing."""
    numbers = list(range(1, count + 1))
    train: list[float | None] = [math.sin(number * number) for number in numbers]
    accuracy: list[float | None] = [None if number % 7 == 0 else math.cos(number**1.7) for number in numbers]
    for place, odd in ((70, math.nan), (301, math.inf), (302, math.nan), (520, -math.inf)):
        train[place] = odd
    return EpochColumns(
        epoch=numbers,
        train_loss=train,
        val_loss=[math.sin(number**1.3) / number for number in numbers],
        learning_rate=[0.1] * count,
        seconds=[number / 1000 for number in numbers],
        metrics={"val_accuracy": accuracy},
    )


def rows(columns: EpochColumns, start: int, stop: int, *, step: int = 1) -> EpochColumns:
    kept = [place for place in range(start, stop) if place == 0 or (place + 1) % step == 0]
    return EpochColumns(
        **{
            name: [getattr(columns, name)[place] for place in kept]
            for name in ("epoch", "train_loss", "val_loss", "learning_rate", "seconds")
        },
        metrics={name: [values[place] for place in kept] for name, values in columns.metrics.items()},
    )


class Sampled:
    """A job whose history grows, and samples of it."""

    def __init__(self, database: Database, *, step: int = 1) -> None:
        self.database = database
        self.number = queued(database).number
        self.step = step
        self.columns = EpochColumns()

    def grow(self, whole: EpochColumns, until: int) -> None:
        with self.database.write() as connection:
            epochs.add(
                connection,
                {self.number: rows(whole, self.columns.epoch[-1] if len(self.columns) else 0, until, step=self.step)},
            )
        self.columns = rows(whole, 0, until, step=self.step)

    def choose(self, samples: Samples, *, most: int, after: int = 0) -> list[int]:
        curves = Curves(number=self.number, attempt=1, names=(*epochs.LOSSES, "val_accuracy"), step=self.step, every=1)
        there = [epoch for epoch in self.columns.epoch if epoch > after]
        stretch = Stretch(curves=curves, after=after, first=there[0], last=there[-1], count=len(there))
        return samples.choose(stretch, most=most)


def samples_of(database: Database) -> Samples:
    return Samples(database, Sketches(database, limit_bytes=1))


@pytest.mark.parametrize("after", [0, 1, 63, 64, 100])
def test_extremes_found_by_the_database_are_kept_to_the_epoch(database: Database, after: int) -> None:
    job = Sampled(database)
    job.grow(wavy(1500), 1500)

    chosen = job.choose(samples_of(database), most=40, after=after)

    curves = [curve[after:] for curve in (job.columns.train_loss, job.columns.val_loss, job.columns.metrics["val_accuracy"])]
    assert {place + after + 1 for curve in curves for place in first_places(curve)} <= set(chosen)
    assert {after + 1, 1500} <= set(chosen)
    assert len(chosen) <= 40


@pytest.mark.parametrize("step", [1, 3])
def test_who_watched_a_history_grow_answers_as_one_who_sees_it_for_the_first_time(database: Database, step: int) -> None:
    job, whole, watching = Sampled(database, step=step), wavy(5000), samples_of(database)

    for until in (700, 1300, 1301, 3000, 5000):
        job.grow(whole, until)
        if len(job.columns) > 10:
            assert job.choose(watching, most=10) == job.choose(samples_of(database), most=10)


@pytest.fixture
def trained(service: Service) -> Trained:
    service.submit(epochs=3000)
    worker = Trained(service)
    worker.train(1, 3000, loss={77: 50.0, 1234: -3.0, 1800: math.nan, 2100: math.inf})
    return worker


def test_a_sample_says_that_it_is_one_and_from_how_many(service: Service, trained: Trained) -> None:
    page = service.get(f"/v1/jobs/{trained.job.id}/history", max_points=60)

    assert (page["sampled"], page["total"], page["has_more"], page["next"]) == (True, 3000, False, 3000)
    assert len(page["epoch"]) == len(page["train_loss"]) == len(page["metrics"]["val_accuracy"]) <= 60
    assert {1, 77, 1234, 1800, 2100, 3000} <= set(page["epoch"])
    values = dict(zip(page["epoch"], page["val_loss"], strict=True))
    assert [values[epoch] for epoch in (1, 77, 1234, 1800, 2100)] == [1.0, 50.0, -3.0, "NaN", "Infinity"]
    assert page == service.get(f"/v1/jobs/{trained.job.id}/history", max_points=60)


def test_a_sample_of_a_range_is_drawn_from_that_range(service: Service, trained: Trained) -> None:
    page = service.get(f"/v1/jobs/{trained.job.id}/history", max_points=20, after=1000, before=2001, every=10)

    assert (page["sampled"], page["total"]) == (True, 100)
    assert (page["epoch"][0], page["epoch"][-1]) == (1010, 2000)
    assert 1800 in page["epoch"]
    assert all(epoch % 10 == 0 for epoch in page["epoch"])


def test_a_history_that_has_room_is_no_sample(service: Service, trained: Trained) -> None:
    page = service.get(f"/v1/jobs/{trained.job.id}/history", max_points=3000)

    assert (page["sampled"], page["epoch"]) == (False, list(range(1, 3001)))


def test_a_sample_of_nothing_is_nothing(small: Service) -> None:
    page = small.get(f"/v1/jobs/{small.submit()['id']}/history", max_points=10)

    assert (page["sampled"], page["epoch"], page["total"], page["next"]) == (False, [], 0, 0)


def test_two_processes_answer_alike(service: Service, trained: Trained, tmp_path: Path) -> None:
    def ask(one: Service) -> dict[str, Any]:
        return one.get(f"/v1/jobs/{trained.job.id}/history", max_points=40)

    ask(service)
    trained.train(3001, 4000, loss={3500: 70.0})
    with running(settings_for(service.settings.resolved_database_url, tmp_path / "other")) as other:
        assert ask(service) == ask(other)
    assert 3500 in ask(service)["epoch"]


def test_after_a_crash_a_sample_shows_what_was_trained_again(service: Service, trained: Trained) -> None:
    path = f"/v1/jobs/{trained.job.id}/history"
    before = service.get(path, max_points=60)
    trained.crash()
    trained.claim()

    nothing = service.get(path, max_points=60)
    trained.train(1, 3000, loss={500: 90.0})
    again = service.get(path, max_points=60)

    assert (before["sampled"], nothing["epoch"], again["sampled"]) == (True, [], True)
    assert 500 in again["epoch"]
    assert max(again["val_loss"]) == 90.0


class Overtaken(Samples):
    """Between the choice and the reading of what was chosen the job crashes, once, and trains less than before."""

    worker: Trained | None = None

    def choose(self, stretch: Stretch, *, most: int) -> list[int]:
        chosen = super().choose(stretch, most=most)
        if self.worker:
            self.worker.crash()
            self.worker.claim()
            self.worker.train(1, 2900, loss={400: 80.0})
            self.worker = None
        return chosen


def test_a_crash_while_a_sample_is_drawn_leaves_no_trace_in_it(service: Service, trained: Trained) -> None:
    samples = Overtaken(service.database, Sketches(service.database, limit_bytes=1))
    samples.worker = trained
    histories = Histories(service.database, Watcher(service.database, period=1), samples, Bodies(limit_bytes=1, size=len))

    page = asyncio.run(histories.page(Caller(), trained.job.id, Window(max_points=60)))

    assert isinstance(page, HistoryPage)
    assert (page.total, page.columns.epoch[-1]) == (2900, 2900)
    assert 400 in page.columns.epoch


def test_one_point_is_no_sample(shared: Service) -> None:
    assert pointers(shared.client.get("/v1/jobs/job_1/history", params={"max_points": 1})) == ["max_points"]
