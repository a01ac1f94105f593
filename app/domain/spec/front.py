"""What a network may have before its first layer, and how its parameters are trained group by group."""

from typing import Annotated, Literal

from pydantic import Field

from app.domain.spec.blocks import WHOLE, Block

Features = Annotated[int, Field(ge=1, le=1024), WHOLE]
Mixtures = Annotated[int, Field(ge=1, le=1024), WHOLE]
Factor = Annotated[float, Field(ge=0)]


class PiecewiseLinear(Block):
    """For each of `bins` bins between quantiles of the training values how far a number has come in it: from 0 to 1.

    Beside the number stand `width` learned mixtures of these.
    """

    kind: Literal["piecewise_linear"]
    bins: Features = 16
    width: Mixtures = 3

    @property
    def count(self) -> int:
        """Features of each column."""
        return self.bins


class Periodic(Block):
    """cos(2πωz + b) of a scaled number z; each ω is drawn from the seed with the standard deviation `sigma`, b from -π to π.

    Beside the number stand `width` learned mixtures of these.
    """

    kind: Literal["periodic"]
    frequencies: Features = 16
    sigma: Annotated[float, Field(gt=0)] = 0.1
    width: Mixtures = 3

    @property
    def count(self) -> int:
        """Features of each column."""
        return self.frequencies


NumericFeatures = Annotated[PiecewiseLinear | Periodic, Field(discriminator="kind")]


class ParameterGroup(Block):
    """Factors of the optimizer's `learning_rate` and `weight_decay` for some parameters."""

    learning_rate_factor: Factor = 1.0
    weight_decay_factor: Factor = 1.0


class ParameterGroups(Block):
    """`bias`: those of the linear layers; `input_scaling`: its factors; `numeric_features`: the learned mixtures."""

    bias: ParameterGroup = ParameterGroup()
    input_scaling: ParameterGroup = ParameterGroup()
    numeric_features: ParameterGroup = ParameterGroup()
