"""A worker that is told to stop ends, whatever keeps Celery."""

import subprocess
import sys

_HELD = """
import os, signal
from billiard import Process
from worker.departure import see_off

def train():
    print("warm", flush=True)
    signal.sigwait({signal.SIGTERM})
    print("gave back", flush=True)

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
Process(target=train).start()
see_off()
while True:
    signal.pause()
"""


def test_a_worker_ends_once_its_processes_have_given_back_also_where_celery_hangs() -> None:
    ended = subprocess.run([sys.executable, "-c", _HELD], capture_output=True, text=True, timeout=60)

    assert ended.returncode == 0
    assert "gave back" in ended.stdout
