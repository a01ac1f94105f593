"""Fair share: in which order the jobs of several projects are claimed, and so each one's place in the line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

Recency = tuple[Any, ...]
"""When a project had a job claimed last: orders projects, whatever it is made of."""


@dataclass(frozen=True)
class Standing:
    """How many jobs of a project run, and when one was claimed last."""

    running: int = 0
    claimed: Recency = (0, 0)


@dataclass(frozen=True, kw_only=True)
class Queue:
    """The queued jobs of one project and one priority, by age: how many, and the number of the first."""

    priority: int
    project: str
    jobs: int
    first: int
    ahead: int = 0
    """Of the whole queue, where this is what is left of it: how many were before these."""


@dataclass(frozen=True)
class Waiting:
    """A queued job: its queue, and how many stand before it there."""

    priority: int
    project: str
    rank: int


@dataclass(frozen=True)
class _Turns:
    """A queue that is being claimed: its n-th job is due when `running` + n of the project's run."""

    queue: Queue
    start: Standing

    @property
    def key(self) -> Recency:
        """The order among those with as many running: who came to it later starts with fewer, and goes first."""
        return (-self.start.running, self.start.claimed, self.queue.first)

    def claims_before(self, running: int) -> int:
        """How many are claimed while the project has fewer running than that."""
        return max(0, min(self.queue.jobs, running - self.start.running))

    def has_turn_at(self, running: int) -> bool:
        """True where one is claimed while just so many run."""
        return 0 <= running - self.start.running < self.queue.jobs

    def ended(self, stage: int) -> Standing:
        """Where the project stands once all of them are claimed."""
        running = self.start.running + self.queue.jobs
        return Standing(running, (stage, running, *self.key))


def places(
    queues: Sequence[Queue], standings: Mapping[str, Standing], asked: Mapping[int, Waiting], *, most_running: int = 0
) -> dict[int, int]:
    """The places of the jobs asked for, by their numbers: 1 is claimed next, should nothing that runs end meanwhile.

    By priority, fewest running jobs of the project, longest since its last claim, then age. Those of a project that trains
    `most_running` jobs by then, if that is not 0, stand behind all others.
    """
    now, found = dict(standings), dict[int, int]()
    left, gone = _play(queues, now, asked, found, most_running=most_running)
    _play(left, now, asked, found, most_running=0, gone=gone)
    return found


def _play(
    queues: Sequence[Queue],
    now: dict[str, Standing],
    asked: Mapping[int, Waiting],
    found: dict[int, int],
    *,
    most_running: int,
    gone: int = 0,
) -> tuple[list[Queue], int]:
    """Claims all that may be claimed after `gone` others; what is left, and how many are gone then.

    `now` becomes what the claims make of the projects' standings, `found` gets the places of those asked for.
    """
    left: list[Queue] = []
    for priority, alike in groupby(sorted(queues, key=lambda queue: -queue.priority), key=lambda queue: queue.priority):
        turns: dict[str, _Turns] = {}
        for queue in alike:
            standing = now.get(queue.project, Standing())
            room = min(queue.jobs, max(0, most_running - standing.running)) if most_running else queue.jobs
            turns[queue.project] = _Turns(replace(queue, jobs=room), standing)
            left.append(replace(queue, jobs=queue.jobs - room, ahead=room))
        for number, waiting in asked.items():
            if waiting.priority == priority and (place := _place(waiting, turns)):
                found[number] = gone + place
        stage = 1 + gone
        gone += sum(turn.queue.jobs for turn in turns.values())
        now |= {project: turn.ended(stage) for project, turn in turns.items() if turn.queue.jobs}
    return [queue for queue in left if queue.jobs], gone


def _place(waiting: Waiting, turns: Mapping[str, _Turns]) -> int | None:
    """The place among the claims of one priority; None where it is not among them."""
    mine = turns.get(waiting.project)
    turn = -1 if mine is None else waiting.rank - mine.queue.ahead
    if mine is None or not 0 <= turn < mine.queue.jobs:
        return None
    running, others = mine.start.running + turn, turns.values()
    return 1 + sum(other.claims_before(running) + (other.has_turn_at(running) and other.key < mine.key) for other in others)
