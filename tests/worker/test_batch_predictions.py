"""Batch predictions against both databases: what they leave behind, however they are disturbed."""

import errno
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
from sqlalchemy import Connection, event, select
from sqlalchemy.exc import OperationalError

from app.domain.batch_warnings import MOST_KEPT
from app.domain.blobs import batch_model_key, dataset_key, described
from app.domain.job import Status, StopReason
from app.domain.manifest import ONNX
from app.persistence.batch_rows import BatchPredictionRow
from app.persistence.database import Database
from app.persistence.tables import batch_predictions as table
from app.serving.findings import Findings
from app.serving.json_body import asked_by
from app.serving.predict import Outputs
from app.serving.sessions import load
from app.storage.folder import Folder
from tests.persistence.batches import aged
from tests.worker.batches import PART_ROWS, Batches
from tests.worker.yard import OWNER, Killed, Yard

ROWS = 100
Format = Literal["parquet", "csv"]
FORMATS: list[Format] = ["parquet", "csv"]


@pytest.fixture
def batches(yard: Yard) -> Batches:
    return Batches.trained(yard)


def files(yard: Yard, asked: BatchPredictionRow) -> list[Path]:
    """What the storage has of it."""
    return [path for path in (yard.storage.root / "batch_predictions" / asked.id).rglob("*") if path.is_file()]


def by_request(batches: Batches, dataset: str) -> Outputs:
    """What a request with the same rows is answered."""
    rows = pl.read_parquet(batches.yard.storage.root / dataset_key(dataset)).drop("size").to_dicts()
    ready = load(batches.files.__getitem__)
    return ready.predictor.predict(ready.reader.read(asked_by({"rows": rows}).sent, max_rows=len(rows), findings=Findings()))


@pytest.mark.parametrize("format", FORMATS)
def test_every_row_is_predicted_once_in_its_order_as_a_request_is(batches: Batches, yard: Yard, format: Format) -> None:
    asked = batches.ask(yard.dataset, format=format)

    yard.work()

    ended, content = batches.row(asked), batches.content(asked)
    found = pl.read_parquet(io.BytesIO(content)) if format == "parquet" else pl.read_csv(content)
    expected = by_request(batches, yard.dataset)
    assert (ended.status, ended.predicted, ended.bytes) == (Status.SUCCEEDED, ROWS, len(content))
    assert found.columns == ["prediction", "probability_high", "probability_low"]
    assert expected.labels is not None
    assert found["prediction"].to_list() == expected.labels.tolist()
    assert np.allclose(found.drop("prediction").to_numpy(), np.array(expected.probabilities, dtype=float), rtol=1e-6)


def test_when_it_is_over_nothing_is_kept_but_its_parts(batches: Batches, yard: Yard) -> None:
    asked = batches.ask(yard.dataset)

    yard.work()

    ended = batches.row(asked)
    assert len(files(yard, asked)) == ended.parts == -(-ROWS // PART_ROWS) + 1


@pytest.mark.parametrize("format", FORMATS)
def test_one_that_is_killed_again_and_again_ends_with_the_same_bytes(batches: Batches, yard: Yard, format: Format) -> None:
    undisturbed = batches.ask(yard.dataset, format=format)
    yard.work()
    again = batches.ask(yard.dataset, format=format)

    def die() -> None:
        if yard.reports == 2 + batches.row(again).attempt:
            raise Killed

    yard.on_report = die
    while not batches.row(again).status.terminal:
        assert batches.row(again).attempt < ROWS, "it does not get on"
        try:
            yard.work()
        except Killed:
            batches.bury(max_crashes=100)

    assert batches.row(again).attempt > 3
    assert batches.content(again) == batches.content(undisturbed)
    assert len(files(yard, again)) == batches.row(again).parts


def test_a_process_that_never_ends_a_part_is_worker_lost_after_three(batches: Batches, yard: Yard) -> None:
    asked = batches.ask(yard.dataset)

    def die() -> None:
        if yard.reports == 2:
            raise Killed

    yard.on_report = die
    for _ in range(3):
        with pytest.raises(Killed):
            yard.work()
        batches.bury()

    ended = batches.row(asked)
    assert (ended.status, ended.error_code, ended.attempt) == (Status.FAILED, StopReason.WORKER_LOST, 3)


@pytest.mark.parametrize(("asked_for", "becomes"), [(Status.CANCELLING, Status.CANCELLED), (Status.PAUSING, Status.PAUSED)])
def test_it_stops_within_a_part_when_a_caller_asks(batches: Batches, yard: Yard, asked_for: Status, becomes: Status) -> None:
    asked = batches.ask(yard.dataset)
    yard.on_report = lambda: batches.change(asked, asked_for) if yard.reports == 4 else None

    yard.work()

    ended = batches.row(asked)
    assert ended.status is becomes
    assert 0 < ended.predicted < ROWS
    assert bool(files(yard, asked)) == (becomes is Status.PAUSED)
    assert (ended.finished_at is None) == (becomes is Status.PAUSED)


class Slow(Folder):
    """Copies in three pieces, as from a bucket."""

    pieces = 0
    on_piece: Callable[[], object] = staticmethod(lambda: None)

    def fetch(self, key: str, destination: Path, *, between: Callable[[], None] = lambda: None) -> Path:
        for _ in range(3):
            self.pieces += 1
            self.on_piece()
            between()
        return super().fetch(key, destination)


@pytest.mark.parametrize(("asked_for", "becomes"), [(Status.CANCELLING, Status.CANCELLED), (Status.PAUSING, Status.PAUSED)])
def test_it_stops_between_two_pieces_of_its_dataset(batches: Batches, yard: Yard, asked_for: Status, becomes: Status) -> None:
    asked, slow = batches.ask(yard.dataset), Slow(yard.storage.root)
    yard.storage, slow.on_piece = slow, lambda: batches.change(asked, asked_for)

    yard.work()

    ended = batches.row(asked)
    assert (ended.status, ended.predicted, slow.pieces) == (becomes, 0, 1)


def test_a_worker_that_stops_gives_it_back_and_the_next_one_goes_on(batches: Batches, yard: Yard) -> None:
    undisturbed = batches.ask(yard.dataset)
    yard.work()
    asked = batches.ask(yard.dataset)
    yard.stop_after = 4

    yard.work()
    given_back = batches.row(asked)
    yard.stop_after = 1000
    yard.work()

    assert (given_back.status, given_back.crashes, given_back.lease_owner) == (Status.QUEUED, 0, None)
    assert 0 < given_back.predicted < ROWS
    assert (batches.row(asked).status, batches.row(asked).attempt) == (Status.SUCCEEDED, 2)
    assert batches.content(asked) == batches.content(undisturbed)


def test_who_was_thought_dead_writes_nothing_more(batches: Batches, yard: Yard) -> None:
    asked = batches.ask(yard.dataset)
    yard.on_report = lambda: batches.lose(asked) if yard.reports == 5 else None

    yard.work()

    left = batches.row(asked)
    assert (left.status, left.lease_owner, left.parts) == (Status.RUNNING, "thief", 2)


class Full(Folder):
    """A disk that is full at times."""

    full = False

    def put(self, key: str, data: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().put(key, data)


def test_a_full_disk_is_waited_for_and_nothing_is_lost(batches: Batches, yard: Yard) -> None:
    undisturbed = batches.ask(yard.dataset)
    yard.work()
    disk = Full(yard.storage.root)
    asked, yard.storage = batches.ask(yard.dataset), disk

    def fill() -> None:
        disk.full = yard.reports >= 4

    yard.on_report = fill
    yard.work()
    waiting = batches.row(asked)
    yard.on_report, disk.full = lambda: None, False
    batches.make_due(asked)
    yard.work()

    assert (waiting.status, waiting.crashes) == (Status.QUEUED, 0)
    assert 0 < waiting.predicted < ROWS
    assert batches.row(asked).status is Status.SUCCEEDED
    assert batches.content(asked) == batches.content(undisturbed)


def test_a_disk_that_stays_full_ends_it_with_a_sentence_and_frees_its_bytes(batches: Batches, yard: Yard) -> None:
    asked, disk = batches.ask(yard.dataset), Full(yard.storage.root)
    yard.storage, disk.full = disk, True

    yard.work(patience=-1)

    ended = batches.row(asked)
    assert (ended.status, ended.error_code, files(yard, asked)) == (Status.FAILED, StopReason.INTERNAL_ERROR, [])
    assert "is full" in str(ended.error_message)


def test_one_that_is_cancelled_while_the_disk_stays_full_is_cancelled(batches: Batches, yard: Yard) -> None:
    asked, disk = batches.ask(yard.dataset), Full(yard.storage.root)
    yard.storage, disk.full = disk, True
    yard.on_report = lambda: batches.change(asked, Status.CANCELLING) if yard.reports == 2 else None

    yard.work(patience=-1)

    ended = batches.row(asked)
    assert (ended.status, ended.error_code, files(yard, asked)) == (Status.CANCELLED, None, [])


def lose_the_database_at_the_end(yard: Yard, asked: BatchPredictionRow) -> list[OperationalError]:
    """The transaction that ends it is not committed, and the next one does not begin; answers what they met."""
    ended = select(table.c.status == Status.SUCCEEDED).where(table.c.number == asked.number)
    met: list[OperationalError] = []

    def fail() -> None:
        met.append(OperationalError("", {}, ConnectionError()))
        raise met[-1]

    def commit(connection: Connection) -> None:
        if not met and connection.execute(ended).scalar_one():
            fail()

    def begin(connection: Connection) -> None:
        if len(met) == 1:
            fail()

    event.listen(yard.database.engine, "commit", commit)
    event.listen(yard.database.engine, "begin", begin)
    return met


@pytest.mark.parametrize("taken", [False, True])
def test_an_end_that_was_not_committed_removes_nothing(batches: Batches, yard: Yard, taken: bool) -> None:
    undisturbed = batches.ask(yard.dataset)
    yard.work()
    asked = batches.ask(yard.dataset)
    met = lose_the_database_at_the_end(yard, asked)

    def leave() -> None:
        if len(met) == 2 and taken and batches.row(asked).lease_owner == OWNER:
            batches.lose(asked)
        elif len(met) == 2 and not taken:
            yard.stop_after = 0

    yard.on_report = leave
    yard.work()
    left = batches.row(asked)
    yard.on_report, yard.stop_after = lambda: None, 1000
    batches.bury(owner="thief" if taken else OWNER)
    yard.work()

    assert left.status is Status.RUNNING
    assert batches.row(asked).status is Status.SUCCEEDED
    assert batches.content(asked) == batches.content(undisturbed)


def test_a_damaged_copy_of_the_network_predicts_nothing(batches: Batches, yard: Yard) -> None:
    asked = batches.ask(yard.dataset)
    yard.storage.put(batch_model_key(asked.id, described(ONNX, batches.files[ONNX])), b"something else")

    yard.work()

    ended = batches.row(asked)
    assert (ended.status, ended.error_code, ended.predicted) == (Status.FAILED, StopReason.INVALID_DATA, 0)


def test_warnings_are_counted_and_kept_under_the_numbers_of_their_rows(yard: Yard) -> None:
    rows = "\n".join(f"{a},{'red' if a % 2 else 'blue'},{'high' if a > 20 else 'low'}" for a in range(40))
    batches = Batches.trained(yard, dataset=yard.upload(f"a,c,size\n{rows}\n"))
    gaps = {17: ",green", 18: "1,", 1100: ",red"}
    dataset = yard.upload("a,c\n" + "\n".join(gaps.get(row, f"{row % 40},red") for row in range(1200)) + "\n")
    in_parts, at_once = batches.ask(dataset, part_rows=100), batches.ask(dataset, part_rows=1200)

    yard.work()

    ended, lines = batches.row(in_parts), pl.read_ndjson(batches.warnings(in_parts))
    assert {(one["code"], one["column"]): one["count"] for one in ended.warnings} == {
        ("missing_value", "a"): 2,
        ("unseen_category", "c"): 1,
        ("missing_value", "c"): 1,
    }
    assert lines["row"].to_list() == [17, 17, 18, 1100]
    assert lines["column"].to_list() == ["a", "c", "c", "a"]
    assert all(detail.startswith(f"Row {row}, column") for row, detail in lines.select("row", "detail").iter_rows())
    assert ended.warnings_kept == 4
    assert batches.warnings(at_once) == batches.warnings(in_parts)
    assert batches.row(at_once).warnings == ended.warnings


def test_the_first_warnings_are_kept_over_all_parts_and_all_are_counted(batches: Batches, yard: Yard) -> None:
    gaps = MOST_KEPT + 100
    dataset = yard.upload("a,b\n" + "1,\n" * gaps + "1,1\n" * 10)
    asked = batches.ask(dataset, part_rows=MOST_KEPT - 1500)

    yard.work()

    ended = batches.row(asked)
    assert [one["count"] for one in ended.warnings] == [gaps]
    assert pl.read_ndjson(batches.warnings(asked))["row"].to_list() == list(range(MOST_KEPT))


def test_memory_goes_by_the_part_and_not_by_the_dataset(sqlite_url: str, tmp_path: Path) -> None:
    yard = Yard(Database(sqlite_url), tmp_path)
    batches = Batches.trained(yard)

    def peak(rows: int, *, part_rows: int) -> int:
        dataset = yard.upload("a,b\n" + "\n".join(f"{row},{row % 7}" for row in range(rows)) + "\n")
        batches.ask(dataset, part_rows=part_rows)
        tracemalloc.start()
        yard.work()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1, part_rows=1)  # what is loaded once
    least = peak(1, part_rows=1)

    assert peak(6_000, part_rows=250) - least < (peak(6_000, part_rows=6_000) - least) / 3
    yard.database.close()


def test_jobs_and_batch_predictions_are_worked_off_in_their_order(batches: Batches, yard: Yard) -> None:
    first = batches.ask(yard.dataset)
    job = yard.submit()
    second = batches.ask(yard.dataset)
    aged(yard.database, first, job, second)

    yard.work()

    ended = [one.finished_at for one in (batches.row(first), yard.job(job.id), batches.row(second)) if one.finished_at]
    assert len(ended) == 3
    assert ended == sorted(ended)
