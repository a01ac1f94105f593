"""The meters of all API processes that share a folder, with those of processes that ended folded into one file."""

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import structlog

from app.telemetry.meter import Key, Meter, read_file

log = structlog.get_logger()

_LOCK, _ENDED, _SUFFIX = "lock", "ended.json", ".meter"


@dataclass(frozen=True)
class Reading:
    """How many processes count, and what all that ever did have counted."""

    processes: int
    numbers: Mapping[Key, int]


@dataclass
class _Ended:
    """The numbers of meters that were folded, and the names of those whose files may still be there."""

    numbers: Counter[Key] = field(default_factory=Counter)
    folded: set[str] = field(default_factory=set)


class Meters:
    """One for each process, whose own meter it opens; where the folder cannot be used a process counts alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.own = self._open()
        self.read()  # folds those of ended processes, also where nobody ever asks: each start would leave another file

    def _open(self) -> Meter:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._locked():
                return Meter.at(self._folder / f"{uuid4().hex}{_SUFFIX}")
        except OSError as error:
            log.warning("meter.alone", error=type(error).__name__)
            return Meter.unshared()

    def close(self) -> None:
        """Leave the numbers of this process to the others."""
        self.own.close()

    def read(self) -> Reading:
        """The sum over all processes, the ended ones included, each exactly once."""
        if not self.own.is_shared:
            return self._alone()
        try:
            return self._read()
        except OSError as error:  # the folder is gone
            log.warning("meter.alone", error=type(error).__name__)
            return self._alone()

    def _alone(self) -> Reading:
        return Reading(1, self.own.read())

    def _read(self) -> Reading:
        with self._locked():
            ended = self._load()
            living: Counter[Key] = Counter()
            processes, dead = 0, set()
            for path in self._unfolded(ended):
                numbers, alive = _measure(path)
                (living if alive else ended.numbers).update(numbers)
                processes += alive
                dead |= set() if alive else {path.name}
            if dead:
                self._fold(_Ended(ended.numbers, dead))
        return Reading(processes, living + ended.numbers)

    def _unfolded(self, ended: _Ended) -> list[Path]:
        """The meters that count; those which are folded already, by one who died before removing them, are removed."""
        for name in ended.folded:
            (self._folder / name).unlink(missing_ok=True)
        return sorted(self._folder.glob(f"*{_SUFFIX}"))

    def _fold(self, ended: _Ended) -> None:
        """The names stand in the file that has the numbers: a crash in between loses nothing and has nothing count twice."""
        document = {"numbers": list(ended.numbers.items()), "folded": sorted(ended.folded)}
        temporary = self._folder / f"{_ENDED}.tmp"
        with suppress(OSError):  # a full disk: they are read again next time
            temporary.write_text(json.dumps(document))
            temporary.replace(self._folder / _ENDED)
            for name in ended.folded:
                (self._folder / name).unlink()

    def _load(self) -> _Ended:
        try:
            document = json.loads((self._folder / _ENDED).read_text())
            numbers = Counter({tuple(map(str, key)): int(number) for key, number in document["numbers"]})
            return _Ended(numbers, set(document["folded"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # none yet, or none any more after a power failure
            return _Ended()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _measure(path: Path) -> tuple[dict[Key, int], bool]:
    """The numbers of a meter, and whether its process lives."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        return read_file(descriptor), not _is_free(descriptor)
    finally:
        os.close(descriptor)


def _is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
