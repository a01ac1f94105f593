"""A worker that is told to stop ends, whatever keeps Celery."""

import os
import subprocess
import sys
from pathlib import Path

_HELD = """
import os, signal, time
from billiard import Process, Value
from worker.departure import see_off

PARENT = os.getpid()

def train():
    print("warm", flush=True)
    signal.sigwait({signal.SIGTERM})
    time.sleep(0.3)  # it saves
    print("gave back, its parent is there:", os.getppid() == PARENT, flush=True)

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
shared = Value("i")  # in the temporary folder of the pool
print("folders:", len(os.listdir(os.environ["TMPDIR"])), flush=True)
Process(target=train).start()
see_off(lambda: print("looked a last time", flush=True))
while True:
    signal.pause()
"""


def test_a_worker_ends_once_its_processes_have_given_back_also_where_celery_hangs(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", _HELD], env=environment, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 0
    first, _, *told = ended.stdout.splitlines()
    assert told == ["gave back, its parent is there: True", "looked a last time"]
    assert (first, list(tmp_path.iterdir())) == ("folders: 1", [])
