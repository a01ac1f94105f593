"""A caller of the API's own functions that remembers what it was promised, and asks again where it got no answer."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TypeVar

from fastapi import Response
from sqlalchemy.exc import OperationalError

from app.api import datasets, jobs, sweeps
from app.api.answers import Job
from app.api.services import Services
from app.domain.caller import Caller
from app.domain.errors import Conflict, InFlight, NotFound, TrainyardError
from app.domain.spec import JobSpec
from app.domain.sweep import SweepSpec

T = TypeVar("T")
ME = Caller()
SEEDS = (1, 2, 3)
MOST_EPOCHS = 4
NETWORK = {"hidden_layers": [4]}


@dataclass(frozen=True)
class Seen:
    """A job that an answer called terminal."""

    status: str
    stop_reason: str | None
    epoch: int


def seen(job: Job) -> Seen:
    """What may not change any more."""
    return Seen(job.status, job.stop_reason, job.progress.epoch)


@dataclass
class Client:
    """`pending` are the requests by key that no answer came to; `accepted` the jobs, `swept` the sweeps with their trials."""

    services: Services
    random: Random
    pending: dict[str, JobSpec | SweepSpec] = field(default_factory=dict)
    accepted: dict[str, str] = field(default_factory=dict)
    swept: dict[str, tuple[str, int]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    ended: dict[str, Seen] = field(default_factory=dict)

    def submit(self, dataset: str) -> None:
        """A job or a sweep."""
        key = f"key-{len(self.pending) + len(self.accepted) + len(self.swept)}-{self.random.random()}"
        self.pending[key] = (
            self._sweep(key, dataset) if self.random.random() < 0.3 else JobSpec.model_validate(self._spec(key, dataset))
        )
        self.ask(key)

    def _spec(self, key: str, dataset: str) -> dict[str, object]:
        return {
            "name": key,
            "dataset": dataset,
            "target": "size",
            "network": NETWORK,
            "epochs": self.random.randint(2, MOST_EPOCHS),
            "batch_size": 40,
            "seed": self.random.choice(SEEDS),
            "pack": self.random.random() < 0.6,
            "priority": self.random.randint(0, 2),
            "checkpoints": {"every": self.random.choice([None, 2]), "keep": 1},
        }

    def _sweep(self, key: str, dataset: str) -> SweepSpec:
        search = {"seed": {"choice": list(SEEDS)}}
        parallel = self.random.choice([None, 1, 2])
        body = {"name": key, "spec": self._spec(key, dataset), "search": search, "method": "grid", "parallel": parallel}
        return SweepSpec.model_validate(body)

    def ask(self, key: str) -> None:
        """Send a pending request; the same key again is the same request."""
        asked = self.pending[key]
        try:
            answer = self._create(asked, key)
        except (OperationalError, OSError, InFlight):
            return
        except TrainyardError:  # its dataset was deleted: that is an answer
            del self.pending[key]
            return
        del self.pending[key]
        id = json.loads(bytes(answer.body))["id"]
        if isinstance(asked, JobSpec):
            self.accepted[id] = key
        else:
            self.swept[id] = (key, len(SEEDS))

    def _create(self, asked: JobSpec | SweepSpec, key: str) -> Response:
        if isinstance(asked, JobSpec):
            return jobs.create(asked, ME, self.services, key)
        return sweeps.create(asked, ME, self.services, key)

    def change(self) -> None:
        """Cancel, pause or resume a job, or look at it."""
        call = self.random.choice([jobs.cancel, jobs.pause, jobs.resume, jobs.resume])
        for id in self._one_of(self.accepted):
            self._notice(self._attempted(partial(call, id, ME, self.services)))

    def cancel_sweep(self) -> None:
        """Cancel a sweep."""
        for id in self._one_of(self.swept):
            self._attempted(partial(sweeps.cancel, id, ME, self.services))

    def delete(self) -> None:
        """Delete a job, if it is over."""
        for id in self._one_of(self.ended):
            self.deleted.add(id)
            self._attempted(partial(jobs.delete, id, ME, self.services))

    def delete_dataset(self, id: str) -> None:
        """Delete a dataset, if no job needs it."""
        self._attempted(partial(datasets.delete, id, ME, self.services))

    def resume(self, id: str) -> None:
        """Let a paused job go on."""
        self._attempted(partial(jobs.resume, id, ME, self.services))

    def _one_of(self, ids: Iterable[str]) -> list[str]:
        there = [id for id in ids if id not in self.deleted]
        return [self.random.choice(there)] if there else []

    def _attempted(self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except (OperationalError, OSError, Conflict, NotFound):
            return None

    def _notice(self, job: Job | None) -> None:
        """What an answer called terminal before stands in every later answer alike."""
        if job is not None and job.terminal:
            assert self.ended.setdefault(job.id, seen(job)) == seen(job)
