"""What a plan says of time and memory beside what its job then took, over HTTP, each job in a fresh service with one slot.

    python -m benchmarks.plan [--only WORD …] [--paced]

For each job: actual / estimate of its time from the claim to the end (as many epochs as it trained), and of the training
process's resident memory at its peak (that of a warm process before the job, which no estimate holds, is added to the estimate;
in brackets what it grew by / the estimate alone). The processor's time is printed beside that of the clock, for neighbours slow
down the latter; with --paced a small job trains first, by whose pace the plan then knows them, and memory tells nothing. The
rows are drawn: numbers, some of them missing, categories, and a label that depends on some of both.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2
import numpy as np
import polars as pl

from benchmarks.api_history import cpu_seconds
from benchmarks.service import Service, resident_bytes, running_service

MB = 2**20
MISSING, LEVELS, UNSEEN = 0.03, (2, 3, 5, 8, 12), 20_000


@dataclass(frozen=True, kw_only=True)
class Work:
    """A job on drawn rows; `categories` of its `columns` are texts."""

    name: str
    rows: int
    columns: int
    categories: int = 0
    spec: Mapping[str, object] = field(default_factory=dict)


_PLAIN = {"network": {"hidden_layers": [128, 64]}, "batch_size": 1024, "epochs": 20, "loss": {"name": "cross_entropy"}}
_MANY: dict[str, int] = {"rows": 500_000, "columns": 20, "categories": 5}
WORKS = (
    Work(name="1 000×20, fast", rows=1_000, columns=20, categories=5, spec={"recipe": "fast"}),
    Work(name="1 000×20, strong", rows=1_000, columns=20, categories=5, spec={"recipe": "strong"}),
    Work(name="100 000×50, 128-64-2", rows=100_000, columns=50, spec=_PLAIN),
    Work(name="500 000×20, fast", **_MANY, spec={"recipe": "fast"}),
    Work(
        name="500 000×20, strong, 150 s", rows=500_000, columns=20, categories=5, spec={"recipe": "strong", "max_seconds": 150}
    ),
    Work(
        name="500 000×20, fast for auc, 150 s",
        rows=500_000,
        columns=20,
        categories=5,
        spec={"recipe": "fast", "optimize": "auc", "max_seconds": 150},
    ),
)


FIRST = Work(name="3 000×10, fast", rows=3_000, columns=10, categories=2, spec={"recipe": "fast"})


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Rows to train on and rows that are not, and how good on these is whoever knows how they were drawn."""

    rows: pl.DataFrame
    unseen: pl.DataFrame
    area: float
    accuracy: float


def drawn(work: Work, *, seed: int = 0) -> Drawn:
    """With their target `y`."""
    draw, count = np.random.default_rng(seed), work.rows + UNSEEN
    numbers = draw.normal(size=(count, work.columns - work.categories))
    codes = [draw.integers(0, LEVELS[place % len(LEVELS)], count) for place in range(work.categories)]
    score = 1.5 * np.sin(2 * numbers[:, 0]) + numbers[:, 1] * numbers[:, 2] + 0.5 * numbers[:, 3]
    score += sum(draw.normal(size=code.max() + 1)[code] for code in codes)
    score -= np.median(score)
    y = score + draw.logistic(size=count) > 0
    seen = np.where(draw.random(numbers.shape) < MISSING, np.nan, numbers).round(4)
    columns = {f"x{place}": pl.Series(seen[:, place]).fill_nan(None) for place in range(seen.shape[1])}
    texts = {f"c{place}": pl.Series([f"level {level}" for level in code]) for place, code in enumerate(codes)}
    rows = pl.DataFrame({**columns, **texts, "y": pl.Series(np.where(y, "yes", "no"))})
    score, y = score[work.rows :], y[work.rows :]
    return Drawn(
        rows=rows[: work.rows], unseen=rows[work.rows :], area=area(score, y), accuracy=float(((score > 0) == y).mean())
    )


def area(score: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> float:
    """Under the curve: how often one of `y` has the higher score."""
    ranks = score.argsort().argsort() + 1
    positive = int(y.sum())
    return float((ranks[y].sum() - positive * (positive + 1) / 2) / (positive * (len(y) - positive)))


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Of a job that is over: seconds of the clock and of the processor, and bytes before it and at its peak."""

    job: Mapping[str, Any]
    seconds: float
    cpu: float
    before: int
    peak: int


def trained(service: Service, client: httpx2.Client, body: Mapping[str, object]) -> Taken:
    """The job of that body, from its claim to its end."""
    [worker] = client.get("/v1/system").raise_for_status().json()["workers"]
    process = int(worker["id"].rpartition(":")[2])
    before, cpu = resident_bytes(process), cpu_seconds(process)
    job = client.post("/v1/jobs", json=body).raise_for_status().json()
    while not job["terminal"]:
        job = client.get(f"/v1/jobs/{job['id']}", params={"wait": 60}).raise_for_status().json()
    if job["status"] != "succeeded":
        raise RuntimeError(f"{job['error']}")
    begun, ended = (datetime.fromisoformat(job[name]) for name in ("started_at", "finished_at"))
    seconds, spent = (ended - begun).total_seconds(), cpu_seconds(process) - cpu
    return Taken(job=job, seconds=seconds, cpu=spent, before=before, peak=resident_bytes(process, peak=True))


def compared(plan: Mapping[str, Any], taken: Taken) -> str:
    """One line of ratios, actual / estimate; of a job that stopped early, for the epochs that it trained."""
    time, memory, progress = plan["duration"], plan["memory"]["total"], taken.job["progress"]
    trained_epochs = time["overhead_seconds"] + progress["epoch"] * time["epoch_seconds"]
    expected = time["total_seconds"] if taken.job["stop_reason"] == "time_limit" else trained_epochs
    grown, room = taken.peak - taken.before, taken.before + memory
    return (
        f"{progress['epoch']} of {progress['epochs']} epochs ({taken.job['stop_reason']}); "
        f"time {taken.seconds / expected:.2f} ({taken.seconds:.1f} / {expected:.1f} s), processor {taken.cpu / expected:.2f}; "
        f"memory {taken.peak / room:.2f} ({taken.peak / MB:.0f} / {room / MB:.0f} MB; "
        f"growth {grown / MB:.0f} / {memory / MB:.0f} MB, {grown / memory:.2f})"
    )


def uploaded(client: httpx2.Client, rows: pl.DataFrame) -> str:
    """The id of a dataset."""
    answer = client.post("/v1/datasets", content=rows.write_csv().encode(), headers={"Content-Type": "text/csv"})
    return str(answer.raise_for_status().json()["id"])


def measure(work: Work, *, paced: bool) -> None:
    """Print what was planned and what it took, and how good the job's model is on rows that it has not seen."""
    drawn_rows = drawn(work)
    with running_service(TRAINYARD_SLOTS="1") as service, service.client() as client:
        if paced:
            trained(service, client, {"dataset": uploaded(client, drawn(FIRST).rows), "target": "y", **FIRST.spec})
        body = {"dataset": uploaded(client, drawn_rows.rows), "target": "y", **work.spec}
        plan = client.post("/v1/jobs/plan", json=body).raise_for_status().json()
        taken = trained(service, client, body)
        unseen = {"dataset": uploaded(client, drawn_rows.unseen)}
        found = client.post(f"/v1/jobs/{taken.job['id']}/evaluate", json=unseen).raise_for_status().json()["metrics"]
    print(f"{work.name}: {compared(plan, taken)}", flush=True)
    possible = f"where {drawn_rows.area:.4f} and {drawn_rows.accuracy:.4f} can be had"
    print(
        f"  unseen rows: area under the curve {found['roc_auc']:.4f}, accuracy {found['accuracy']:.4f}, {possible}", flush=True
    )


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[""], help="words of the names of jobs")
    parser.add_argument("--paced", action="store_true", help="a small job first")
    arguments = parser.parse_args(words)
    for work in WORKS:
        if any(word in work.name for word in arguments.only):
            measure(work, paced=arguments.paced)


if __name__ == "__main__":
    main()
