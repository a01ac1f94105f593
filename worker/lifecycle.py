"""What happens as a worker and its training processes start and stop, by Celery's signals.

The parent must not import torch: a forked child with torch's threads hangs, and CUDA breaks in it.
"""

import mmap
import os
from threading import Event, Lock, Thread

import structlog
from billiard.process import active_children, current_process
from celery import Celery, signals

from worker.wiring import process_name, reaper, start_trainer, trainer

log = structlog.get_logger()

LOOK_SECONDS = 0.25

# One byte that the children inherit: the parent sets it when it is told to stop, the training loops look at it.
_stop_flag = mmap.mmap(-1, 1)

# A child that is forked while this process has SQLite open inherits locks that nobody gives back: "database is locked".
_no_fork = Lock()
os.register_at_fork(before=_no_fork.acquire, after_in_parent=_no_fork.release, after_in_child=_no_fork.release)


def stopping() -> bool:
    """True once the worker was asked to stop."""
    return _stop_flag[0] != 0


def connect(app: Celery) -> None:
    """Connect the signals; Celery holds them weakly unless told otherwise."""
    signals.worker_ready.connect(_watch_children, weak=False)
    signals.worker_shutting_down.connect(_raise_stop_flag, weak=False)
    signals.worker_process_init.connect(_warm_up, weak=False)
    signals.worker_process_shutdown.connect(_leave, weak=False)


def _raise_stop_flag(**_: object) -> None:
    _stop_flag[0] = 1


def _warm_up(**_: object) -> None:
    try:
        start_trainer(stopping, slot=getattr(current_process(), "index", 0))
    except Exception:  # Celery would keep a process that can train nothing; the parent replaces one that ends
        log.exception("trainer.cold")
        os._exit(1)


def _leave(**_: object) -> None:
    trainer().leave()


def _watch_children(**_: object) -> None:
    Thread(target=_give_back_jobs_of_the_dead, name="children", daemon=True).start()


def _give_back_jobs_of_the_dead() -> None:
    """The parent sees a child's death at once; its lease would take half a minute to say so."""
    alive: set[int] = set()
    tick = Event()
    while not tick.wait(LOOK_SECONDS):
        now = {child.pid for child in active_children()}
        for pid in alive - now:
            _bury(pid)
        alive = now


def _bury(pid: int) -> None:
    try:
        with _no_fork:
            reaper().bury(process_name(pid))
    except Exception as error:  # the database is away: the lease will expire
        log.warning("children.failed", error=repr(error))
