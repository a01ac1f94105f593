"""Batch predictions for tests that predict nothing."""

from sqlalchemy import update

from app.domain.caller import DEFAULT_PROJECT
from app.domain.ids import new_id
from app.persistence import batch_predictions
from app.persistence.batch_predictions import NewBatchPrediction
from app.persistence.batch_rows import BatchPredictionRow, PartRow
from app.persistence.database import Database
from app.persistence.rows import JobRow
from app.persistence.tables import batch_predictions as batches
from app.persistence.tables import jobs


def asked(database: Database, *, project_id: str = DEFAULT_PROJECT, dataset: str = "ds_1") -> BatchPredictionRow:
    """One that waits."""
    new = NewBatchPrediction(
        id=new_id("bp"),
        project_id=project_id,
        name=None,
        job_id="job_1",
        model=None,
        version=None,
        checkpoint_id="ckpt_1",
        files=[],
        dataset_id=dataset,
        dataset_sha256="0" * 64,
        format="csv",
        rows=100,
        part_rows=10,
        warnings=[],
        request_id=None,
    )
    with database.write() as connection:
        return batch_predictions.add(connection, new)


def part(number: int) -> PartRow:
    """Ten rows."""
    hashes = {"outline_sha256": "0" * 64, "sha256": "0" * 64}
    return PartRow(number=number, rows=10, content_bytes=5, outline_bytes=0, warning_bytes=0, **hashes)


def found(database: Database, row: BatchPredictionRow) -> BatchPredictionRow:
    """As it stands."""
    with database.read() as connection:
        now = batch_predictions.find(connection, row.id, project_id=row.project_id)
    assert now is not None
    return now


def aged(database: Database, *rows: JobRow | BatchPredictionRow) -> None:
    """The first is the oldest: within a millisecond, which is as fine as SQLite's clock is, several may be made."""
    with database.write() as connection:
        for instant, row in enumerate(rows):
            table = jobs if isinstance(row, JobRow) else batches
            connection.execute(update(table).where(table.c.number == row.number).values(created_at=instant))
