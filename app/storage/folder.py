"""A folder as storage: temporary name, fsync, rename, fsync of the folder."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from app.storage.many import put_each

PIECE = 1 << 20
TEMPORARY = ".tmp-"
# An empty file fits on a full disk, and so may one of a few bytes.
_BLOCK = bytes(4096)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path, *, below: Path | None = None) -> None:
    """Create a folder durably: each parent that had to be made is synced, or a power cut may lose the name.

    `below` is not made again: FileNotFoundError where it is gone.
    """
    if folder == below or folder.is_dir():
        return
    _make_folder(folder.parent, below=below)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


class Folder:
    """Implements Storage below a root folder, which is there or is made by `make`: no write makes it anew."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self) -> None:
        """Make the root folder, where there is none yet."""
        _make_folder(self.root.absolute())

    def _path(self, key: str) -> Path:
        path = (self.root / key).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise FileNotFoundError(key)
        return path

    def put(self, key: str, data: bytes) -> None:
        """See Storage.put."""
        path = self._path(key)
        _make_folder(path.parent, below=self.root.resolve())
        temporary = path.parent / f"{TEMPORARY}{uuid4().hex}"
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        except BaseException:
            self._forget(temporary)
            raise
        _sync_folder(path.parent)

    def put_all(self, contents: Mapping[str, bytes]) -> None:
        """See Storage.put_all."""
        put_each(self.put, contents)

    def put_file(self, key: str, path: Path) -> None:
        """See Storage.put_file; a file on the same disk is moved, not copied."""
        target = self._path(key)
        _make_folder(target.parent, below=self.root.resolve())
        temporary = target.parent / f"{TEMPORARY}{uuid4().hex}"
        try:
            shutil.move(path, temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.rename(target)
        except BaseException:
            self._forget(temporary)
            raise
        _sync_folder(target.parent)

    def _forget(self, temporary: Path) -> None:
        """A write failed: neither its file nor a folder made for it stays."""
        temporary.unlink(missing_ok=True)
        if temporary.parent != self.root:
            with suppress(OSError):  # other files are in it
                temporary.parent.rmdir()

    def get(self, key: str) -> bytes:
        """See Storage.get."""
        return self._path(key).read_bytes()

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """See Storage.stream; the file is opened before the first piece is asked for."""
        pieces = _pieces(self._path(key), start=start, left=None if end is None else end - start)
        next(pieces)
        return pieces

    def fetch(self, key: str, destination: Path, *, between: Callable[[], None] = lambda: None) -> Path:
        """See Storage.fetch."""
        path = self._path(key)
        if not path.is_file():
            raise FileNotFoundError(key)
        return path

    def delete(self, prefix: str) -> None:
        """See Storage.delete."""
        shutil.rmtree(self._path(prefix), ignore_errors=True)

    def folders(self, kind: str, *, older_than: float) -> Iterator[str]:
        """See Storage.folders."""
        for folder in _entries(self._path(kind)):
            if min(_age(path) for path in (folder, *_entries(folder))) > older_than:
                yield folder.name

    def remove_temporaries(self, *, older_than: float) -> int:
        """See Storage.remove_temporaries."""
        # Unlike rglob, walk passes over a folder that another janitor removes meanwhile.
        files = (Path(folder, name) for folder, _, names in os.walk(self.root) for name in names)
        old = [path for path in files if path.name.startswith(TEMPORARY) and _age(path) > older_than]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def check(self) -> None:
        """See Storage.check."""
        probe = self.root / f"{TEMPORARY}{uuid4().hex}"
        try:
            probe.write_bytes(_BLOCK)
        finally:
            probe.unlink(missing_ok=True)


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder; nothing where it is not there or gone meanwhile."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _age(path: Path) -> float:
    """Seconds since the last write; 0 where it is gone meanwhile, or its disk's clock is ahead."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except FileNotFoundError:
        return 0.0


def _pieces(path: Path, *, start: int, left: int | None) -> Iterator[bytes]:
    """Nothing first, with the file open: one that has begun closes it also where nobody reads on."""
    with path.open("rb") as file:
        file.seek(start)
        yield b""
        while piece := file.read(PIECE if left is None else min(PIECE, left)):
            left = None if left is None else left - len(piece)
            yield piece
