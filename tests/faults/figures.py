"""The figures of a soak: what was done, what was lost or doubled, how soon training went on, whether memory stayed flat."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.domain.job import Status
from tests.faults.invariants import a_disturbed_job_ends_with_the_same_bits, every_epoch_is_there_once, no_accepted_job_is_lost
from tests.faults.recording import Record
from tests.faults.subject import Subject, children

MICRO = 1e-6


def resident(pid: int) -> float:
    """Resident memory of a process in MB, 0 where it is gone."""
    with suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * 4096 / 1e6
    return 0.0


def descriptors(pid: int) -> int:
    """Open descriptors of a process."""
    with suppress(OSError):
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return 0


def share(values: Sequence[float], of: float) -> str:
    """A percentile by nearest rank, in seconds."""
    if not values:
        return "none"
    ordered = sorted(values)
    return f"{ordered[min(len(ordered) - 1, int(of * len(ordered)))]:.2f}"


@dataclass
class Figures:
    """Filled while a soak runs."""

    kills: int = 0
    stops: list[float] = field(default_factory=list)
    posts: list[float] = field(default_factory=list)
    dark_posts: list[float] = field(default_factory=list)
    samples: list[dict[str, tuple[int, float, int]]] = field(default_factory=list)

    def submitted(self, seconds: float, *, dark: bool) -> None:
        """How long a `POST /v1/jobs` took, and whether the broker was frozen."""
        (self.dark_posts if dark else self.posts).append(seconds)

    def sample(self, served: Subject) -> None:
        """Memory and descriptors now, with the number of jobs asked for so far."""
        found: dict[str, tuple[int, float, int]] = {}
        for name in ("api", *sorted(set(served.training().values()))):
            pid = served.parts.parts[name].pid
            found[name] = (len(served.accepted), resident(pid), descriptors(pid))
            for child in children(pid) if name != "api" else []:
                found[f"{name}'s process"] = (len(served.accepted), resident(child), descriptors(child))
        self.samples.append(found)

    def lines(self, record: Record) -> str:
        """All of it, to be read."""
        waits, cancels = list(_seconds_to_next_epoch(record)), list(_seconds_to_end(record))
        statuses = Counter(str(job.status) for job in record.jobs.values())
        lost = sum(1 for _ in no_accepted_job_is_lost(record))
        doubled = sum(1 for _ in every_epoch_is_there_once(record))
        unlike = sum(1 for _ in a_disturbed_job_ends_with_the_same_bits(record))
        deeds = Counter(deed.text for deed in record.deeds)
        rows = [
            f"jobs: {len(record.jobs)} ({', '.join(f'{count} {status}' for status, count in sorted(statuses.items()))})",
            f"faults: {json.dumps(dict(sorted(deeds.items())))}",
            f"kills: {self.kills}",
            f"lost: {lost}, doubled or missing epochs: {doubled}",
            f"bit-equal: {len(record.twins) - unlike} of {len(record.twins)}",
            f"seconds from kill to next epoch: p50 {share(waits, 0.5)}, p95 {share(waits, 0.95)} (of {len(waits)})",
            f"seconds from cancel to end: p50 {share(cancels, 0.5)}, p95 {share(cancels, 0.95)} (of {len(cancels)})",
            f"seconds from SIGTERM to exit: p50 {share(self.stops, 0.5)}, most {share(self.stops, 1)} (of {len(self.stops)})",
            f"seconds of POST /v1/jobs: p50 {share(self.posts, 0.5)}, p99 {share(self.posts, 0.99)} (of {len(self.posts)})",
            f"  while the broker was dark: p50 {share(self.dark_posts, 0.5)}, p99 {share(self.dark_posts, 0.99)}"
            f" (of {len(self.dark_posts)})",
            *self._memory(),
        ]
        return "\n".join(rows)

    def _memory(self) -> Iterator[str]:
        """At the first sample after 30 jobs and at the last one, of the processes that were there."""
        names = sorted({name for sample in self.samples for name in sample})
        for name in names:
            seen = [sample[name] for sample in self.samples if name in sample]
            early = next((one for one in seen if one[0] >= 30), seen[0])
            late = seen[-1]
            yield (
                f"{name}: {early[1]:.0f} MB and {early[2]} descriptors after {early[0]} jobs,"
                f" {late[1]:.0f} MB and {late[2]} after {late[0]}"
            )


def _seconds_to_next_epoch(record: Record) -> Iterator[float]:
    """From each SIGKILL aimed at a job to the next epoch of it that was stored."""
    for deed in record.deeds:
        job = record.named(deed.job) if deed.job and deed.text.startswith("SIGKILL") else None
        later = [entry.at for entry in record.of(job.number) if entry.at > deed.at and entry.what == "epoch"] if job else []
        if later:
            yield (later[0] - deed.at) * MICRO


def _seconds_to_end(record: Record) -> Iterator[float]:
    """From each cancel of a job to its end, where a living process held it; else it is the lease that must run out."""
    for deed in record.deeds:
        job = record.named(deed.job) if deed.job and deed.text == "cancel" else None
        if job is None or job.status is not Status.CANCELLED:
            continue
        ends = [entry.at for entry in record.of(job.number) if entry.status == Status.CANCELLED]
        yield (ends[0] - deed.at) * MICRO
