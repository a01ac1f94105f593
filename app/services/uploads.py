"""Receives an upload piece by piece: on disk, counted and hashed, gone afterwards."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from anyio import CapacityLimiter

from app.services.room import room_for

PREFIX = "upload-"
READ_AT_ONCE = 2


class Sink:
    """A temporary file that knows the size and SHA-256 of what was written."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.bytes = 0
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        """Append a piece."""
        self._file.write(piece)
        self._hash.update(piece)
        self.bytes += len(piece)

    def flush(self) -> None:
        """Let readers of the file see everything."""
        self._file.flush()

    @property
    def sha256(self) -> str:
        """Of everything so far."""
        return self._hash.hexdigest()


class Uploads:
    """The folder where uploads are received."""

    def __init__(self, folder: Path, *, most_json_bytes: int) -> None:
        self._folder = folder
        self.most_json_bytes = most_json_bytes
        """A JSON body is held in memory, so it may be less than a file."""
        self.turns = CapacityLimiter(READ_AT_ONCE)
        """Each is read by a process of its own: more at once would take memory, and threads from other requests."""

    @contextmanager
    def receive(self) -> Iterator[Sink]:
        """A sink; its file is removed when the block ends. Unavailable where the disk is full."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{PREFIX}{uuid4().hex}"
        try:
            with room_for("an upload"), path.open("wb") as file:
                yield Sink(path, file)
        finally:
            path.unlink(missing_ok=True)
