"""The losses; the output activation follows from them: softmax, sigmoid, identity, exp."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from app.domain.custom import CUSTOM, is_custom
from app.domain.spec.blocks import Block

Positive = Annotated[float, Field(gt=0)]
Unit = Annotated[float, Field(gt=0, lt=1)]


class Auto(Block):
    """mse for regression, bce for two classes, cross_entropy for more."""

    name: Literal["auto"] = "auto"


class CrossEntropy(Block):
    """Softmax cross-entropy, with label smoothing as torch has it."""

    name: Literal["cross_entropy"]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Bce(Block):
    """Binary cross-entropy on one logit, or on one for each label."""

    name: Literal["bce"]


class Mse(Block):
    """Mean squared error."""

    name: Literal["mse"]


class L1(Block):
    """Mean absolute error."""

    name: Literal["l1"]


class Huber(Block):
    """torch.nn.HuberLoss; `delta` is in the target's units."""

    name: Literal["huber"]
    delta: Positive = 1.0


class Quantile(Block):
    """The pinball loss of quantile `q`."""

    name: Literal["quantile"]
    q: Unit = 0.5


class Poisson(Block):
    """torch.nn.PoissonNLLLoss with a log input: exp(ŷ) − y·ŷ; targets are counts."""

    name: Literal["poisson"]


class Focal(Block):
    """(1 − p)^gamma · cross-entropy."""

    name: Literal["focal"]
    gamma: Annotated[float, Field(ge=0)] = 2.0


class Custom(Block):
    """A loss that the operator installed on the workers; `custom:mine` is the entry point `mine` of `trainyard.losses`."""

    name: Annotated[str, Field(pattern=r"^custom:[A-Za-z0-9_.-]+$")]


# As a refusal of another name tells it.
ANY_CUSTOM = f"{CUSTOM}NAME"


def _tag(value: object) -> str:
    name = value.get("name", "auto") if isinstance(value, dict) else getattr(value, "name", "auto")
    return ANY_CUSTOM if isinstance(name, str) and is_custom(name) else str(name)


Loss = Annotated[
    Annotated[Auto, Tag("auto")]
    | Annotated[CrossEntropy, Tag("cross_entropy")]
    | Annotated[Bce, Tag("bce")]
    | Annotated[Mse, Tag("mse")]
    | Annotated[L1, Tag("l1")]
    | Annotated[Huber, Tag("huber")]
    | Annotated[Quantile, Tag("quantile")]
    | Annotated[Poisson, Tag("poisson")]
    | Annotated[Focal, Tag("focal")]
    | Annotated[Custom, Tag(ANY_CUSTOM)],
    Discriminator(_tag),
]

OF_CLASSES = frozenset({"cross_entropy", "bce", "focal"})
# Of several yes-or-no columns, each a question of its own.
OF_LABELS = frozenset({"bce", "focal"})
OF_NUMBERS = frozenset({"mse", "l1", "huber", "quantile", "poisson"})
# The losses that train on the standardized target when preprocessing.target is "auto".
STANDARDIZING = frozenset({"mse", "l1", "huber", "quantile"})
