"""Loss and metrics of one split for many versions of the parameters at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from app.domain.output import output_activation
from worker.engine import data, losses, metrics
from worker.engine.data import AnyPart, Floats, Inputs, Member, Part
from worker.engine.ensembles import Seating, pooled
from worker.engine.layout import Layout
from worker.engine.logits import Logits
from worker.engine.metrics import Units
from worker.engine.scores import Scores
from worker.engine.sources import row_weights

Split = Literal["validation", "test"]

# Outputs of how many members' rows are measured at once: calls are what a few of them cost, and on a GPU all.
_CELLS, _GPU_CELLS = 1 << 16, 1 << 25


@dataclass(frozen=True, slots=True)
class Cooled:
    """What is predicted of n rows by networks whose logits are divided by a temperature: `logits` of it [O, n], float64."""

    y: Tensor
    w: Tensor | None
    logits: Callable[[float], Tensor]
    convex: bool
    """True where the log-loss is convex in 1 / temperature; of means of probabilities it need not be."""


class Judge:
    """Loss and metrics of the logits of K members' rows, equally many n."""

    def __init__(self, members: Sequence[Member], parts: Sequence[AnyPart], *, like: Tensor) -> None:
        self._task, self._units = members[0].spec.task, _units(members)
        self._loss = losses.of(members, dtype=like.dtype, device=like.device)
        self._link = output_activation(members[0].spec)
        weights = [row_weights(part) / part.weight for part in parts]
        tables = [self._loss.table(i, data.tensor(part.y), weights[i]) for i, part in enumerate(parts)]
        self._targets = self._loss.parts(torch.stack(tables).to(like))
        self._y = torch.stack([data.tensor(part.y) for part in parts]).to(like.device)
        weighted = any(part.w is not None for part in parts)
        self._w = torch.stack([row_weights(part) for part in parts]).to(like.device) if weighted else None
        self._cells = _GPU_CELLS if like.is_cuda else _CELLS
        self._factors = torch.tensor(self._loss.factors, dtype=torch.float64, device=like.device)

    def scores(self, logits: Tensor, names: Sequence[Sequence[str]]) -> Scores:
        """Of logits [K, C, O, n], asking each member for the metrics `names`."""
        rows = self._loss.reported(logits.transpose(0, 1), self._targets)
        losses = (rows.sum(-1, dtype=torch.float64) * self._factors).T
        outputs = self._outputs(logits).transpose(-1, -2).contiguous()  # the metrics' argmax is ten times slower without
        step = max(1, self._cells // max(1, outputs[0].numel()))
        groups = [range(start, min(start + step, len(outputs))) for start in range(0, len(outputs), step)]
        return Scores(losses, [(group, self._measured(group, outputs, names)) for group in groups], names)

    @property
    def y(self) -> Tensor:
        """The targets of the first member."""
        return self._y[0]

    @property
    def w(self) -> Tensor | None:
        """The row weights of the first member, None where all are 1."""
        return None if self._w is None else self._w[0]

    def _outputs(self, logits: Tensor) -> Tensor:
        match self._link:
            case "softmax":
                return torch.softmax(logits, -2)
            case "sigmoid":
                return torch.sigmoid(logits)
            case "exp":
                return torch.exp(logits)
        return logits

    def _measured(self, group: range, outputs: Tensor, names: Sequence[Sequence[str]]) -> dict[str, Tensor]:
        """The metrics that any of these members is asked for, [G, C] each, from outputs [K, C, n, O]."""
        chosen = slice(group.start, group.stop)
        w, wanted = None if self._w is None else self._w[chosen], list(dict.fromkeys(chain(*names[chosen])))
        if not wanted:
            return {}
        return metrics.evaluate(self._task, outputs[chosen], self._y[chosen], w, **self._units.of(chosen), names=wanted)


@dataclass(frozen=True, slots=True)
class _Units:
    """Of a regression's targets, [K, O] each."""

    center: Floats
    scale: Floats
    limits: tuple[Floats, Floats] | None

    def of(self, chosen: slice) -> Units:
        """Those of some members."""
        limits = self.limits and (self.limits[0][chosen], self.limits[1][chosen])
        return {"center": self.center[chosen], "scale": self.scale[chosen], "limits": limits}


def _units(members: Sequence[Member]) -> _Units:
    arrays = [member.arrays for member in members]
    ranges = [(-inf, inf) if one.target_range is None else one.target_range for one in arrays]
    clipped = any(one.target_range is not None for one in arrays)
    limits = (_columns([low for low, _ in ranges]), _columns([high for _, high in ranges])) if clipped else None
    return _Units(_columns([one.target_center for one in arrays]), _columns([one.target_scale for one in arrays]), limits)


def _columns(values: Sequence[float | Floats]) -> Floats:
    """[K, O], or [K, 1] of one number each."""
    return np.stack(np.broadcast_arrays(*(np.atleast_1d(np.asarray(value, dtype=np.float64)) for value in values)))


class Evaluation:
    """One split of K members with equally many rows n."""

    def __init__(self, members: Sequence[Member], parts: Sequence[AnyPart], layout: Layout, *, like: Tensor) -> None:
        self._logits = Logits(members[0].spec, parts, layout, like=like)
        self._judge = Judge(members, parts, like=like)

    def run(self, flat: Tensor, names: Sequence[Sequence[str]]) -> Iterator[None]:
        """Evaluate parameters [K, C, total], asking each member for the metrics `names`; pauses after each slab of rows.

        Afterwards `scores` holds theirs.
        """
        yield from self._logits.run(flat)
        self.scores = self._judge.scores(self._logits.found, names)

    def cooled(self, flat: Tensor) -> Cooled:
        """Of one member's parameters [1, 1, total]."""
        finished(self._logits.run(flat))
        z = self._logits.found[0, 0].double()
        return Cooled(self._judge.y, self._judge.w, lambda temperature: z / temperature, convex=True)


class Pooled:
    """One split of one member whose spec has an ensemble: what is judged is the mean of its networks' predictions.

    Where they have folds, each predicts its own rows, and all rows together are judged once.
    """

    def __init__(self, member: Member, networks: Sequence[Member], part: Split, layout: Layout, *, like: Tensor) -> None:
        spec = member.spec
        self._output, self._by_fold = output_activation(spec), part == "validation" and member.folds is not None
        if self._by_fold:
            own = [(i, rows) for i, network in enumerate(networks) if (rows := data.validation(network.arrays))]
            groups = [[pair for pair in own if pair[1].rows == count] for count in dict.fromkeys(rows.rows for _, rows in own)]
        else:
            groups = [[(i, split_of(member, part)) for i in range(len(networks))]]
        self._groups = [([i for i, _ in group], [rows for _, rows in group]) for group in groups]
        self._logits = [Logits(spec, rows if self._by_fold else rows[:1], layout, like=like) for _, rows in self._groups]
        judged = _joined([rows for _, group in self._groups for rows in group]) if self._by_fold else split_of(member, part)
        self._judge = Judge([member], [judged], like=like)

    def run(self, flat: Tensor, names: Sequence[Sequence[str]]) -> Iterator[None]:
        """As of Evaluation, of the networks' parameters [K, C, total]; `scores` holds the member's."""
        yield from self._run(flat)
        self.scores = self._judge.scores(self._together([logits.found for logits in self._logits])[None], names)

    def cooled(self, flat: Tensor) -> Cooled:
        """As of Evaluation, of the networks' parameters [K, 1, total]."""
        finished(self._run(flat))
        found = [logits.found.double() for logits in self._logits]

        def logits(temperature: float) -> Tensor:
            return self._together([z / temperature for z in found])[0]

        return Cooled(self._judge.y, self._judge.w, logits, convex=self._by_fold)

    def _run(self, flat: Tensor) -> Iterator[None]:
        for (networks, _), logits in zip(self._groups, self._logits, strict=True):
            yield from logits.run(data.picked(flat, networks))

    def _together(self, found: Sequence[Tensor]) -> Tensor:
        """[C, O, n] of what the groups found, each [K', C, O, n']."""
        if not self._by_fold:
            return pooled(found[0], self._output)
        return torch.cat([one for group in found for one in group], -1)


def _joined(parts: Sequence[AnyPart]) -> Part:
    """The rows of all, one behind the other; their inputs stay where they are."""
    weights = [part.w for part in parts if part.w is not None]
    return Part(_NO_INPUTS, np.concatenate([part.y for part in parts]), np.concatenate(weights) if weights else None)


_NO_INPUTS: Inputs = np.empty((0, 0))


def split_of(member: Member, part: Split) -> AnyPart:
    """Raises ValueError: the member has no such rows."""
    rows = (data.validation if part == "validation" else data.test)(member.arrays)
    if rows is None:
        raise ValueError(f"The member has no {part} rows.")
    return rows


def of_member(seating: Seating, position: int, part: Split, layout: Layout, *, like: Tensor) -> Evaluation | Pooled:
    """One split of one member.

    Raises ValueError: the member has no such rows.
    """
    member = seating.members[position]
    if member.spec.ensemble:
        return Pooled(member, seating.networks_of(position), part, layout, like=like)
    return Evaluation([member], [split_of(member, part)], layout, like=like)


@dataclass(frozen=True)
class Group:
    """Members whose validation splits are evaluated together, and the networks that are theirs."""

    members: list[int]
    networks: list[int]
    evaluation: Evaluation | Pooled


def grouped(seating: Seating, layout: Layout, *, like: Tensor) -> list[Group]:
    """The validation splits: together where all have equally many rows, else one by one; members without one are left out."""
    validated = [(i, member) for i, member in enumerate(seating.members) if is_validated(member)]
    parts = [(i, split_of(member, "validation")) for i, member in validated if not member.spec.ensemble]
    together = len({part.rows for _, part in parts}) == 1
    found: list[tuple[list[int], Evaluation | Pooled]] = []
    for group in [parts] if together else [[pair] for pair in parts]:
        members = [seating.members[i] for i, _ in group]
        found.append(([i for i, _ in group], Evaluation(members, [part for _, part in group], layout, like=like)))
    for i, member in validated:
        if member.spec.ensemble:
            found.append(([i], of_member(seating, i, "validation", layout, like=like)))
    return [Group(members, [place for i in members for place in seating.places(i)], one) for members, one in found]


def is_validated(member: Member) -> bool:
    """True where the member has rows to validate on, of its own or of its folds."""
    return member.folds is not None or data.validation(member.arrays) is not None


def finished(work: Iterator[None]) -> None:
    """Run an evaluation through."""
    for _ in work:
        pass
