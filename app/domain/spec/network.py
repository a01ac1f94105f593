"""The network of a spec: its layers, and what they are trained as."""

from typing import Annotated, Literal

from pydantic import Field

from app.domain.spec.blocks import WHOLE, Block
from app.domain.spec.front import NumericFeatures

Dropout = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[int, Field(ge=1, le=65_536), WHOLE]
Activation = Literal["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "tanh", "sigmoid", "identity"]
Initialization = Literal[
    "default", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal", "data_driven"
]


class Network(Block):
    """The multilayer perceptron: `hidden_layers` are widths; none is a linear model.

    `numeric_features` stand beside each numeric column. With `input_scaling` each input of the first layer has a learned
    factor, at first 1. With the parametrization `ntk` a layer of d inputs trains W in z = Wh / √d + b. With `data_driven` each
    unit's pre-activations begin with unit spread on the first training rows.
    """

    hidden_layers: Annotated[list[Width], Field(max_length=1000)] = [64, 64]
    activation: Activation = "relu"
    dropout: Dropout | list[Dropout] = 0.0
    normalization: Literal["none", "batch", "layer"] = "none"
    initialization: Initialization = "default"
    parametrization: Literal["standard", "ntk"] = "standard"
    numeric_features: NumericFeatures | None = None
    input_scaling: bool = False
