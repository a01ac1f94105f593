"""The watcher outlives what the database may do to it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.persistence.database import Database
from app.services.watcher import Watcher
from tests.persistence.jobs import queued


class Exhausted(Database):
    """Has no connection to spare when it is asked for the first time."""

    asked = 0

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self.asked += 1
        if self.asked == 1:
            raise PoolTimeout
        with super().read() as connection:
            yield connection


async def seen(database: Database, number: int) -> bool:
    watcher = Watcher(database, period=0.001)
    task = asyncio.create_task(watcher.run())
    try:
        return await watcher.changed(number, seen=-1, timeout=20)
    finally:
        task.cancel()


def test_a_pool_without_a_connection_to_spare_does_not_end_the_watcher(sqlite_url: str) -> None:
    database = Exhausted(sqlite_url)
    job = queued(database)

    assert asyncio.run(seen(database, job.number))
    assert database.asked > 1
    database.close()
