"""By which bytes a storage is recognized that has no mark yet."""

from sqlalchemy import insert, update

from app.domain.job import Status
from app.persistence.database import Database
from app.persistence.stored import oldest
from app.persistence.tables import batch_parts, batch_predictions
from tests.persistence.batches import asked, part


def test_a_new_database_knows_of_none(database: Database) -> None:
    assert oldest(database) == []


def test_the_parts_of_what_did_not_succeed_are_not_among_them_for_their_bytes_are_gone(database: Database) -> None:
    for status in (Status.FAILED, Status.CANCELLED, Status.SUCCEEDED):
        row = asked(database)
        with database.write() as connection:
            connection.execute(insert(batch_parts).values(batch_number=row.number, **vars(part(1))))
            connection.execute(update(batch_predictions).where(batch_predictions.c.id == row.id).values(status=status))

    assert oldest(database) == [part(1).key(row.id)]
