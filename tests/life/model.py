"""The life of a job as docs and semantics say it, in plain Python: what the database must agree with after every step."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

HELD = ("running", "pausing", "cancelling")
TERMINAL = ("succeeded", "failed", "cancelled")
RELEASED = {"running": "queued", "pausing": "paused", "cancelling": "cancelled"}
CANCELLED = {"queued": "cancelled", "paused": "cancelled"} | dict.fromkeys(HELD, "cancelling")
PAUSED = {"queued": "paused", "paused": "paused", "running": "pausing", "pausing": "pausing"}
RESUMED = {"paused": "queued", "queued": "queued", "running": "running"}
MOST_CRASHES = 3
POINTS_KEPT = 2
PERIODIC_KEPT = 2


@dataclass(frozen=True)
class Seat:
    """A place in a stack, kept for life."""

    leader: int
    size: int
    position: int


@dataclass
class ModelJob:
    """`points` are the epochs of its recovery points, newest first; `resting` while it waits after a crash."""

    id: str
    number: int
    priority: int
    packs: bool
    sweep: str | None = None
    status: str = "queued"
    stop_reason: str | None = None
    attempt: int = 0
    owner: str | None = None
    expired: bool = False
    resting: bool = False
    epoch: int = 0
    points: list[int] = field(default_factory=list)
    checkpoints: dict[int, frozenset[str]] = field(default_factory=dict)
    crashes: int = 0
    pack_crashes: int = 0
    seat: Seat | None = None

    @property
    def held(self) -> bool:
        """True while an attempt may write about it."""
        return self.status in HELD

    @property
    def terminal(self) -> bool:
        """True when nothing follows."""
        return self.status in TERMINAL

    def claim(self, owner: str, seat: Seat) -> None:
        """The next attempt begins at the newest recovery point and forgets what lies beyond."""
        self.status, self.owner, self.seat, self.expired = "running", owner, seat, False
        self.attempt += 1
        self.epoch = self.points[0] if self.points else 0
        self.checkpoints = {epoch: kinds for epoch, kinds in self.checkpoints.items() if epoch <= self.epoch}

    def save(self) -> None:
        """A recovery point; one beyond the others is progress."""
        if not self.points or self.epoch > self.points[0]:
            self.crashes = self.pack_crashes = 0
        self.points = [self.epoch, *self.points][:POINTS_KEPT]

    def publish(self, kinds: frozenset[str]) -> None:
        """One `best`, one `last`, the newest periodic ones; a checkpoint that is none of these goes."""
        left = {epoch: old - (kinds & {"best", "last"}) for epoch, old in self.checkpoints.items()}
        left[self.epoch] = left.get(self.epoch, frozenset()) | kinds
        periodic = sorted((epoch for epoch, old in left.items() if "periodic" in old), reverse=True)
        for epoch in periodic[PERIODIC_KEPT:]:
            left[epoch] -= {"periodic"}
        self.checkpoints = {epoch: old for epoch, old in left.items() if old}

    def end(self, status: str, reason: str) -> None:
        """Nothing changes afterwards, and nothing is kept to go on from."""
        self.status, self.stop_reason, self.owner, self.points = status, reason, None, []

    def move(self, status: str) -> None:
        """What a caller asked for."""
        if status == "cancelled":
            self.end(status, status)
        self.status = status

    def release(self) -> None:
        """No attempt holds it any more."""
        self.owner = None
        self.move(RELEASED[self.status])

    def give_back(self) -> None:
        """Its worker stopped politely, which is no crash."""
        self.crashes = self.pack_crashes = 0
        self.resting = False
        self.release()

    def crash(self, *, packed: bool) -> None:
        """Its worker died, alone with it or with a whole pack."""
        self.resting = self.crashes + self.pack_crashes > 0
        self.crashes, self.pack_crashes = self.crashes + (not packed), self.pack_crashes + packed
        if self.status == "running" and not packed and self.crashes >= MOST_CRASHES:
            self.end("failed", "worker_lost")
        else:
            self.release()


@dataclass
class Model:
    """All jobs by id in the order of their age, and how many trials of a sweep may train at once."""

    jobs: dict[str, ModelJob] = field(default_factory=dict)
    parallel: dict[str, int | None] = field(default_factory=dict)

    def due(self) -> list[ModelJob]:
        """Jobs that may be claimed, in the order in which they are."""
        waiting = [job for job in self.jobs.values() if job.status == "queued" and not job.resting and self._room(job)]
        return sorted(waiting, key=lambda job: (-job.priority, job.number))

    def _room(self, job: ModelJob) -> bool:
        most = None if job.sweep is None else self.parallel[job.sweep]
        return most is None or self.trained(job.sweep) < most

    def trained(self, sweep: str | None) -> int:
        """How many trials of a sweep are held."""
        return sum(job.held for job in self.jobs.values() if job.sweep == sweep)

    def crash(self, lost: Iterable[ModelJob]) -> None:
        """These jobs lost their workers at once; those of one owner were a pack."""
        lost = list(lost)
        together = Counter(job.owner for job in lost)
        for job, owner in [(job, job.owner) for job in lost]:
            job.crash(packed=together[owner] > 1)
