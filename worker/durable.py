"""Drafts whose files become durable together: for a pack's members the disk keeps many files nearly as soon as one."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from app.storage.storage import Storage

# Bytes that wait to be written; more of them would only take memory.
_WAITING = 1 << 26


class Filed(Protocol):
    """Whatever stands on files."""

    @property
    def contents(self) -> dict[str, bytes]:
        """The files, by their keys."""


Drafted = TypeVar("Drafted", bound=Filed)


def durable(storage: Storage, drafts: Iterable[tuple[int, Drafted]]) -> Iterator[tuple[int, Drafted, OSError | None]]:
    """Each draft of a member again once its files are stored, or with the error for which the storage refused them."""
    batch: list[tuple[int, Drafted]] = []
    for position, draft in drafts:
        batch.append((position, draft))
        if sum(len(data) for _, one in batch for data in one.contents.values()) > _WAITING:
            yield from _stored(storage, batch)
            batch = []
    yield from _stored(storage, batch)


def _stored(storage: Storage, batch: list[tuple[int, Drafted]]) -> list[tuple[int, Drafted, OSError | None]]:
    refused = None
    try:
        storage.put_all({key: data for _, draft in batch for key, data in draft.contents.items()})
    except OSError as error:
        refused = error
    return [(position, draft, refused) for position, draft in batch]
