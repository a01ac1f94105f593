"""The losses of a stack: what each row's target becomes in advance, the gradient by hand, and the value of many rows at once.

Shapes: logits z [..., K, O, n]. A table holds what a loss needs of the targets, [..., K, T, n], with row weights w that are
divided by their batch's sum, so that a batch's loss is the plain sum of its rows. With K = 1 the K may be missing.

With a target of several columns, y [n, O], a row's loss is the mean over the outputs. What is trained is in trained units, what
is reported has each output's loss in the units of its own column.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from app.domain.kinds import Task
from worker.engine.activations import Call
from worker.engine.data import Floats, Member


class Loss(ABC):
    """One loss for the K members of a stack; its parameters are [K, 1, 1]."""

    by_hand = True
    """True where `gradient` is written."""
    power = 0
    """How the reported loss grows with the target's scale: 1 for absolute, 2 for squared errors."""

    def __init__(self, members: Sequence[Member], *, dtype: torch.dtype, device: torch.device) -> None:
        self._members, self.outputs = members, members[0].spec.layers[-1]
        self._specs = [member.spec.loss for member in members]
        self._multilabel = members[0].spec.task is Task.MULTILABEL
        self._scales = [np.atleast_1d(member.arrays.target_scale) for member in members]
        self._dtype, self._device = dtype, device
        self.factors = [float(scale.max()) ** self.power for scale in self._scales]
        self._shares = self._shared() if self.outputs > 1 and self.power else None
        self.prepare()

    def prepare(self) -> None:  # noqa: B027 - most losses have no parameters
        """Set what the members' own parameters decide."""

    def column(self, values: Sequence[float] | Sequence[Floats]) -> Tensor:
        """[K, 1, 1] from one number a member, [K, O, 1] from one for each of its outputs."""
        return torch.from_numpy(np.array(values)).to(self._device, self._dtype).view(len(values), -1, 1)

    def _shared(self) -> Tensor:
        """[K, O, 1]: each output's factor as a part of the largest, which is applied in float64: σ² may leave float32."""
        return self.column([(scale / scale.max()) ** self.power for scale in self._scales])

    def squeeze(self) -> None:
        """Drop the leading K from the parameters, for tensors that have none."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value[0])

    @abstractmethod
    def table(self, position: int, y: Tensor, w: Tensor) -> Tensor:
        """[T, n] for the member at `position`; y and w are float64 [n]."""

    def parts(self, table: Tensor) -> tuple[Tensor, ...]:
        """The table's rows as `gradient` and `rows` take them: here c0 [..., O, n], c1 [..., 1, n] and what stands below."""
        o = self.outputs
        below = table.shape[-2] - o - 1
        return table.narrow(-2, 0, o), table.narrow(-2, o, 1), *(table.narrow(-2, o + 1, below) for _ in range(bool(below)))

    def gradient(self, z: Tensor, parts: tuple[Tensor, ...], out: Tensor) -> list[Call]:
        """The calls that write ∂L/∂z into out, both [..., O, n]."""
        raise NotImplementedError

    @abstractmethod
    def rows(self, z: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        """[..., n]: each row's part of the trained loss."""

    def reported(self, z: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        """[..., n]: each row's part of the loss that is reported, but for the member's `factors`."""
        return self.rows(z, parts)


class CrossEntropy(Loss):
    """-Σ t·log softmax(z) with the smoothed one-hot t: c0 = -t·w, c1 = w, gradient c0 + softmax(z)·c1."""

    def table(self, position: int, y: Tensor, w: Tensor) -> Tensor:
        """[O + 1, n]."""
        smoothing = getattr(self._specs[position], "label_smoothing", 0.0)
        truth = functional.one_hot(y.long(), self.outputs).T.double() * (1 - smoothing) + smoothing / self.outputs
        return torch.cat((-truth * w, w[None]))

    def gradient(self, z: Tensor, parts: tuple[Tensor, ...], out: Tensor) -> list[Call]:
        """softmax(z)·c1 + c0."""
        return [partial(torch.softmax, z, -2, out=out), partial(torch.addcmul, parts[0], out, parts[1], out=out)]

    def rows(self, z: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        """Σ c0 · log softmax(z) over the outputs."""
        return (torch.log_softmax(z, -2) * parts[0]).sum(-2)


class _OfEach(Loss):
    """Losses of each output by itself: with several, a row weighs w / O at each of them."""

    def table(self, position: int, y: Tensor, w: Tensor) -> Tensor:
        """[T, n] of y [n] or [n, O]."""
        return self.cells_table(_by_output(y), w[None] / self.outputs)

    @abstractmethod
    def cells_table(self, y: Tensor, w: Tensor) -> Tensor:
        """[T, n] of y [O, n] and w [1, n]."""

    @abstractmethod
    def cells(self, z: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        """[..., O, n]: each output's part of each row's loss."""

    def rows(self, z: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        """The sum of the cells over the outputs."""
        cells = self.cells(z, parts)
        return cells.squeeze(-2) if self.outputs == 1 else cells.sum(-2)

    def reported(self, z: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        """The same with each output in its own units."""
        return self.rows(z, parts) if self._shares is None else (self.cells(z, parts) * self._shares).sum(-2)


class Bce(_OfEach):
    """-log σ(s·z) with s = ±1 for class 1 and 0: c0 = -y·w, c1 = w, gradient c0 + σ(z)·c1."""

    def cells_table(self, y: Tensor, w: Tensor) -> Tensor:
        """[2·O + 1, n]."""
        return torch.cat((-y * w, w, 2 * y - 1))

    def gradient(self, z: Tensor, parts: tuple[Tensor, ...], out: Tensor) -> list[Call]:
        """σ(z)·c1 + c0."""
        return [partial(torch.sigmoid, z, out=out), partial(torch.addcmul, parts[0], out, parts[1], out=out)]

    def cells(self, z: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        """-w · log σ(s·z)."""
        return functional.logsigmoid(z * parts[2]) * -parts[1]


class Mse(_OfEach):
    """(z - y)²: c0 = -2·y·w, c1 = 2·w, gradient c0 + z·c1."""

    power = 2

    def cells_table(self, y: Tensor, w: Tensor) -> Tensor:
        """[2·O + 1, n]."""
        return torch.cat((-2 * y * w, 2 * w, y))

    def gradient(self, z: Tensor, parts: tuple[Tensor, ...], out: Tensor) -> list[Call]:
        """z·c1 + c0."""
        return [partial(torch.addcmul, parts[0], z, parts[1], out=out)]

    def cells(self, z: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        """(z - y)² · w."""
        return (z - parts[2]).square() * (parts[1] * 0.5)


class _Residual(_OfEach):
    """Losses of d = z - y; the table is y, w: gradient ψ(d)·w."""

    power = 1

    def cells_table(self, y: Tensor, w: Tensor) -> Tensor:
        """[O + 1, n]."""
        return torch.cat((y, w))

    def parts(self, table: Tensor) -> tuple[Tensor, ...]:
        """Y [..., O, n] and w [..., 1, n]."""
        return table.narrow(-2, 0, self.outputs), table.narrow(-2, self.outputs, 1)


class L1(_Residual):
    """|d|, gradient sign(d)."""

    def gradient(self, z: Tensor, parts: tuple[Tensor, ...], out: Tensor) -> list[Call]:
        """sign(z - y)·w."""
        return [partial(torch.sub, z, parts[0], out=out), out.sign_, partial(out.mul_, parts[1])]

    def cells(self, z: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        """|z - y| · w."""
        return (z - parts[0]).abs() * parts[1]


class HuberLoss(_Residual):
    """d²/2 within ±δ, δ·(|d| - δ/2) beyond; δ is given in the units of the target, or of each of its columns."""

    power = 2

    def prepare(self) -> None:
        """δ in trained units."""
        deltas = [getattr(spec, "delta", 1.0) for spec in self._specs]
        self.delta = self.column([delta / scale for delta, scale in zip(deltas, self._scales, strict=True)])
        self.negative_delta = -self.delta

    def gradient(self, z: Tensor, parts: tuple[Tensor, ...], out: Tensor) -> list[Call]:
        """The residual clamped to ±δ, times w."""
        clamped = partial(torch.clamp, out, self.negative_delta, self.delta, out=out)
        return [partial(torch.sub, z, parts[0], out=out), clamped, partial(out.mul_, parts[1])]

    def cells(self, z: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        """c·(|d| - c/2)·w with c = min(|d|, δ)."""
        distance = (z - parts[0]).abs()
        near = torch.minimum(distance, self.delta)
        return near * (distance - near * 0.5) * parts[1]


class Pinball(_Residual):
    """q·(y - z) below the target, (1 - q)·(z - y) above: (½ - q)·d + ½·|d|."""

    def prepare(self) -> None:
        """½ - q."""
        self.tilt = self.column([0.5 - getattr(spec, "q", 0.5) for spec in self._specs])

    def gradient(self, z: Tensor, parts: tuple[Tensor, ...], out: Tensor) -> list[Call]:
        """(½ - q + ½·sign(d))·w."""
        tilted = partial(torch.add, self.tilt, out, alpha=0.5, out=out)
        return [partial(torch.sub, z, parts[0], out=out), out.sign_, tilted, partial(out.mul_, parts[1])]

    def cells(self, z: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        """((½ - q)·d + ½·|d|)·w."""
        residual = z - parts[0]
        return (residual * self.tilt + residual.abs() * 0.5) * parts[1]


class PoissonNll(_OfEach):
    """exp(z) - y·z: c0 = -y·w, c1 = w, gradient c0 + exp(z)·c1."""

    def cells_table(self, y: Tensor, w: Tensor) -> Tensor:
        """[O + 1, n]."""
        return torch.cat((-y * w, w))

    def gradient(self, z: Tensor, parts: tuple[Tensor, ...], out: Tensor) -> list[Call]:
        """exp(z)·c1 + c0."""
        return [partial(torch.exp, z, out=out), partial(torch.addcmul, parts[0], out, parts[1], out=out)]

    def cells(self, z: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        """exp(z)·c1 + z·c0."""
        return z.exp() * parts[1] + z * parts[0]


class Focal(Loss):
    """(1 - p)^γ · -log p of the true class's p (Lin et al., 2017); autograd finds its gradient."""

    by_hand = False

    def prepare(self) -> None:
        """γ; and whether classes compete for a row (softmax), or each output is a question of its own (sigmoid)."""
        self.gamma = self.column([getattr(spec, "gamma", 0.0) for spec in self._specs])
        self._competing = self.outputs > 1 and not self._multilabel

    def table(self, position: int, y: Tensor, w: Tensor) -> Tensor:
        """[O + 1, n]: -w where the class is the row's (sigmoid: s·w with s = ±1), and w; the mean over several labels."""
        if self._competing:
            return torch.cat((-functional.one_hot(y.long(), self.outputs).T * w, w[None]))
        w = w / self.outputs
        return torch.cat(((2 * _by_output(y) - 1) * w, w[None]))

    def rows(self, z: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        """(1 - p)^γ · -log p · w; 1 - p is kept off 0, where its power has no slope."""
        if self._competing:
            log_p, weight = torch.log_softmax(z, -2), parts[0]
        else:
            log_p, weight = functional.logsigmoid(z * parts[0].sign()), -parts[1]
        missing = (-torch.expm1(log_p)).clamp_min(torch.finfo(z.dtype).tiny)
        return (missing.pow(self.gamma) * log_p * weight).sum(-2)


def _by_output(y: Tensor) -> Tensor:
    """[O, n] of y [n] or [n, O]."""
    return y[None] if y.dim() == 1 else y.T


class Custom(Loss):
    """The operator's own losses, each member's called with that member's rows; autograd finds the gradient."""

    by_hand = False

    def prepare(self) -> None:
        """Each member's own module."""
        customs = [member.custom_loss for member in self._members if member.custom_loss is not None]
        if len(customs) < len(self._members):
            raise ValueError("A member without a loss of its own cannot train by a custom loss.")
        self._customs, self._indices = customs, self._members[0].spec.task in (Task.BINARY, Task.MULTICLASS)

    def table(self, position: int, y: Tensor, w: Tensor) -> Tensor:
        """[2, n], or [O + 1, n] of several columns: y and w."""
        return torch.cat((_by_output(y), w[None]))

    def parts(self, table: Tensor) -> tuple[Tensor, ...]:
        """Y [..., 1 or O, n] and w [..., 1, n]."""
        columns = table.shape[-2] - 1
        return table.narrow(-2, 0, columns), table.narrow(-2, columns, 1)

    def rows(self, z: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        """[..., K, n]; what stands before K (epochs, versions) is rows too for the module."""
        y, w = (part.expand(*z.shape[:-2], *part.shape[-2:]) for part in parts)
        return torch.stack([self._rows(i, z.select(-3, i), y.select(-3, i), w.select(-3, i)) for i in range(z.shape[-3])], -2)

    def _rows(self, position: int, z: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """[..., n] of z [..., O, n], y [..., 1 or O, n] and w [..., 1, n]."""
        outputs, target = (part.transpose(-1, -2).flatten(0, -2) for part in (z, y))
        target = target.squeeze(-1) if y.shape[-2] == 1 else target
        target = target.long() if self._indices else target.clone()
        rows = self._customs[position].rows(outputs, target, w.flatten())
        return rows.reshape(*y.shape[:-2], y.shape[-1])


LOSSES: dict[str, type[Loss]] = {
    "cross_entropy": CrossEntropy,
    "bce": Bce,
    "mse": Mse,
    "l1": L1,
    "huber": HuberLoss,
    "quantile": Pinball,
    "poisson": PoissonNll,
    "focal": Focal,
}


def of(members: Sequence[Member], *, dtype: torch.dtype, device: torch.device) -> Loss:
    """The loss that the members share, with each member's own parameters."""
    return LOSSES.get(members[0].spec.loss.name, Custom)(members, dtype=dtype, device=device)
