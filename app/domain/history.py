"""The per-epoch numbers of a job: in columns, as they are trained, stored and read."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import lcm

from pydantic import BaseModel, ConfigDict

from app.domain.numbers import JsonNumber, to_json


@dataclass(kw_only=True)
class EpochColumns:
    """Epochs in ascending order, one list a column, all of one length; losses in reported units.

    `seconds` is training time since the start of the job. `metrics` are keyed `val_accuracy` and so on.
    """

    epoch: list[int] = field(default_factory=list)
    train_loss: list[float | None] = field(default_factory=list)
    val_loss: list[float | None] = field(default_factory=list)
    learning_rate: list[float | None] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    metrics: dict[str, list[float | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        """The number of epochs."""
        return len(self.epoch)


def stored(last: int, *, record_every: int, after: int = 0, every: int = 1) -> int:
    """How many epochs stand beyond `after` up to `last`, which stands; with `every`, epoch 1 and its multiples only.

    A job stores epoch 1, the multiples of `record_every` and its last one.
    """
    step = lcm(record_every, every)
    beside = {epoch for epoch in (1, last) if after < epoch <= last and epoch % step}
    return max(0, last // step - after // step) + len(beside)


class EpochLosses(BaseModel):
    """What is known of one epoch; non-finite numbers as strings, so that it can be stored and answered as it is."""

    model_config = ConfigDict(frozen=True)

    epoch: int
    train_loss: JsonNumber
    val_loss: JsonNumber
    metrics: dict[str, JsonNumber] = {}

    @classmethod
    def of(cls, epoch: int, *, train: float, val: float | None, metrics: Iterable[tuple[str, float]] = ()) -> "EpochLosses":
        """From plain numbers."""
        named = {name: to_json(value) for name, value in metrics}
        return cls(epoch=epoch, train_loss=to_json(train), val_loss=to_json(val), metrics=named)


class HeldOut(BaseModel):
    """The loss and the metrics of the best epoch on the held-out test rows; metrics by their plain names."""

    model_config = ConfigDict(frozen=True)

    epoch: int
    loss: JsonNumber
    metrics: dict[str, JsonNumber]
