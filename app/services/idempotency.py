"""Creating something once, however often it is asked for with the same key."""

from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from app.domain.errors import InFlight, KeyReused
from app.persistence import idempotency
from app.persistence.database import Database
from app.persistence.idempotency import Kept, Key, Pending

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

    def begin(self, key: Key) -> StoredAnswer | Pending:
        """The answer of the first time; for the first, that it is under way.

        Raises:
            KeyReused: something else was asked with that key.
            InFlight: the first request is not answered yet.

        """
        try:
            with self._database.write() as connection:
                found = idempotency.find_or_begin(connection, key)
        except IntegrityError:
            raise InFlight from None
        return found if isinstance(found, Pending) else _answer(key, found)

    def finish(self, transaction: Transaction, pending: Pending, answer: StoredAnswer) -> None:
        """Keep the answer, if the transaction commits.

        Raises InFlight: the request slept so long that another one began anew with its key; only one of them may create.
        """
        if not idempotency.finish(transaction, pending, status=answer.status, body=answer.body, headers=answer.headers):
            raise InFlight

    def forget(self, pending: Pending) -> None:
        """The request failed: the next one with that key begins anew."""
        with self._database.write() as connection:
            idempotency.forget(connection, pending)


def _answer(key: Key, kept: Kept) -> StoredAnswer:
    if kept.fingerprint != key.fingerprint:
        raise KeyReused
    if kept.status is None or kept.body is None:
        raise InFlight
    return StoredAnswer(status=kept.status, body=kept.body, headers=kept.headers or {})
