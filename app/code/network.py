"""The lines that build the network with its first weights."""

from app.code.first_weights import first_weights
from app.code.front import inputs, linear, modules
from app.code.randomness import drawn
from app.code.texts import literal, stacked
from app.domain.spec import ResolvedSpec

_ACTIVATIONS = {
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "elu": "ELU",
    "selu": "SELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "identity": "Identity",
}
_NORMALIZATIONS = {"none": None, "batch": "BatchNorm1d", "layer": "LayerNorm"}

_DROPOUT = '''
class Dropout(nn.Module):
    """nn.Dropout; its masks are cut from 64 random bits each, four units at a time, for many batches at once."""

    def __init__(self, rate, layer, width):
        super().__init__()
        self.rate, self.layer = rate, layer
        rows = BATCH_SIZE if BATCH_SIZE < 16 else math.ceil(BATCH_SIZE / 8) * 8
        batches = 2 ** int(math.log2(max(1, min(2**16 // (width * rows), 1024))))
        self.shape = (batches, width, rows)

    def forward(self, a):
        if not self.training:
            return a
        block, place = divmod(step, self.shape[0])
        rate = {rate}
        cells, kept = math.prod(self.shape), min(65535, round((1 - rate) * 65536)) - 32768
        bits = torch.empty((cells + 3) // 4, dtype=torch.int64)
        bits.random_(-(2**63), None, generator={generator})
        mask = bits.view(torch.int16)[:cells].view(self.shape)[place, :, : len(a)].T < kept
        return a * mask / (1 - rate)
'''.strip().split("\n")


def dropout(spec: ResolvedSpec) -> list[str]:
    """The Dropout module, where the network has one."""
    if not any(dropout_rates(spec)):
        return []
    scheduled = spec.regularization_schedule != "constant"
    rate = f"self.rate * share((epoch - 1) / {spec.epochs})" if scheduled else "self.rate"
    words = {"{rate}": rate, "{generator}": drawn(spec, "DROPOUT, epoch, self.layer, block", seed="SEED")}
    text = "\n".join(_DROPOUT)
    for word, value in words.items():
        text = text.replace(word, value)
    return text.split("\n")


def dropout_rates(spec: ResolvedSpec) -> list[float]:
    """One rate for each hidden layer."""
    rate = spec.network.dropout
    return list(rate) if isinstance(rate, list) else [rate] * len(spec.network.hidden_layers)


def network(spec: ResolvedSpec) -> list[str]:
    """`net`, with its first weights."""
    hidden = [module for layer in range(len(spec.layers) - 2) for module in _hidden(spec, layer)]
    made = [*modules(spec), *hidden, f"{linear(spec)}({_widths(spec)[-2]}, {spec.layers[-1]})"]
    return [*stacked("net = nn.Sequential(", made, ").double()"), *first_weights(spec)]


def _widths(spec: ResolvedSpec) -> list[int]:
    """Of the layers as they are trained."""
    return [inputs(spec), *spec.layers[1:]]


def _hidden(spec: ResolvedSpec, layer: int) -> list[str]:
    width, rate = spec.layers[layer + 1], dropout_rates(spec)[layer]
    normalization = _NORMALIZATIONS[spec.network.normalization]
    return [
        f"{linear(spec)}({_widths(spec)[layer]}, {width})",
        *([f"nn.{normalization}({width})"] if normalization else []),
        f"nn.{_ACTIVATIONS[spec.network.activation]}()",
        *([f"Dropout({literal(rate)}, layer={layer}, width={width})"] if rate else []),
    ]
