"""A worker that is told to stop ends, whatever keeps Celery."""

import subprocess
import sys

_HELD = """
import os, signal, time
from billiard import Process
from worker.departure import see_off

PARENT = os.getpid()

def train():
    print("warm", flush=True)
    signal.sigwait({signal.SIGTERM})
    time.sleep(0.3)  # it saves
    print("gave back, its parent is there:", os.getppid() == PARENT, flush=True)

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
Process(target=train).start()
see_off(lambda: print("looked a last time", flush=True))
while True:
    signal.pause()
"""


def test_a_worker_ends_once_its_processes_have_given_back_also_where_celery_hangs() -> None:
    ended = subprocess.run([sys.executable, "-c", _HELD], capture_output=True, text=True, timeout=60)

    assert ended.returncode == 0
    assert ended.stdout.splitlines()[1:] == ["gave back, its parent is there: True", "looked a last time"]
