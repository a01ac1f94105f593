"""The lines of a network's first weights, each from a stream of its own, in float64."""

from app.code.embeddings import vectors
from app.code.front import is_ntk, mixes, places
from app.code.randomness import drawn
from app.domain.spec import ResolvedSpec

_BEGIN = '''
def begin(layer, h, draw):
    """First weights of a layer: on rows h each unit's z has spread 1, and is zero somewhere among five rows that are drawn."""
    weight = torch.empty_like(layer.weight).normal_(generator=draw) / layer.in_features**0.5
    z = h @ weight.T
    spread = z.std(0, correction=0)
    usual = spread.square().mean().sqrt()
    spread = spread.clamp(min=0.3 * usual) if usual > 1e-6 else torch.ones_like(spread)
    chosen = torch.randint(len(z), (layer.out_features, 5), generator=draw)
    shares = torch.empty(chosen.shape, dtype=z.dtype).exponential_(generator=draw)
    layer.weight.copy_({weight})
    layer.bias.copy_(-((z / spread).T.gather(1, chosen) * shares).sum(1) / shares.sum(1))
'''.strip().split("\n")
_ROWS = 2048


def begin(spec: ResolvedSpec) -> list[str]:
    """`begin(layer, h, draw)`, where data drive the first weights."""
    weight = f"weight / spread[:, None]{' * layer.in_features**0.5' if is_ntk(spec) else ''}"
    return [line.format(weight=weight) for line in _BEGIN] if _is_driven(spec) else []


def first_rows(spec: ResolvedSpec) -> list[str]:
    """`first`, the rows that drive them, before x is rounded; not where it never is."""
    if not _is_driven(spec) or spec.precision != "fp32":
        return []
    return [f"first = torch.tensor(x[train[:{_ROWS}]])  # in float64, for the first weights"]


def first_weights(spec: ResolvedSpec) -> list[str]:
    """Those of `net`, which then has the precision of the training."""
    return [
        *_mixtures(spec),
        *vectors(spec, place=places(spec).get("tables", 0)),
        *(_driven(spec) if _is_driven(spec) else _drawn(spec)),
        *(["net.float()  # drawn in float64, trained in float32"] if spec.precision == "fp32" else []),
    ]


def _is_driven(spec: ResolvedSpec) -> bool:
    return spec.network.initialization == "data_driven"


def _mixtures(spec: ResolvedSpec) -> list[str]:
    """Uniform, as a linear layer of so many features has them."""
    kind = spec.network.numeric_features
    if not mixes(spec) or kind is None:
        return []
    return [
        f"bound = {kind.count}**-0.5",
        f"nn.init.uniform_(net[{places(spec)['mixtures']}].weight, -bound, bound, generator={drawn(spec, 'WEIGHTS, -2')})",
    ]


def _drawn(spec: ResolvedSpec) -> list[str]:
    """By torch's initializer of that name; NtkLinear divides by what its weights are multiplied with."""
    name = spec.network.initialization
    initializer = "kaiming_uniform_(layer.weight, a=5**0.5" if name == "default" else f"{name}_(layer.weight"
    return [
        "for index, layer in enumerate(module for module in net if isinstance(module, nn.Linear)):",
        f"    draw, bound = {drawn(spec, 'WEIGHTS, index')}, layer.in_features**-0.5",
        f"    nn.init.{initializer}, generator=draw)",
        "    nn.init.uniform_(layer.bias, -bound, bound, generator=draw)",
        *(["    layer.weight.data /= bound  # NtkLinear multiplies with it"] if is_ntk(spec) else []),
    ]


def _driven(spec: ResolvedSpec) -> list[str]:
    """Layer by layer, on the first training rows; their own mean and variance are those of batch normalization."""
    normalized = [
        "        elif isinstance(module, nn.BatchNorm1d):",
        "            h = (h - h.mean(0)) / (h.var(0, correction=0) + module.eps).sqrt()",
        "        else:",
        "            h = module(h)",
    ]
    plain = ["        h = module(h)"]
    batch = spec.network.normalization == "batch"
    return [
        f"h = {'first' if spec.precision == 'fp32' else f'x_train[:{_ROWS}]'}",
        f"draws = ({drawn(spec, 'WEIGHTS, index')} for index in range(len(net)))",
        "with torch.no_grad():",
        "    for module in net.eval():",
        "        if isinstance(module, nn.Linear):",
        "            begin(module, h, next(draws))",
        *(["            h = module(h)", *normalized] if batch else plain),
    ]
