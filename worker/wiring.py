"""Puts the worker together; the parent process must not import torch, so only `start_trainer`, called in a child, does."""

import os
import socket
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

import structlog

from app.loading import collector_at_rest, prepare_torch
from app.persistence.database import Database
from app.persistence.stored import oldest
from app.settings import Settings
from app.storage.opening import open_storage
from app.upkeep.machine import gpu_of, memory_budget, sharing_a_gpu
from worker.exits import SPOILED
from worker.nursery import Nursery
from worker.reaper import Reaper

if TYPE_CHECKING:
    from worker.trainer import Trainer

log = structlog.get_logger()

_trainers: "dict[int, Trainer]" = {}


@cache
def settings() -> Settings:
    """The settings of the environment, read once."""
    return Settings()


def process_name(pid: int) -> str:
    """The owner of a lease: a process of this host."""
    return f"{socket.gethostname()}:{pid}"


def start_trainer(stopping: Callable[[], bool], *, slot: int, alive: Callable[[], None]) -> None:
    """Build and warm up this child's trainer; a child that takes the place of a dead one has its slot, and so its GPU."""
    chosen, gpu = settings(), gpu_of(slot)
    # Counted before this process is shown one GPU alone.
    sharing, host = sharing_a_gpu(chosen.slots), chosen.memory_bytes or memory_budget(chosen.slots)
    _bind(gpu)
    with collector_at_rest():
        from worker.pulse import Periods
        from worker.trainer import Trainer

    device, database = _device(gpu), Database(chosen.resolved_database_url)
    periods = Periods(
        lease=chosen.lease_seconds,
        heartbeat=chosen.heartbeat_seconds,
        stall=chosen.stall_seconds,
        checkpoint=chosen.checkpoint_seconds,
        report=chosen.report_seconds,
        idle=chosen.idle_seconds,
        retry=chosen.storage_retry_seconds,
        patience=chosen.storage_patience_seconds,
    )
    _trainers[os.getpid()] = Trainer(
        database=database,
        storage=open_storage(chosen.resolved_storage_url, oldest=partial(oldest, database)),
        name=process_name(os.getpid()),
        device=device,
        threads=chosen.threads,
        memory=_free(sharing) if device == "cuda" else host,
        host_memory=host if device == "cuda" else None,
        most_running=chosen.project_running_jobs,
        periods=periods,
        stopping=stopping,
        alive=alive,
        replace=partial(os._exit, SPOILED),
    )
    trainer().warm_up()


def trainer() -> "Trainer":
    """This process's trainer; keyed by process, for a fork copies what its parent built."""
    return _trainers[os.getpid()]


def nursery() -> Nursery:
    """Watches this worker's training processes."""
    chosen = settings()
    reaper = Reaper(chosen.resolved_database_url, chosen.resolved_redis_url, max_crashes=chosen.max_crashes)
    return Nursery(reaper, host=socket.gethostname(), silence=chosen.stall_seconds)


def _free(sharing: int) -> int:
    """Bytes of the GPU that a job may use: what is free now, before there is any, but for a tenth."""
    import torch

    return int(torch.cuda.mem_get_info()[0] * 0.9) // sharing


def _bind(gpu: str | None) -> None:
    """Show CUDA, which nothing has touched yet, one GPU, and prepare torch for it."""
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    prepare_torch()


def _device(gpu: str | None) -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if gpu is not None:
        log.error("gpu.missing", gpu=gpu)  # jobs for the CPU are trained all the same
    return "cpu"
