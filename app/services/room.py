"""Room on this machine's disk, which a request needs for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from app.domain.disk import FULL
from app.domain.errors import Unavailable
from app.storage.storage import StorageFailed

log = structlog.get_logger()


@contextmanager
def room_for(what: str) -> Iterator[None]:
    """Unavailable where the disk is full within the block; whatever else fails stays as it is."""
    try:
        yield
    except StorageFailed:
        raise
    except OSError as error:
        if error.errno not in FULL:
            raise
        log.error("storage.failed", error=str(error))
        raise Unavailable(f"There is no room on the disk for {what}.") from None
