import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app.upkeep.child import LOG_BYTES, Child, Program
from tests.servers.processes import wait_until


def child_of(script: str, folder: Path) -> Child:
    return Child(Program(name="thing", command=("/bin/sh", "-c", script)), log=folder / "thing.log")


def said(folder: Path) -> list[str]:
    return (folder / "thing.log").read_text().split()


def is_alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_dead_process_is_started_again_and_its_death_is_told_once(tmp_path: Path) -> None:
    child = child_of(f"echo again; [ -e {tmp_path}/died ] && exec sleep 60; touch {tmp_path}/died; exit 3", tmp_path)
    child.start()
    wait_until(lambda: child.status() is not None)

    sentences = [child.revive()]
    while len(said(tmp_path)) < 2:
        sentences.append(child.revive())

    told = [sentence for sentence in sentences if sentence]
    assert len(told) == 1
    assert told[0].startswith("The thing ended (status 3) and is started again in 0.25 s; see ")
    child.wait_or_kill(time.monotonic() + 5)


def test_a_process_that_keeps_dying_is_started_later_and_later(tmp_path: Path) -> None:
    child = child_of("exit 1", tmp_path)
    child.start()
    told: list[str] = []

    def twice() -> bool:
        told.extend(sentence for sentence in [child.revive()] if sentence)
        return len(told) == 2

    wait_until(twice)

    assert "in 0.25 s" in told[0]
    assert "in 0.5 s" in told[1]


def test_a_child_has_a_session_of_its_own(tmp_path: Path) -> None:
    """Ctrl-C at the terminal then reaches only the supervisor."""
    child = child_of("ps -o sid= -p $$", tmp_path)
    child.start()
    child.wait_or_kill(time.monotonic() + 5)

    assert said(tmp_path) != [str(os.getsid(0))]


def test_a_deaf_child_is_killed_with_what_it_started(tmp_path: Path) -> None:
    child = child_of("trap '' TERM; sleep 60 & echo $!; wait; wait", tmp_path)
    child.start()
    wait_until(lambda: len(said(tmp_path)) == 1)
    grandchild = int(said(tmp_path)[0])

    child.ask_to_stop()
    child.wait_or_kill(time.monotonic() + 0.1)

    assert child.status() == -signal.SIGKILL
    wait_until(lambda: not is_alive(grandchild))


def test_what_a_dead_process_left_is_killed_before_it_is_started_again(tmp_path: Path) -> None:
    child = child_of("sleep 60 & echo $!; kill -9 $$", tmp_path)
    child.start()
    wait_until(lambda: child.status() is not None)

    child.revive()

    wait_until(lambda: not is_alive(int(said(tmp_path)[0])))


def test_a_large_log_is_set_aside_while_the_process_goes_on(tmp_path: Path) -> None:
    child = child_of(f"head -c {LOG_BYTES + 1} /dev/zero; echo; while :; do echo more; sleep 0.01; done", tmp_path)
    child.start()
    wait_until(lambda: (tmp_path / "thing.log").stat().st_size > LOG_BYTES)

    child.trim_log()

    assert (tmp_path / "thing.log.1").stat().st_size > LOG_BYTES
    wait_until(lambda: said(tmp_path)[-1:] == ["more"])
    assert (tmp_path / "thing.log").stat().st_size < LOG_BYTES
    child.ask_to_stop()
    child.wait_or_kill(time.monotonic() + 5)


PARENT = """
import sys, time
from pathlib import Path
from app.upkeep.child import Child, Program
Child(Program(name="thing", command=("/bin/sh", "-c", "echo $$; exec sleep 60")), log=Path(sys.argv[1])).start()
time.sleep(60)
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / "thing.log")])
    yield process
    process.kill()
    process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the parent-death signal")
def test_a_child_dies_with_its_parent(parent: subprocess.Popen[bytes], tmp_path: Path) -> None:
    wait_until(lambda: (tmp_path / "thing.log").exists() and len(said(tmp_path)) == 1)
    pid = int(said(tmp_path)[0])
    assert is_alive(pid)

    parent.kill()
    parent.wait()

    wait_until(lambda: not is_alive(pid))
