"""Fair share: in which order the jobs of several projects are claimed, and so each one's place in the line."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from itertools import count, groupby


@dataclass(frozen=True)
class Standing:
    """How many jobs of a project run, and when one was claimed last: any number that grows, 0 for never."""

    running: int = 0
    claimed: int = 0


Waiting = tuple[int, int, str]
"""A queued job: its priority, its number, its project."""


def places(
    waiting: Sequence[Waiting], standings: Mapping[str, Standing], asked: Collection[int], *, most_running: int = 0
) -> dict[int, int]:
    """The places of the jobs with the numbers asked for: 1 is claimed next, should nothing that runs end meanwhile.

    Those of a project that trains `most_running` jobs by then, if that is not 0, stand behind all others.
    """
    left = set(asked)
    found: dict[int, int] = {}
    for place, number in enumerate(_claims(waiting, dict(standings), most_running), start=1):
        if not left:
            break
        if number in left:
            found[number] = place
            left.discard(number)
    return found


def _claims(waiting: Sequence[Waiting], now: dict[str, Standing], most_running: int) -> Iterator[int]:
    """Plays the claims: by priority, fewest running jobs of the project, longest since its last claim, then age.

    `now` becomes what they make of the projects' standings.
    """
    full: list[Waiting] = []
    clock = count(1 + max((standing.claimed for standing in now.values()), default=0))
    in_order = sorted(waiting, key=lambda job: (-job[0], job[1]))
    for _, alike in groupby(in_order, key=lambda job: job[0]):
        lines: dict[str, list[Waiting]] = {}
        for job in alike:
            room = most_running - now.get(job[2], Standing()).running if most_running else len(waiting)
            line = lines.setdefault(job[2], [])
            (line if len(line) < room else full).append(job)
        yield from _rounds({project: [number for _, number, _ in line] for project, line in lines.items() if line}, now, clock)
    if full:
        yield from _claims(full, now, 0)


def _rounds(lines: Mapping[str, list[int]], now: dict[str, Standing], clock: Iterator[int]) -> Iterator[int]:
    """The claims of one priority."""
    rests = {project: iter(numbers) for project, numbers in lines.items()}
    heads = []
    for project, rest in rests.items():
        standing = now.get(project, Standing())
        heads.append((standing.running, standing.claimed, next(rest), project))
    heapify(heads)
    while heads:
        running, _, number, project = heads[0]
        yield number
        now[project] = Standing(running + 1, next(clock))
        following = next(rests[project], None)
        if following is None:
            heappop(heads)
        else:
            heapreplace(heads, (running + 1, now[project].claimed, following, project))
