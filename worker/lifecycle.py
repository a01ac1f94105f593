"""What happens as a worker and its training processes start and stop, by Celery's signals.

The parent must not import torch: a forked child with torch's threads hangs, and CUDA breaks in it.
"""

import mmap
import os
import signal
import sys
from pathlib import Path
from threading import Thread

import structlog
from billiard.process import current_process
from celery import Celery, signals

from app.upkeep.parent import ending_with
from worker.departure import see_off
from worker.nursery import Nursery
from worker.wiring import nursery, start_trainer, trainer

log = structlog.get_logger()

# Importing torch takes seconds, on a busy machine many.
WARM_UP_SECONDS = 120

# One byte that the children inherit: the parent sets it when it is told to stop, the training loops look at it.
_stop_flag = mmap.mmap(-1, 1)
# The same for this process alone.
_departing = False
_nursery: Nursery | None = None


def stopping() -> bool:
    """True once the worker, or this process of it, was asked to stop."""
    return _departing or _stop_flag[0] != 0


def connect(app: Celery) -> None:
    """Connect the signals; Celery holds them weakly unless told otherwise."""
    signals.setup_logging.connect(_keep_to_our_log, weak=False)
    # Not when the worker is ready: without a broker it never is, and its children train all the same.
    signals.worker_before_create_process.connect(_watch_children, weak=False)
    signals.worker_shutting_down.connect(_raise_stop_flag, weak=False)
    signals.worker_process_init.connect(_warm_up, weak=False)
    signals.worker_process_shutdown.connect(_leave, weak=False)


def _keep_to_our_log(**_: object) -> None:
    """Celery configures no logging where somebody hears this signal; what it says past all loggers goes nowhere."""
    sys.__stdout__ = Path(os.devnull).open("w")  # type: ignore[misc]  # noqa: SIM115 - as long as the process


def _raise_stop_flag(**_: object) -> None:
    _stop_flag[0] = 1
    see_off(_nursery.stop if _nursery else lambda: None)


def _watch_children(**_: object) -> None:
    global _nursery
    if _nursery is None:
        _nursery = nursery()
        _nursery.start()


def _warm_up(**_: object) -> None:
    assert _nursery is not None
    place, signs = current_process().index, _nursery.signs
    signs.stamp(place, ahead=WARM_UP_SECONDS)
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        if stopping():  # made in the place of one that has just gone
            os._exit(0)
        ending_with(os.getppid())()
        Thread(target=_await_departure, name="departure", daemon=True).start()
        start_trainer(stopping, slot=place, alive=lambda: signs.stamp(place))
    except Exception:  # Celery would keep a process that can train nothing; the parent replaces one that ends
        log.exception("trainer.cold")
        os._exit(1)


def _await_departure() -> None:
    """Whoever signals the whole group, or a parent's death, means this process too: it gives its job back and goes.

    No handler: Celery puts its own in place, and an exception from a handler strikes anywhere, also around a COMMIT.
    """
    global _departing
    signal.sigwait({signal.SIGTERM})
    _departing = True
    try:
        trainer().leave()
    finally:
        os._exit(0)


def _leave(**_: object) -> None:
    trainer().leave()
