"""One service per data folder: an exclusive lock that the kernel drops when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.domain.mistakes import Mistake

LOCK = "lock"


class FolderInUse(Mistake):
    """Raised when another service already runs on the data folder."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"Trainyard already runs on {folder} (process {holder}): stop it, or set TRAINYARD_DATA to another folder."
        )


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the folder as long as the block runs; FolderInUse when another process does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise FolderInUse(folder, file.read().strip() or "unknown") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
