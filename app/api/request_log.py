"""The id of each request and its line in the log; the lines of one turn of the event loop are one write."""

import asyncio
import re
from random import Random

from structlog.typing import EventDict

from app.logs import lines, timestamp

REQUEST_ID = b"x-request-id"
_ACCEPTED = re.compile(rb"[A-Za-z0-9._-]{1,128}")
# Seeded by the system in each process; an id is to be rare, and may be guessed.
_ids = Random()  # noqa: S311


def request_id_of(asked: bytes) -> str:
    """The caller's, where it may stand in a log, else one of ours."""
    return asked.decode() if asked and _ACCEPTED.fullmatch(asked) else f"req_{_ids.getrandbits(128):032x}"


class RequestLog:
    """Used on one event loop."""

    def __init__(self) -> None:
        self._waiting: list[EventDict] = []

    def note(self, method: str, path: str, job: str | None, *, request_id: str, status: int, seconds: float) -> None:
        """Written when the loop has done what is due now: no answer waits for a line."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write)
        entry = {
            "method": method,
            "path": path,
            "status": status,
            "ms": round(1000 * seconds, 1),
            "event": "request",
            "request_id": request_id,
            "level": "info",
            "timestamp": timestamp(),
        }
        if job:
            entry["job"] = job
        self._waiting.append(entry)

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        lines.write(waiting)
