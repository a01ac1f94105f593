import os
import signal
import subprocess
import time

import pytest

from app.upkeep.signals import Signals, StopRequested


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_stop_ends_the_wait(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # under nohup SIGHUP is ignored
    try:
        with Signals() as signals:
            os.kill(os.getpid(), number)

            with pytest.raises(StopRequested):
                signals.wait(60)
    finally:
        signal.signal(number, before)


def test_the_wish_to_stop_is_not_forgotten() -> None:
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)

        for _ in range(2):
            with pytest.raises(StopRequested):
                signals.wait(60)


def test_the_end_of_a_child_ends_the_wait_early() -> None:
    with Signals() as signals, subprocess.Popen(["/bin/true"]):
        before = time.monotonic()
        signals.wait(60)

        assert time.monotonic() - before < 30


def test_afterwards_the_signals_mean_what_they_meant() -> None:
    before = signal.getsignal(signal.SIGINT)

    with Signals():
        pass

    assert signal.getsignal(signal.SIGINT) is before
