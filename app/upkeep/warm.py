"""The training processes of this machine, as the database knows them."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.persistence import workers
from app.persistence.database import Database


def warm_processes(database: Database, *, seconds: float) -> list[str]:
    """Those that were heard of within that time."""
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    with database.read() as connection:
        rows = workers.every(connection)
    return [row.id for row in rows if row.id.startswith(f"{socket.gethostname()}:") and row.heartbeat_at > since]


def forget_dead(database: Database) -> None:
    """Forget those whose process is gone: a killed service could not say so itself, and `/readyz` would count them."""
    with database.write() as connection:
        for id in [row.id for row in workers.every(connection) if _is_gone(row.id)]:
            workers.leave(connection, id)


def _is_gone(id: str) -> bool:
    host, _, pid = id.rpartition(":")
    return host == socket.gethostname() and not Path(f"/proc/{pid}").exists()
