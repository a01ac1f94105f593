"""One thread, as a training slot has; and any test of the engine as if there were a GPU."""

from collections.abc import Iterator
from functools import partialmethod

import pytest
import torch

from tests.engine.pretended import PretendedGpu, recorder_of
from worker.engine.stack import Stack


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def pretended(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With `--pretend-gpu`, stacks are on that GPU unless a test says where they are."""
    if not request.config.getoption("--pretend-gpu"):
        yield
        return
    gpu = PretendedGpu()
    monkeypatch.setattr("worker.engine.replay.of", recorder_of(gpu))
    monkeypatch.setattr(Stack, "__init__", partialmethod(Stack.__init__, device="cuda"))
    with gpu:
        yield
