"""What stands before the first layer while a network trains: mixtures of numeric features, and a factor for each input.

All of it is linear in what the network reads, so wherever the network is used it is multiplied into the first layer's weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.domain.spec import Embedding, Network, ResolvedSpec

# With so many parameters or more the networks of an ensemble are passed over one by one.
_LARGE = 8192


@dataclass(frozen=True)
class Front:
    """Inputs are `raw` ones, the `features` of each of some `columns`, then `embedded` ones.

    The first layer sees `width` mixtures of a column's features instead.
    """

    raw: int
    columns: int
    features: int
    width: int
    embedded: int
    scaled: bool

    @property
    def inputs(self) -> int:
        """Of the first layer as it is trained."""
        return self.raw + self.columns * self.width + self.embedded

    @property
    def mixtures(self) -> int:
        """Parameters of the mixtures: of each its features and a bias."""
        return self.columns * self.width * (self.features + 1)

    @property
    def parameters(self) -> int:
        """Of mixtures and factors."""
        return self.mixtures + self.inputs * self.scaled


def front_of(network: "Network", layers: Sequence[int], embeddings: Sequence["Embedding"], *, columns: int) -> Front | None:
    """That of a network whose layers are so wide; None where the first layer is trained as it is used."""
    kind, embedded = network.numeric_features, sum(table.width for table in embeddings)
    if not columns and not network.input_scaling:
        return None
    features, width = (kind.count, kind.width) if kind else (0, 0)
    raw = layers[0] - columns * features - embedded
    return Front(raw, columns, features, width, embedded, network.input_scaling)


def front_of_spec(spec: "ResolvedSpec") -> Front | None:
    """That of a resolved spec."""
    return front_of(spec.network, spec.layers, spec.embeddings, columns=len(spec.numeric_feature_columns))


def is_scaled(spec: "ResolvedSpec") -> bool:
    """True where not all parameters are trained alike."""
    groups = spec.parameter_groups
    factors = [vars(group) for group in (groups.bias, groups.input_scaling, groups.numeric_features)]
    return spec.network.parametrization != "standard" or any(value != 1 for group in factors for value in group.values())


def is_in_one_pass(spec: "ResolvedSpec") -> bool:
    """True where the optimizer of a job that is alone in its stack goes over the parameters once, on a CPU.

    Each network is passed over by itself, which many small ones do not pay for; and L2 decay of parameters that are not trained
    alike is none that torch's pass knows.
    """
    known = spec.optimizer.name == "adamw" or (spec.optimizer.name == "adam" and not is_scaled(spec))
    return known and (spec.networks == 1 or spec.parameters >= spec.networks * _LARGE)
