"""The optimizers, with torch's names and defaults; a field of another optimizer is refused."""

from typing import Annotated, Literal

from pydantic import Field

from app.domain.spec.blocks import Block

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Betas = Annotated[tuple[Decay, Decay], Field(strict=False)]


class Sgd(Block):
    """torch.optim.SGD."""

    name: Literal["sgd"]
    learning_rate: Positive = 0.001
    momentum: NotNegative = 0.0
    dampening: NotNegative = 0.0
    weight_decay: NotNegative = 0.0
    nesterov: bool = False


class Adam(Block):
    """torch.optim.Adam."""

    name: Literal["adam"]
    learning_rate: Positive = 0.001
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.0


class AdamW(Block):
    """torch.optim.AdamW."""

    name: Literal["adamw"]
    learning_rate: Positive = 0.001
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.01


class NAdam(Block):
    """torch.optim.NAdam."""

    name: Literal["nadam"]
    learning_rate: Positive = 0.002
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.0
    momentum_decay: NotNegative = 0.004


class RAdam(Block):
    """torch.optim.RAdam."""

    name: Literal["radam"]
    learning_rate: Positive = 0.001
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.0


class RmsProp(Block):
    """torch.optim.RMSprop."""

    name: Literal["rmsprop"]
    learning_rate: Positive = 0.01
    alpha: Decay = 0.99
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.0
    momentum: NotNegative = 0.0
    centered: bool = False


class Adagrad(Block):
    """torch.optim.Adagrad."""

    name: Literal["adagrad"]
    learning_rate: Positive = 0.01
    lr_decay: NotNegative = 0.0
    weight_decay: NotNegative = 0.0
    initial_accumulator_value: NotNegative = 0.0
    eps: Positive = 1e-10


Optimizer = Annotated[Sgd | Adam | AdamW | NAdam | RAdam | RmsProp | Adagrad, Field(discriminator="name")]
