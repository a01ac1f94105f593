"""What a training process takes next: jobs or a batch prediction, whichever stands first in the one line of both."""

from collections.abc import Sequence

from sqlalchemy import Connection

from app.persistence import batch_claims, claims
from app.persistence.batch_rows import BatchPredictionRow
from app.persistence.rows import JobRow

Claimed = list[JobRow] | BatchPredictionRow
"""Jobs that train in one stack, or a batch prediction."""


def claim(
    connection: Connection, *, owner: str, devices: Sequence[str], lease_seconds: float, most_running: int = 0
) -> Claimed | None:
    """Take what is due; `most_running` is a project's quota of both."""

    def jobs() -> Claimed | None:
        found = claims.claim(connection, owner=owner, devices=devices, lease_seconds=lease_seconds, most_running=most_running)
        return found or None

    def batch() -> Claimed | None:
        return batch_claims.claim(connection, owner=owner, lease_seconds=lease_seconds, most_running=most_running)

    waiting = batch_claims.first(connection, most_running=most_running)
    if waiting is None:
        return jobs()
    job = claims.first(connection, devices=devices, most_running=most_running)
    # Where another claim was quicker, what it left is of the other kind, or of nobody's.
    return (batch() or jobs()) if job is None or waiting < job else (jobs() or batch())
