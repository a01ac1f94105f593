"""The lines of what stands before the first layer, and of layers that torch has no class for."""

from app.code.embeddings import embedded, tables_of
from app.domain.front import front_of_spec
from app.domain.spec import ResolvedSpec

_MIXTURES = '''
class Mixtures(nn.Module):
    """A linear layer for each column's features, which stand behind the other inputs: `width` mixtures in their place."""

    def __init__(self, columns, features, width):
        super().__init__()
        self.columns, self.features = columns, features
        self.weight = nn.Parameter(torch.empty(columns, width, features + 1))  # the last is the bias

    def forward(self, x):
        {split}
        features = features.unflatten(1, (self.columns, self.features))
        mixed = torch.einsum("ncf,cwf->ncw", features, self.weight[..., :-1]) + self.weight[..., -1]
        return torch.cat([{joined}], 1)
'''.strip().split("\n")

_SCALING = '''
class Scaling(nn.Module):
    """Each input times a factor that is learned, too."""

    def __init__(self, inputs):
        super().__init__()
        self.factors = nn.Parameter(torch.ones(inputs))

    def forward(self, x):
        return x * self.factors
'''.strip().split("\n")

_NTK = '''
class NtkLinear(nn.Linear):
    """z = W h / sqrt(d) + b for d inputs: the NTK parametrization."""

    def forward(self, h):
        return nn.functional.linear(h, self.weight / self.in_features**0.5, self.bias)
'''.strip().split("\n")


def classes(spec: ResolvedSpec) -> list[list[str]]:
    """The modules that the network needs."""
    return [
        _mixtures(spec) if mixes(spec) else [],
        embedded(spec),
        _SCALING if spec.network.input_scaling else [],
        _NTK if is_ntk(spec) else [],
    ]


def modules(spec: ResolvedSpec) -> list[str]:
    """The calls that make what stands before the layers, as many as `places` has names."""
    front, kind = front_of_spec(spec), spec.network.numeric_features
    made = {
        "mixtures": f"Mixtures(columns={front.columns}, features={kind.count}, width={front.width})" if front and kind else "",
        "tables": tables_of(spec),
        "scaling": f"Scaling({inputs(spec)})",
    }
    return [made[name] for name in places(spec)]


def places(spec: ResolvedSpec) -> dict[str, int]:
    """Where in the network mixtures, tables and scaling stand, those that it has."""
    found = {"mixtures": mixes(spec), "tables": bool(spec.embeddings), "scaling": spec.network.input_scaling}
    return {name: place for place, name in enumerate(name for name, there in found.items() if there)}


def inputs(spec: ResolvedSpec) -> int:
    """Of the first layer as it is trained."""
    front = front_of_spec(spec)
    return front.inputs if front else spec.layers[0]


def linear(spec: ResolvedSpec) -> str:
    """The class of its layers."""
    return "NtkLinear" if is_ntk(spec) else "nn.Linear"


def is_ntk(spec: ResolvedSpec) -> bool:
    """True where a layer's weight is divided by √d."""
    return spec.network.parametrization == "ntk"


def mixes(spec: ResolvedSpec) -> bool:
    """True where columns have numeric features."""
    return bool(spec.numeric_feature_columns)


def _mixtures(spec: ResolvedSpec) -> list[str]:
    """Codes of embedded columns stay behind the mixtures."""
    split, joined = "others, features = x.tensor_split([-self.columns * self.features], 1)", "others, mixed.flatten(1)"
    if spec.embeddings:
        behind = len(spec.embeddings)
        split = f"others, features, codes = x.tensor_split([-self.columns * self.features - {behind}, -{behind}], 1)"
        joined += ", codes"
    return [line.format(split=split, joined=joined) for line in _MIXTURES]
