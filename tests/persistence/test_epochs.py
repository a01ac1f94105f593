"""The history's rows, on both databases."""

import math
from itertools import product

import pytest
from sqlalchemy.exc import IntegrityError

from app.domain.history import EpochColumns, stored
from app.persistence import epochs
from app.persistence.database import Database
from tests.persistence.jobs import queued


def columns(count: int) -> EpochColumns:
    numbers = list(range(1, count + 1))
    return EpochColumns(
        epoch=numbers,
        train_loss=[1.0 / number for number in numbers],
        val_loss=[2.0 / number for number in numbers],
        learning_rate=[0.01] * count,
        seconds=[0.001 * number for number in numbers],
        metrics={"val_accuracy": [1 - 1.0 / number for number in numbers]},
    )


def part(whole: EpochColumns, places: list[int]) -> EpochColumns:
    return EpochColumns(
        epoch=[whole.epoch[place] for place in places],
        train_loss=[whole.train_loss[place] for place in places],
        val_loss=[whole.val_loss[place] for place in places],
        learning_rate=[whole.learning_rate[place] for place in places],
        seconds=[whole.seconds[place] for place in places],
    )


def test_what_was_stored_is_read_back_to_the_last_bit(database: Database) -> None:
    job, written = queued(database), columns(50)
    with database.write() as connection:
        epochs.add(connection, {job.number: written})

    with database.read() as connection:
        read = epochs.read(connection, job.number, limit=1000)

    assert read == written


def test_nan_and_the_infinities_stay_apart_from_a_missing_value(database: Database) -> None:
    job = queued(database)
    odd = EpochColumns(
        epoch=[1, 2, 3, 4],
        train_loss=[math.nan, math.inf, -math.inf, 1.5],
        val_loss=[None, math.nan, None, math.inf],
        learning_rate=[0.1] * 4,
        seconds=[0.0] * 4,
        metrics={"val_r2": [-math.inf, 0.5, math.nan, None]},
    )
    with database.write() as connection:
        epochs.add(connection, {job.number: odd})

    with database.read() as connection:
        read = epochs.read(connection, job.number, limit=10)

    assert repr(read) == repr(odd)


@pytest.mark.parametrize(
    ("last", "record_every", "stored"),
    [(0, 1, []), (1, 1, [1]), (4, 1, [1, 2, 3, 4]), (1, 3, [1]), (6, 3, [1, 3, 6]), (7, 3, [1, 3, 6, 7]), (2, 3, [1, 2])],
)
def test_the_last_epoch_tells_how_many_are_stored(database: Database, last: int, record_every: int, stored: list[int]) -> None:
    job, all_of_them = queued(database), columns(last)
    thinned = part(all_of_them, [epoch - 1 for epoch in stored])
    with database.write() as connection:
        epochs.add(connection, {job.number: thinned})

    with database.read() as connection:
        counted = epochs.count(connection, job.number, record_every=record_every)

    assert counted == len(stored)


@pytest.mark.parametrize("record_every", [1, 3])
def test_how_many_stand_in_a_range_is_known_from_its_last(database: Database, record_every: int) -> None:
    job, kept = queued(database), [epoch for epoch in range(1, 14) if epoch in (1, 13) or epoch % record_every == 0]
    with database.write() as connection:
        epochs.add(connection, {job.number: part(columns(13), [epoch - 1 for epoch in kept])})

    with database.read() as connection:
        for after, before, every in product((0, 1, 3, 5, 12, 20), (None, 2, 4, 7, 10), (1, 2, 3, 7)):
            ends = epochs.ends(connection, job.number, after=after, before=before, every=every)
            read = epochs.read(connection, job.number, after=after, before=before, every=every, limit=100).epoch
            count = stored(ends[1], record_every=record_every, after=after, every=every) if ends else 0
            assert (ends, count) == ((read[0], read[-1]) if read else None, len(read)), (after, before, every)


def test_some_epochs_are_read_by_their_numbers(database: Database) -> None:
    job = queued(database)
    with database.write() as connection:
        epochs.add(connection, {job.number: columns(10)})

    with database.read() as connection:
        read = epochs.at(connection, job.number, [9, 2, 11, 5])

    assert (read.epoch, read.train_loss) == ([2, 5, 9], [1 / 2, 1 / 5, 1 / 9])


def test_an_epoch_stands_only_once(database: Database) -> None:
    job = queued(database)
    with database.write() as connection:
        epochs.add(connection, {job.number: columns(3)})

    with pytest.raises(IntegrityError), database.write() as connection:
        epochs.add(connection, {job.number: columns(1)})


def test_a_page_ends_before_an_epoch(database: Database) -> None:
    job = queued(database)
    with database.write() as connection:
        epochs.add(connection, {job.number: columns(10)})

    with database.read() as connection:
        page = epochs.read(connection, job.number, after=2, before=9, limit=10, every=2)

    assert page.epoch == [4, 6, 8]


@pytest.mark.parametrize(
    ("after", "limit", "every", "expected"),
    [
        (0, 3, 1, [1, 2, 3]),
        (3, 3, 1, [4, 5, 6]),
        (8, 10, 1, [9, 10]),
        (10, 10, 1, []),
        (0, 10, 4, [1, 4, 8]),
        (1, 10, 4, [4, 8]),
    ],
)
def test_a_page_begins_after_an_epoch_and_may_be_thinned(
    database: Database, after: int, limit: int, every: int, expected: list[int]
) -> None:
    job = queued(database)
    with database.write() as connection:
        epochs.add(connection, {job.number: columns(10)})

    with database.read() as connection:
        page = epochs.read(connection, job.number, after=after, limit=limit, every=every)

    assert page.epoch == expected
