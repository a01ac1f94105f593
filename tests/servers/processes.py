"""Start a server as a child that ends with the tests, and wait on conditions with a limit."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Called in a child before its program starts: whatever ends the tests ends the child."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_until(condition: Callable[[], bool], *, seconds: float = 20, what: str = "the condition") -> None:
    """Return as soon as the condition holds; fail after the limit."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.01)


def free_port() -> int:
    """A port on the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether someone answers on that port of the loopback interface."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    user: int | None = None,
    stop: signal.Signals = signal.SIGTERM,
    inherit: bool = True,
) -> Iterator[subprocess.Popen[bytes]]:
    """A child process with its output in a file; it is asked to stop at the end, and killed if it does not within 15 s.

    Without `inherit` it has no other variables than those given.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**(os.environ if inherit else {}), **(environment or {})},
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    try:
        yield process
    finally:
        end(process, stop)


def command_line(pid: int) -> str:
    """What a process was started as; nothing when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def end(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> int:
    """Ask a process to stop, kill it if it does not within 15 s; its exit status."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        return process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def wait_until_listening(process: subprocess.Popen[bytes], port: int, *, log: Path, seconds: float = 20) -> None:
    """Return when the process listens; fail with its output when it ends instead."""

    def ready() -> bool:
        assert process.poll() is None, f"the server ended with {process.returncode}:\n{log.read_text()[-4000:]}"
        return listens(port)

    wait_until(ready, seconds=seconds, what=f"a server on port {port}")
