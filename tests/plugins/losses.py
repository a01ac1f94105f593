"""Losses of an operator's own: two that are built in too, and some with every fault there is."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Huber(nn.Module):
    """Built in too; δ in trained units."""

    def __init__(self, delta: float = 0.8) -> None:
        super().__init__()
        self.delta = delta

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        return functional.huber_loss(outputs[:, 0], target, reduction="none", delta=self.delta)


class Focal(nn.Module):
    """Built in too; its γ is a buffer, which is kept in the type that is trained in."""

    gamma: Tensor

    def __init__(self, gamma: float = 1.5) -> None:
        super().__init__()
        self.register_buffer("gamma", torch.tensor(gamma))

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        assert self.gamma.dtype == outputs.dtype
        log_p = outputs.log_softmax(1).gather(1, target[:, None])[:, 0]
        return (1 - log_p.exp()) ** self.gamma * -log_p


class Broken(nn.Module):
    """Fails after some calls."""

    def __init__(self, calls: int = 40) -> None:
        super().__init__()
        self.left = calls

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        self.left -= 1
        if self.left < 0:
            raise ArithmeticError("the operator divides by nothing")
        return functional.cross_entropy(outputs, target, reduction="none")


class Strict(Focal):
    """Takes no outputs that are not finite."""

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        if not outputs.isfinite().all():
            raise ValueError("the outputs are not finite")
        return super().forward(outputs, target)


class Trained(nn.Module):
    """With parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)


class Unmade(nn.Module):
    """Cannot be made without arguments."""

    def __init__(self, what: float) -> None:
        super().__init__()
