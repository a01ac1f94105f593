"""Training beside the textbook loop and scikit-learn, on one thread: medians of interleaved repeats.

    python -m benchmarks.training [--repeats 5] [--service]

Three jobs alone, stacks of many, and with --service 64 jobs posted at once over HTTP to a service with one slot. The engine
validates every epoch with its metrics, keeps the best one and all losses; the others only train. Each line gives microseconds
per job and epoch, and the ratio other / ours.
"""

import argparse
import csv
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import httpx2
import numpy as np
import torch

from app.domain.spec import ResolvedSpec
from benchmarks import textbook
from benchmarks.service import running_service
from worker.engine.data import Member, MemberArrays
from worker.engine.stack import Stack

# Jobs of a service run, and textbook loops that stand for as many: the others would take just as long.
JOBS, LOOPS = 64, 4


@dataclass(frozen=True)
class Work:
    """What is trained: random rows, a fifth of them kept for validation."""

    name: str
    layers: list[int]
    rows: int
    batch_size: int
    epochs: int
    optimizer: str

    def member(self, seed: int = 0) -> Member:
        """Data and spec for the engine and for the others."""
        rng, held_out = np.random.default_rng(seed), self.rows // 4
        x = rng.normal(size=(self.rows + held_out, self.layers[0]))
        y = rng.integers(0, self.layers[-1], self.rows + held_out)
        arrays = MemberArrays(x_train=x[: self.rows], y_train=y[: self.rows], x_val=x[self.rows :], y_val=y[self.rows :])
        return Member(spec=self._spec(seed, held_out), arrays=arrays)

    def job(self, dataset: str, seed: int) -> dict[str, object]:
        """The body of POST /v1/jobs."""
        return {
            "dataset": dataset,
            "target": "y",
            "network": {"hidden_layers": self.layers[1:-1]},
            "loss": {"name": "cross_entropy"},
            "optimizer": {"name": self.optimizer, "learning_rate": 0.01 / (1 + seed)},
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "seed": seed,
        }

    def _spec(self, seed: int, held_out: int) -> ResolvedSpec:
        sizes = {"train_rows": self.rows, "validation_rows": held_out, "test_rows": 0, "parameters": 0}
        resolved = {"features": ["x"], "task": "multiclass", "classes": list(range(self.layers[-1])), "layers": self.layers}
        return ResolvedSpec.model_validate(self.job("ds", seed) | sizes | resolved)


IRIS = Work("120×4 → 10 → 3, full batch, SGD", [4, 10, 3], 120, 120, 3000, "sgd")
DIGITS = Work("1437×64 → 64 → 64 → 10, batch 64, Adam", [64, 64, 64, 10], 1437, 64, 20, "adam")
LARGE = Work("100 000×50 → 128 → 64 → 2, batch 1024, Adam", [50, 128, 64, 2], 100_000, 1024, 2, "adam")


def engine(members: list[Member]) -> float:
    """Seconds of a stack, its construction left out."""
    stack = Stack(members)
    start = time.perf_counter()
    for _ in stack.train():
        pass
    return time.perf_counter() - start


def alone(work: Work, *, repeats: int, goal: float) -> None:
    """One job beside the loop (with a DataLoader where there are batches) and scikit-learn."""
    member, loader = work.member(), work.batch_size < work.rows
    others: list[tuple[str, Callable[[], float], float]] = [
        ("textbook loop" + " with DataLoader" * loader, lambda: textbook.loop(member, loader=loader), goal),
        ("scikit-learn", lambda: textbook.scikit_learn(member), 1.0),
    ]
    for name, other, wanted in others:
        _compare(f"{work.name} | {name}", lambda: engine([member]), other, work.epochs, repeats=repeats, goal=wanted)


def stacked(work: Work, *, count: int, repeats: int, goal: float) -> None:
    """A stack of many members beside one textbook loop, per model."""
    members = [work.member(seed) for seed in range(count)]
    ours, loop = lambda: engine(members) / count, lambda: textbook.loop(members[0])
    _compare(f"{work.name} | {count} members, textbook loop", ours, loop, work.epochs, repeats=repeats, goal=goal)


def served(client: httpx2.Client, work: Work, *, repeats: int, goal: float) -> None:
    """Jobs posted at once over HTTP, until the last succeeded, beside as many textbook loops one after the other."""
    member = work.member()
    dataset = _upload(client, member)
    ours = lambda: _all_jobs(client, work, dataset) / JOBS  # noqa: E731 - both sides stand in one line
    loops = lambda: sum(textbook.loop(member) for _ in range(LOOPS)) / LOOPS  # noqa: E731
    _compare(f"{work.name} | {JOBS} jobs over HTTP, textbook loops", ours, loops, work.epochs, repeats=repeats, goal=goal)


def _compare(
    name: str, ours: Callable[[], float], other: Callable[[], float], epochs: int, *, repeats: int, goal: float
) -> None:
    pairs = [(ours(), other()) for _ in range(repeats)]
    ratios = [theirs / mine for mine, theirs in pairs]
    mine, theirs = (median(side) / epochs * 1e6 for side in zip(*pairs, strict=True))
    print(
        f"{name}: {theirs:.0f} / {mine:.0f} µs, ratio {median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}), goal >= {goal}",
        flush=True,
    )


def _upload(client: httpx2.Client, member: Member) -> str:
    arrays, text = member.arrays, io.StringIO()
    assert isinstance(arrays, MemberArrays)
    assert arrays.x_val is not None
    assert arrays.y_val is not None
    x, y = np.concatenate([arrays.x_train, arrays.x_val]), np.concatenate([arrays.y_train, arrays.y_val])
    writer = csv.writer(text)
    writer.writerow([*(f"x{column}" for column in range(x.shape[1])), "y"])
    writer.writerows([*row, label] for row, label in zip(x.tolist(), y.tolist(), strict=True))
    answer = client.post("/v1/datasets", content=text.getvalue().encode(), headers={"Content-Type": "text/csv"})
    return str(answer.raise_for_status().json()["id"])


def _all_jobs(client: httpx2.Client, work: Work, dataset: str) -> float:
    start = time.perf_counter()
    bodies = [work.job(dataset, seed) for seed in range(JOBS)]
    posted = [client.post("/v1/jobs", json=body).raise_for_status().json()["id"] for body in bodies]
    for id in posted:
        job = client.get(f"/v1/jobs/{id}", params={"wait": 60}).raise_for_status().json()
        while not job["terminal"]:
            job = client.get(f"/v1/jobs/{id}", params={"wait": 60}).raise_for_status().json()
        assert job["status"] == "succeeded", job
    seconds = time.perf_counter() - start
    for id in posted:
        total = client.get(f"/v1/jobs/{id}/history", params={"limit": 1}).raise_for_status().json()["total"]
        assert total == work.epochs, total
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--service", action="store_true", help="also the jobs over HTTP, some minutes")
    options = parser.parse_args()
    repeats: int = options.repeats
    torch.set_num_threads(1)
    alone(IRIS, repeats=repeats, goal=2)
    alone(DIGITS, repeats=repeats, goal=2)
    alone(LARGE, repeats=repeats, goal=4)
    stacked(IRIS, count=64, repeats=repeats, goal=8)
    stacked(DIGITS, count=16, repeats=repeats, goal=2.5)
    if options.service:
        with running_service(TRAINYARD_SLOTS="1", TRAINYARD_THREADS="1") as service, service.client() as client:
            served(client, IRIS, repeats=repeats, goal=6)
            served(client, DIGITS, repeats=repeats, goal=2.5)


if __name__ == "__main__":
    main()
