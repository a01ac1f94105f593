"""Waiting that ends early: at a signal to stop, or when a child ends."""

import select
import signal
import socket
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

Handler = Callable[[int, FrameType | None], object] | int | None


class StopRequested(Exception):
    """Raised by `wait` once this process was asked to stop."""


class Signals:
    """While it is entered, SIGINT, SIGTERM and SIGHUP end the next `wait`, and SIGCHLD only wakes it.

    The handlers do nothing but note the wish: an exception from a handler could strike anywhere.
    """

    def __init__(self) -> None:
        self._stopping = False
        self._before: dict[signal.Signals, Handler] = {}
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # under nohup it stays ignored
                self._before[number] = signal.signal(number, self._note)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for end in (self._reader, self._writer):
            end.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def wait(self, seconds: float) -> None:
        """Return after that time, or as soon as a child ended; StopRequested when asked to stop."""
        if not self._stopping:
            readable, _, _ = select.select([self._reader], [], [], seconds)
            if readable:
                self._reader.recv(4096)
        if self._stopping:
            raise StopRequested
