"""The warm training processes, each with its last heartbeat."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, insert, select, update

from app.persistence.database import now
from app.persistence.leases import SECOND
from app.persistence.rows import WorkerRow
from app.persistence.tables import workers


def register(
    connection: Connection, id: str, *, device: str, threads: int, torch: str, custom_losses: Sequence[str] = ()
) -> None:
    """Say that a process is warm, and by which custom losses it can train."""
    connection.execute(delete(workers).where(workers.c.id == id))
    values = {"id": id, "device": device, "threads": threads, "torch": torch, "custom_losses": list(custom_losses)}
    connection.execute(insert(workers).values(**values, started_at=now(), heartbeat_at=now()))


def beat(connection: Connection, id: str, *, job_id: str | None) -> bool:
    """Say that it still is, and what it trains; False where it was thought gone and must register again."""
    statement = update(workers).where(workers.c.id == id).values(heartbeat_at=now(), job_id=job_id)
    return connection.execute(statement).rowcount == 1


def leave(connection: Connection, id: str) -> None:
    """Say that it is gone."""
    connection.execute(delete(workers).where(workers.c.id == id))


def forget_silent(connection: Connection, *, seconds: float) -> None:
    """Remove processes that have not been heard of for a while."""
    connection.execute(delete(workers).where(workers.c.heartbeat_at < now() - int(seconds * SECOND)))


def every(connection: Connection) -> list[WorkerRow]:
    """All warm processes."""
    return WorkerRow.all(connection.execute(select(*WorkerRow.selected(workers)).order_by(workers.c.id)).all())


def count(connection: Connection) -> int:
    """How many there are."""
    return connection.execute(select(func.count()).select_from(workers)).scalar_one()


def idle(connection: Connection) -> dict[str, int]:
    """How many of them wait for a job, by device."""
    query = select(workers.c.device, func.count()).where(workers.c.job_id.is_(None)).group_by(workers.c.device)
    return {row.device: row[1] for row in connection.execute(query)}
