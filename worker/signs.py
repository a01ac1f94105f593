"""Signs of life that a parent can read whatever else is away: each training process stamps the time into shared memory."""

import mmap
import struct
import time

_STAMP = struct.Struct("d")
_PLACES = 512


class Signs:
    """Made before the first fork; a place is a training process's number within its worker, and its successor's too."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _STAMP.size * _PLACES)

    def stamp(self, place: int, *, ahead: float = 0.0) -> None:
        """Say that the process at that place lives, and that nothing need be heard of it for some seconds."""
        self._write(place, time.monotonic() + ahead)

    def clear(self, place: int) -> None:
        """The process at that place is gone, and the next one is not warm yet."""
        self._write(place, 0.0)

    def silent_for(self, place: int) -> float:
        """Seconds since the last sign; 0 before the first."""
        [stamp] = _STAMP.unpack_from(self._memory, _offset(place))
        return time.monotonic() - stamp if stamp else 0.0

    def _write(self, place: int, stamp: float) -> None:
        _STAMP.pack_into(self._memory, _offset(place), stamp)


def _offset(place: int) -> int:
    return _STAMP.size * (place % _PLACES)
