"""The learning-rate schedules; each may begin with a linear warm-up of `warmup_epochs`."""

from typing import Annotated, Literal

from pydantic import Field

from app.domain.spec.blocks import WHOLE, Block, Count, CountOrZero

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Factor = Annotated[float, Field(gt=0, le=1)]


class _Schedule(Block):
    warmup_epochs: CountOrZero = 0


class Constant(_Schedule):
    """The learning rate as it is."""

    name: Literal["constant"]


class Step(_Schedule):
    """torch's StepLR, by epoch."""

    name: Literal["step"]
    step_size: Count
    gamma: Positive = 0.1


class Exponential(_Schedule):
    """torch's ExponentialLR, by epoch."""

    name: Literal["exponential"]
    gamma: Positive


class Cosine(_Schedule):
    """torch's CosineAnnealingLR over the epochs after the warm-up."""

    name: Literal["cosine"]
    eta_min: NotNegative = 0.0


class OneCycle(_Schedule):
    """torch's OneCycleLR, by step; `learning_rate` is its `max_lr`."""

    name: Literal["one_cycle"]
    pct_start: Annotated[float, Field(gt=0, lt=1)] = 0.3
    div_factor: Positive = 25.0
    final_div_factor: Positive = 1e4


class LogCosine(_Schedule):
    """By step ½ - ½·cos(2π·log₂(1 + (2^cycles - 1)·t)) of the rate, t from 0 to 1 after the warm-up."""

    name: Literal["log_cosine"]
    cycles: Annotated[int, Field(ge=1, le=16), WHOLE] = 4

    def ends(self, epochs: int) -> dict[int, bool]:
        """The last epoch of each cycle but the last, and whether early stopping judges that cycle: the first it does not.

        A cycle that is over before another epoch is has none.
        """
        left, found = max(1, epochs - self.warmup_epochs), dict[int, bool]()
        for cycle in range(1, self.cycles):
            last = -(-(2**cycle - 1) * left // (2**self.cycles - 1))
            found.setdefault(self.warmup_epochs + last, cycle > 1)
        return found


class Plateau(_Schedule):
    """torch's ReduceLROnPlateau on `val_loss` (`train_loss` without a validation split)."""

    name: Literal["plateau"]
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patience: CountOrZero = 10
    threshold: NotNegative = 1e-4
    min_lr: NotNegative = 0.0


RegularizationSchedule = Literal["constant", "flat_cosine"]
LrSchedule = Annotated[Constant | Step | Exponential | Cosine | OneCycle | LogCosine | Plateau, Field(discriminator="name")]
