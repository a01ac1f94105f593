"""Kills a process of its own at any line of ours: the crash points between every two statements that touch the world.

A nursery imports torch once and forks a process for each trial, which takes a fraction of a second. It is a process of its own,
for nothing may be forked that has used torch or has a database open.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from tests.servers.processes import die_with_parent

ROOT = Path(__file__).parents[2]
# What stands between a claim and its end. The engine is not here: it touches nothing but its own memory.
WATCHED = (
    "worker/run.py",
    "worker/pack.py",
    "worker/bookkeeper.py",
    "worker/attempt.py",
    "worker/publishing.py",
    "worker/preparation.py",
    "worker/trainer.py",
    "app/persistence/claims.py",
    "app/persistence/leases.py",
    "app/persistence/epochs.py",
    "app/persistence/events.py",
    "app/persistence/checkpoints.py",
    "app/persistence/recovery.py",
    "app/persistence/database.py",
    "app/storage/folder.py",
    "app/storage/many.py",
    "app/persistence/reports.py",
    "worker/durable.py",
    "worker/dataset_files.py",
    "worker/batch/run.py",
    "worker/batch/parts.py",
    "worker/batch/files.py",
    "app/persistence/batch_leases.py",
    "app/persistence/batch_claims.py",
    "app/persistence/due.py",
    "app/persistence/batch_predictions.py",
)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a process is to do: work off what is due, and die when it comes to a line for the n-th time, unless `at` is None."""

    database_url: str
    files: str
    owner: str
    at: tuple[str, int] | None = None
    occurrence: int = 1
    file_bytes: int | None = None
    """No file may grow beyond that, as on a disk that is full."""


@dataclass(frozen=True)
class Outcome:
    """How a process ended, and which lines it came to how often, in the order of their first time."""

    status: int
    lines: dict[tuple[str, int], int]


class Nursery:
    """Where such processes are born."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.faults.points"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=die_with_parent, text=True
        )

    def run(self, trial: Trial) -> Outcome:
        """Let a process live, and say how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(asdict(trial)), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        return Outcome(answer["status"], {(file, line): count for file, line, count in answer["lines"]})

    def close(self) -> None:
        """No more are born."""
        self._process.communicate(timeout=10)


@contextmanager
def nursery() -> Iterator[Nursery]:
    """One nursery for many trials."""
    made = Nursery()
    try:
        yield made
    finally:
        made.close()


def _trainer(trial: Trial) -> Any:
    """A trainer as the wiring makes it, that reports each epoch by itself and writes recovery points all the time."""
    from app.persistence.database import Database
    from tests.faults.weakened import OneByOne
    from worker.pulse import Periods
    from worker.trainer import Trainer

    return Trainer(
        database=Database(trial.database_url),
        storage=OneByOne(Path(trial.files)),
        name=trial.owner,
        device="cpu",
        threads=1,
        periods=Periods(lease=30, heartbeat=5, stall=60, checkpoint=0, report=0),
        stopping=lambda: False,
    )


def _live(trial: Trial, answer: int) -> None:
    """The whole life of a forked process."""
    os.dup2(2, 1)  # logs are not the answer
    if trial.file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (trial.file_bytes, trial.file_bytes))
    trainer = _trainer(trial)
    lines: dict[tuple[str, int], int] = {}
    sys.settrace(_tracer(trial, lines))
    trainer.work_off(hint="")
    sys.settrace(None)
    with os.fdopen(answer, "w") as pipe:
        json.dump([[file, line, count] for (file, line), count in lines.items()], pipe)


def _tracer(trial: Trial, lines: dict[tuple[str, int], int]) -> Callable[[FrameType, str, Any], Any]:
    watched = {str(ROOT / file): file for file in WATCHED}

    def on_call(frame: FrameType, event: str, argument: Any) -> Any:
        file = watched.get(frame.f_code.co_filename)
        if file is None:
            return None

        def on_line(frame: FrameType, event: str, argument: Any) -> Any:
            if event == "line":
                point = (file, frame.f_lineno)
                lines[point] = lines.get(point, 0) + 1
                if point == trial.at and lines[point] == trial.occurrence:
                    os.kill(os.getpid(), signal.SIGKILL)
            return on_line

        return on_line

    return on_call


def _bear(trial: Trial) -> dict[str, Any]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        status = 1
        try:
            _live(trial, writing)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    _, status = os.waitpid(pid, 0)
    return {"status": os.waitstatus_to_exitcode(status), "lines": json.loads(told) if told else []}


def main() -> None:
    """Read trials, answer outcomes, one a line."""
    import torch

    import worker.batch.run
    import worker.trainer  # noqa: F401 - what the children need

    torch.set_num_threads(1)
    for line in sys.stdin:
        wanted = json.loads(line)
        wanted["at"] = tuple(wanted["at"]) if wanted["at"] else None
        print(json.dumps(_bear(Trial(**wanted))), flush=True)


if __name__ == "__main__":
    main()
