import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.upkeep.stale import MARK, marked, stop_stale
from tests.servers.processes import wait_until

DEAF = "trap '' TERM; echo started; sleep 60"


@contextmanager
def left_behind(script: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A shell that carries the folder's mark, as a child of a killed service does; it has said `started`."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", script], env={MARK: str(folder), "PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_what_a_killed_service_left_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    with left_behind("sleep 60 & echo started; wait", tmp_path) as process:
        wait_until(lambda: len(list(marked(tmp_path))) == 2, what="the shell's own child")

        assert stop_stale(tmp_path) == 2

        assert process.wait() != 0
        assert list(marked(tmp_path)) == []


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    with left_behind(DEAF, tmp_path) as process:
        stop_stale(tmp_path, patience=0.1)

        assert process.wait() == -9


def test_another_folders_service_is_left_alone(tmp_path: Path) -> None:
    with left_behind("echo started; exec sleep 60", tmp_path / "other") as process:
        assert stop_stale(tmp_path) == 0

        assert process.poll() is None
