"""Which checkpoints leave an API process's memory, on both databases."""

from app.persistence import jobs
from app.persistence.database import Database
from app.serving.sessions import Sessions
from app.upkeep.forgetting import Forgetter
from tests.persistence.jobs import queued
from tests.persistence.test_checkpoints import publish
from tests.serving.checkpoints import NUMBER, files


def test_what_is_deleted_leaves_the_memory_and_the_rest_stays(database: Database) -> None:
    sessions, content = Sessions(limit_bytes=10**9), files([NUMBER(name="length")]).content
    kept, deleted = (queued(database) for _ in range(2))
    for job, epoch in ((kept, 1), (deleted, 2)):
        publish(database, job, epoch, "best")
        sessions.get(f"ckpt_{epoch}", content.__getitem__)
    with database.write() as connection:
        jobs.remove(connection, deleted.number)

    Forgetter(database, sessions).sweep()

    assert sessions.held() == ["ckpt_1"]
