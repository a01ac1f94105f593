"""Losses of jobs that misbehave in every way that a job can; installed on the workers as an operator's would be."""

import os
import signal
import time

from torch import Tensor, nn
from torch.nn import functional

STEP_SECONDS = 0.004


class Slow(nn.Module):
    """Takes its time, so that a fault finds a job in the midst of an epoch; otherwise cross-entropy."""

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        time.sleep(STEP_SECONDS)
        return functional.cross_entropy(outputs, target, reduction="none")


class After(Slow):
    """Well behaved for some calls."""

    left = 60

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        self.left -= 1
        losses = super().forward(outputs, target)
        return losses if self.left >= 0 else self.misbehave(losses)

    def misbehave(self, losses: Tensor) -> Tensor:
        raise NotImplementedError


class Suicidal(After):
    """Kills its process, always, and before there is anything to go on from."""

    left = 0

    def misbehave(self, losses: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGKILL)
        return losses


class Late(Slow):
    """Kills its process once that has seen so many steps: sooner with others in a stack than alone."""

    steps = 0

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        Late.steps += 1
        if Late.steps > 40:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(outputs, target)


class Endless(After):
    """Never comes back from a step."""

    def misbehave(self, losses: Tensor) -> Tensor:
        while True:
            pass


class Greedy(After):
    """Asks for more memory than there is."""

    def misbehave(self, losses: Tensor) -> Tensor:
        raise MemoryError


class Diverging(After):
    """Is not a number from some step on."""

    def misbehave(self, losses: Tensor) -> Tensor:
        return losses * float("nan")
