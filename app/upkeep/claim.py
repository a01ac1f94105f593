"""One service per data folder: an exclusive lock that the kernel drops when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from app.domain.mistakes import Mistake

LOCK = "lock"


class FolderInUse(Mistake):
    """Raised when another service already runs on the data folder."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"Trainyard already runs on {folder} (process {holder}): stop it, or set TRAINYARD_DATA to another folder."
        )


class FolderUnusable(Mistake):
    """Raised when nothing can be made in the data folder."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(f"The data folder {folder} cannot be used ({error.strerror}): set TRAINYARD_DATA to another folder.")


def make(folder: Path) -> None:
    """Make the data folder, unless it is there; FolderUnusable where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderUnusable(folder, error) from None


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the folder as long as the block runs; FolderInUse when another process does, FolderUnusable where nobody can."""
    make(folder)
    with _lock(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise FolderInUse(folder, file.read().strip() or "unknown") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _lock(folder: Path) -> TextIO:
    try:
        return (folder / LOCK).open("a+")
    except OSError as error:
        raise FolderUnusable(folder, error) from None
