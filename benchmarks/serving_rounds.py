"""Servers in turns: short rounds of one load, each server once in each repeat, another one first each time."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from statistics import median

import numpy as np
import torch
from torch.nn import functional

from benchmarks.serving_load import Refused, Round, load
from benchmarks.serving_ours import Job, Shape
from benchmarks.serving_requests import Answer, Form, Rows
from benchmarks.serving_server import Server

START_SECONDS = 120
WARM_SECONDS = 0.3
CHECKED = 64
# Different requests of a round; a megabyte each where there are many rows.
REQUESTS = 8
# Others compute in float32 what stands in float64 in ours up to the first layer.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Contender:
    """A server, and how it is asked."""

    name: str
    server: Server
    path: str
    form: Form


@dataclass(frozen=True)
class Case:
    """One load."""

    shape: Shape
    rows: int
    connections: int

    def __str__(self) -> str:
        rows, connections = _count(self.rows, "row"), _count(self.connections, "connection")
        return f"{self.shape}, {rows} a request, {connections}"

    def requests(self, contender: Contender, job: Job) -> list[bytes]:
        """As bytes; all rows were in the training set, so none is out of range."""
        blocks = [job.rows[self.rows * i : self.rows * (i + 1)] for i in range(REQUESTS)]
        return [contender.form.write(contender.path, block) for block in blocks]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number > 1)


@dataclass(frozen=True)
class Result:
    """One round of one server."""

    load: Round
    server_cpu: float

    @property
    def cpu(self) -> float:
        """Seconds of the server's processor time for each request."""
        return self.server_cpu / len(self.load.latencies)


Results = Mapping[str, Sequence[Result]]


def measured(case: Case, contenders: Sequence[Contender], job: Job, *, repeats: int, seconds: float) -> Results:
    """What each server did in each repeat."""
    requests = {one.name: case.requests(one, job) for one in contenders}
    results: dict[str, list[Result]] = {one.name: [] for one in contenders}
    for repeat in range(repeats):
        first = repeat % len(contenders)
        for one in (*contenders[first:], *contenders[:first]):
            results[one.name].append(_round(case, one, requests[one.name], seconds))
    return results


def _round(case: Case, contender: Contender, requests: Sequence[bytes], seconds: float) -> Result:
    server = contender.server
    load(server.port, requests, connections=case.connections, seconds=WARM_SECONDS)
    before = server.cpu_seconds()
    round = load(server.port, requests, connections=case.connections, seconds=seconds)
    return Result(round, server.cpu_seconds() - before)


def check(contender: Contender, job: Job) -> None:
    """Once it answers: that it answers as torch does; raises RuntimeError otherwise."""
    rows = job.rows[:CHECKED]
    labels, probabilities = contender.form.answered(first_answer(contender, rows))
    expected = expected_answer(job, rows)
    if labels != expected[0] or not np.allclose(probabilities, expected[1], atol=TOLERANCE):
        raise RuntimeError("It answers something else than torch does.")


def first_answer(contender: Contender, rows: Rows) -> bytes:
    """Tried again while it starts."""
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit and contender.server.runs():
        with suppress(OSError, Refused):
            return _ask(contender, rows)
        time.sleep(0.2)
    return _ask(contender, rows)


def has_path(contender: Contender, job: Job) -> bool:
    """Whether a server that has started knows the path."""
    try:
        _ask(contender, job.rows[:1])
    except Refused as refused:
        if refused.status != HTTPStatus.NOT_FOUND:
            raise
        return False
    return True


def _ask(contender: Contender, rows: Rows) -> bytes:
    request = contender.form.write(contender.path, rows)
    return load(contender.server.port, [request], connections=1, seconds=0).answer


def expected_answer(job: Job, rows: Rows) -> Answer:
    """By torch, with the weights that everybody has."""
    values = torch.from_numpy(rows.astype(np.float32))
    for place in range(0, len(job.weights), 2):
        weight, bias = (torch.from_numpy(job.weights[f"{place}.{name}"]) for name in ("weight", "bias"))
        values = functional.linear(values if not place else values.relu(), weight, bias)
    return values.argmax(1).tolist(), values.softmax(1).tolist()


def middle(values: Sequence[float]) -> str:
    """The median, with the least and the greatest."""
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
