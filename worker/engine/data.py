"""What a member of a stack brings along: its spec and its arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.engine.custom_loss import CustomLoss

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec

Floats = NDArray[np.float64]
Inputs = NDArray[np.float64] | NDArray[np.float32]
Targets = NDArray[np.float64] | NDArray[np.int64]
Range = tuple[float | Floats, float | Floats]


@dataclass(frozen=True, kw_only=True)
class MemberArrays:
    """The rows of one member, split; the engine casts to its own dtype.

    x_*: [n, F] design matrices; with embeddings, all other inputs and then the code of each embedded column.
    y_*: [n] class indices (0 and 1 for bce), or for regression numbers in trained units; with a target of several columns
    [n, O] of 0 and 1, or of numbers. w_*: [n] row weights (class weights times sample weights), or None.
    reported = trained * target_scale + target_center, both [O] with several columns; predictions are clipped to target_range,
    the lowest and the highest, where it is given.
    """

    x_train: Floats
    y_train: Targets
    w_train: Floats | None = None
    x_val: Floats | None = None
    y_val: Targets | None = None
    w_val: Floats | None = None
    x_test: Floats | None = None
    y_test: Targets | None = None
    w_test: Floats | None = None
    target_center: float | Floats = 0.0
    target_scale: float | Floats = 1.0
    target_range: Range | None = None


@dataclass(frozen=True)
class Part:
    """Rows of one split of one member: x [n, F], y [n] or [n, O], w [n] or None."""

    x: Inputs
    y: Targets
    w: Floats | None

    @property
    def rows(self) -> int:
        """N."""
        return len(self.y)

    @property
    def columns(self) -> int:
        """F."""
        return int(self.x.shape[1])

    @property
    def weighted(self) -> bool:
        """True where rows differ in weight."""
        return self.w is not None

    @property
    def weight(self) -> float:
        """The sum of the row weights, n where there are none."""
        return float(self.rows if self.w is None else self.w.sum())


class StoredPart(Protocol):
    """The same on disk: what is one number a row is read as a whole, x as it is needed."""

    @property
    def rows(self) -> int:
        """N."""

    @property
    def columns(self) -> int:
        """F."""

    @property
    def weighted(self) -> bool:
        """True where rows differ in weight."""

    @property
    def weight(self) -> float:
        """The sum of the row weights, n where there are none."""

    @property
    def y(self) -> Targets:
        """The targets of all rows."""

    @property
    def w(self) -> Floats | None:
        """The weights of all rows, or None."""

    def read(self, runs: Sequence[slice]) -> Part:
        """The rows of these runs, one after the other; its arrays are used again by the next call."""

    def expect(self, runs: Sequence[slice]) -> None:
        """Say that these runs will be read next."""


AnyPart = Part | StoredPart


@dataclass(frozen=True, kw_only=True)
class StoredRows:
    """The rows of one member where they do not fit into memory; targets and units as in MemberArrays."""

    train: StoredPart
    validation: StoredPart | None = None
    test: StoredPart | None = None
    target_center: float | Floats = 0.0
    target_scale: float | Floats = 1.0
    target_range: Range | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Of a network of an ensemble: the fold of each training row [n], and the one from which it does not learn."""

    folds: NDArray[np.int64]
    fold: int


@dataclass(frozen=True, kw_only=True)
class Member:
    """One job's place in a stack; where its spec names a custom loss, with that loss.

    Its rows are stored where the spec has a window in which they are shuffled. `folds` is [n], the fold of each training row,
    where the networks of an ensemble validate on their folds.
    """

    spec: "ResolvedSpec"
    arrays: MemberArrays | StoredRows
    custom_loss: CustomLoss | None = None
    folds: NDArray[np.int64] | None = None
    batch_seed: int | None = None
    """Of the order of rows and of dropout, where it is not the spec's: the networks of an ensemble see the same batches."""
    left_out: LeftOut | None = None

    @property
    def seed_of_batches(self) -> int:
        """What the order of rows and dropout are drawn from."""
        return self.spec.seed if self.batch_seed is None else self.batch_seed


def train(arrays: MemberArrays | StoredRows) -> AnyPart:
    """The training rows."""
    return arrays.train if isinstance(arrays, StoredRows) else Part(arrays.x_train, arrays.y_train, arrays.w_train)


def validation(arrays: MemberArrays | StoredRows) -> AnyPart | None:
    """The validation rows, None where there are none."""
    return arrays.validation if isinstance(arrays, StoredRows) else _part(arrays.x_val, arrays.y_val, arrays.w_val)


def test(arrays: MemberArrays | StoredRows) -> AnyPart | None:
    """The test rows, None where there are none."""
    return arrays.test if isinstance(arrays, StoredRows) else _part(arrays.x_test, arrays.y_test, arrays.w_test)


def _part(x: Floats | None, y: Targets | None, w: Floats | None) -> Part | None:
    return None if x is None or y is None or len(y) == 0 else Part(x, y, w)


def is_shared(members: Sequence[Member]) -> bool:
    """True where members say that they see the same rows in the same order: then these are held once."""
    arrays = [member.arrays for member in members if isinstance(member.arrays, MemberArrays)]
    seeds = {member.batch_seed for member in members}
    same = all(one.x_train is arrays[0].x_train for one in arrays)
    return len(arrays) == len(members) > 1 and None not in seeds and len(seeds) == 1 and same


def sent(host: Tensor, device: torch.device) -> Tensor:
    """The same on a device; to a GPU it is on its way, from memory that stays as it is until it has arrived."""
    return host.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else host.to(device)


def picked(stacked: Tensor, positions: Sequence[int]) -> Tensor:
    """Those of [K, ...] at rising positions; all of them are not copied."""
    if len(positions) == len(stacked):
        return stacked
    return stacked.index_select(0, sent(torch.tensor(positions), stacked.device))


def tensor(array: NDArray[Any]) -> Tensor:
    """The array as a tensor of its own type; copied where it is read-only, which torch has no word for."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())
