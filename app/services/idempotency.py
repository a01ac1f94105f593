"""Creating something once, however often it is asked for with the same key."""

from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from app.domain.errors import InFlight, KeyReused
from app.persistence import idempotency
from app.persistence.database import Database
from app.persistence.idempotency import Kept, Key

# The transaction in which a resource is created; opaque to whoever hands it on.
Transaction = Connection


@dataclass(frozen=True, kw_only=True)
class StoredAnswer:
    """An answer as it was sent the first time."""

    status: int
    body: bytes
    headers: dict[str, str]


class Idempotency:
    """A pending row is committed first; the answer commits with the resource; only answers of success are kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, key: Key) -> StoredAnswer | None:
        """The answer of the first time; None for the first.

        Raises:
            KeyReused: something else was asked with that key.
            InFlight: the first request is not answered yet.

        """
        try:
            with self._database.write() as connection:
                kept = idempotency.find_or_begin(connection, key)
        except IntegrityError:
            raise InFlight from None
        return _answer(key, kept) if kept else None

    def finish(self, transaction: Transaction, key: Key, answer: StoredAnswer) -> None:
        """Keep the answer, if the transaction commits."""
        idempotency.finish(transaction, key, status=answer.status, body=answer.body, headers=answer.headers)

    def forget(self, key: Key) -> None:
        """The request failed: the next one with that key begins anew."""
        with self._database.write() as connection:
            idempotency.forget(connection, key)


def _answer(key: Key, kept: Kept) -> StoredAnswer:
    if kept.fingerprint != key.fingerprint:
        raise KeyReused
    if kept.status is None or kept.body is None:
        raise InFlight
    return StoredAnswer(status=kept.status, body=kept.body, headers=kept.headers or {})
