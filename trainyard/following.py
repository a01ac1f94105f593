"""The event stream of a job, followed over lost connections without losing or repeating an event."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import httpx2

from trainyard.connection import Connection
from trainyard.problem import TrainyardProblem

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Event:
    """Something that happened to a job: `epochs`, `status`, `checkpoint`, or `done` as the last."""

    id: str
    type: str
    data: object


class Follower:
    """Follows one job; `last_id` is that of the last event seen."""

    def __init__(self, connection: Connection, job_id: str, *, every: int) -> None:
        self.last_id = ""
        self._connection = connection
        self._path = f"/v1/jobs/{job_id}/stream"
        self._every = every
        self._saw_something()

    def events(self) -> Iterator[Event]:
        """Every event up to `done`; a lost connection is made again and continues behind the last event seen.

        Raises TrainyardProblem when the service refuses, httpx2.TransportError when it cannot be reached for two minutes.
        """
        done = False
        while not done:
            for event in self._until_lost():
                done = event.type == "done"
                yield event
            if not done:
                self._rest()

    def _until_lost(self) -> Iterator[Event]:
        try:
            for event in self._connected():
                self.last_id = event.id
                self._saw_something()
                yield event
        except (httpx2.TransportError, TrainyardProblem) as error:
            if _is_final(error) or time.monotonic() - self._since > PATIENCE_SECONDS:
                raise

    def _connected(self) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self.last_id} if self.last_id else {})
        response = self._connection.stream(self._path, headers=headers, params={"every": self._every})
        with closing(response):
            if response.status_code == httpx2.codes.NO_CONTENT:  # we have seen it all
                yield Event(self.last_id, "done", None)
                return
            for event in httpx2.EventSource(response):
                yield Event(event.id, event.event, event.json())

    def _saw_something(self) -> None:
        self._since, self._pause = time.monotonic(), FIRST_PAUSE_SECONDS

    def _rest(self) -> None:
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)


def _is_final(error: Exception) -> bool:
    return isinstance(error, TrainyardProblem) and error.status < httpx2.codes.INTERNAL_SERVER_ERROR and error.status != 429
