"""The warm training processes, each with its last heartbeat."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from app.persistence.database import now
from app.persistence.leases import SECOND
from app.persistence.rows import WorkerRow
from app.persistence.tables import workers

HEARD = workers.c.silent_at.is_(None)
_HAS_MEMORY = and_(HEARD, workers.c.memory.is_not(None))
_MOST = (func.max(workers.c.memory), func.max(workers.c.host_memory))
_MEMORY = select(workers.c.device, *_MOST).where(_HAS_MEMORY).group_by(workers.c.device)


def register(
    connection: Connection,
    id: str,
    *,
    device: str,
    threads: int,
    torch: str,
    custom_losses: Sequence[str] = (),
    memory: int | None = None,
    host_memory: int | None = None,
) -> None:
    """Say that a process is warm, by which custom losses it can train, and in `memory` bytes, on a GPU `host_memory` beside."""
    connection.execute(delete(workers).where(workers.c.id == id))
    facts = {"device": device, "threads": threads, "torch": torch, "custom_losses": list(custom_losses)}
    values = {"id": id, **facts, "memory": memory, "host_memory": host_memory}
    connection.execute(insert(workers).values(**values, started_at=now(), heartbeat_at=now()))


def beat(connection: Connection, id: str, *, job_id: str | None) -> bool:
    """Say that it still is, and what it trains; False where it was thought gone and must register again."""
    statement = update(workers).where(workers.c.id == id).values(heartbeat_at=now(), job_id=job_id, silent_at=None)
    return connection.execute(statement).rowcount == 1


def leave(connection: Connection, id: str) -> bool:
    """Say that it is gone; False where that was known."""
    return connection.execute(delete(workers).where(workers.c.id == id)).rowcount == 1


def mark_silent(connection: Connection, *, seconds: float) -> list[str]:
    """Mark processes that have not been heard of for a while; answers those that were not marked yet."""
    unheard = and_(HEARD, workers.c.heartbeat_at < now() - int(seconds * SECOND))
    statement = update(workers).where(unheard).values(silent_at=now())
    return list(connection.execute(statement.returning(workers.c.id)).scalars())


def forget_silent(connection: Connection, *, seconds: float) -> None:
    """Remove processes that were marked so long ago."""
    connection.execute(delete(workers).where(workers.c.silent_at < now() - int(seconds * SECOND)))


def every(connection: Connection) -> list[WorkerRow]:
    """All processes, also those that went silent."""
    return WorkerRow.all(connection.execute(select(*WorkerRow.selected(workers)).order_by(workers.c.id)).all())


def count(connection: Connection) -> int:
    """How many are warm."""
    return connection.execute(select(func.count()).select_from(workers).where(HEARD)).scalar_one()


def idle(connection: Connection) -> dict[str, int]:
    """How many of them wait for a job, by device."""
    query = select(workers.c.device, func.count()).where(HEARD, workers.c.job_id.is_(None)).group_by(workers.c.device)
    return {row.device: row[1] for row in connection.execute(query)}


def memory(connection: Connection) -> dict[str, int]:
    """The most that a job may use, in bytes, by the device of the processes that have said so; under "host" beside a GPU."""
    found = dict[str, int]()
    for device, most, host in connection.execute(_MEMORY):
        found |= {device: most} | ({} if host is None else {"host": host})
    return found
