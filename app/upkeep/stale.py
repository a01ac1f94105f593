"""Stops what a killed service left running on a data folder.

Every child carries the folder in its environment, and so does whatever it starts: that mark is read again after the process
is pinned by a descriptor, so a number that the kernel gave to somebody else is never signalled. Where there is no /proc
nothing is found, and nothing is done.
"""

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

MARK = "TRAINYARD_SUPERVISED"
PATIENCE_SECONDS = 5.0
KILLING_ROUNDS = 5


def stop_stale(folder: Path, *, patience: float = PATIENCE_SECONDS) -> int:
    """Ask every marked process to stop, kill those that do not and what they started meanwhile; how many there were."""
    found = _signal_all(folder, signal.SIGTERM, patience=patience)
    for _ in range(KILLING_ROUNDS):
        if not _signal_all(folder, signal.SIGKILL, patience=patience):
            break
    return found


def marked(folder: Path) -> Iterator[int]:
    """The processes that carry the folder's mark."""
    mark = f"{MARK}={folder}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # it ended, or is another user's
            continue
        if mark in environment:
            yield int(entry.name)


@contextmanager
def pinned(pid: int) -> Iterator[int | None]:
    """A descriptor that stands for this very process, whatever becomes of its number; None when it is gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor if _still_marked(pid) else None
    finally:
        os.close(descriptor)


def _still_marked(pid: int) -> bool:
    try:
        return f"\0{MARK}=".encode() in b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _signal_all(folder: Path, how: signal.Signals, *, patience: float) -> int:
    """Signal every marked process and wait a while for them to end; how many there were."""
    with ExitStack() as stack:
        descriptors = [stack.enter_context(pinned(pid)) for pid in marked(folder)]
        found = [descriptor for descriptor in descriptors if descriptor is not None]
        for descriptor in found:
            _signal(descriptor, how)
        _wait_for(found, patience=patience)
        return len(found)


def _signal(descriptor: int, how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, how)


def _wait_for(descriptors: list[int], *, patience: float) -> None:
    end = time.monotonic() + patience
    while descriptors and (rest := end - time.monotonic()) > 0:
        ended, _, _ = select.select(descriptors, [], [], rest)
        descriptors = [descriptor for descriptor in descriptors if descriptor not in ended]
