"""What is said of a lease that was lost."""

from contextlib import suppress

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.persistence import counts
from app.persistence.counts import Counted
from app.persistence.database import Database

log = structlog.get_logger()


def note_loss(database: Database) -> None:
    """Say that another attempt has the work in hand; counted where the database answers."""
    log.warning("lease.lost")
    with suppress(SQLAlchemyError), database.write() as connection:
        counts.add(connection, Counted.LEASES_LOST)
