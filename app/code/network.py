"""The lines that draw random numbers as the engine does, and build the network with its first weights."""

from app.code.embeddings import first_module, vectors
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

GENERATOR = '''
def generator(*place):
    """Random numbers for one use of the seed at one place: nothing else moves them (splitmix64)."""
    state = 0
    for word in (SEED, *place):
        state = ((state ^ word) + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
        state ^= state >> 31
    return torch.Generator().manual_seed(state >> 1)
'''.strip().split("\n")

_DROPOUT = '''
class Dropout(nn.Module):
    """nn.Dropout; its masks are cut from 64 random bits each, four units at a time, for many batches at once."""

    def __init__(self, rate, layer, width):
        super().__init__()
        self.rate, self.layer = rate, layer
        batches = 2 ** int(math.log2(max(1, min(2**16 // (width * BATCH_SIZE), 1024))))
        self.shape = (batches, width, BATCH_SIZE)

    def forward(self, a):
        if not self.training:
            return a
        block, place = divmod(step, self.shape[0])
        rate = self.rate
        cells, kept = math.prod(self.shape), min(65535, round((1 - rate) * 65536)) - 32768
        bits = torch.empty((cells + 3) // 4, dtype=torch.int64)
        bits.random_(-(2**63), None, generator=generator(DROPOUT, epoch, self.layer, block))
        mask = bits.view(torch.int16)[:cells].view(self.shape)[place, :, : len(a)].T < kept
        return a * mask / (1 - rate)
'''.strip().split("\n")


def dropout(spec: ResolvedSpec) -> list[str]:
    """The Dropout module, where the network has one."""
    if not any(dropout_rates(spec)):
        return []
    scheduled = spec.regularization_schedule != "constant"
    rate = f"self.rate * share((epoch - 1) / {spec.epochs})" if scheduled else "self.rate"
    return [line.replace("rate = self.rate", f"rate = {rate}") for line in _DROPOUT]


def dropout_rates(spec: ResolvedSpec) -> list[float]:
    """One rate for each hidden layer."""
    rate = spec.network.dropout
    return list(rate) if isinstance(rate, list) else [rate] * len(spec.network.hidden_layers)


def network(spec: ResolvedSpec) -> list[str]:
    """`net`, with its first weights."""
    hidden = [module for layer in range(len(spec.layers) - 2) for module in _hidden(spec, layer)]
    modules = [*first_module(spec), *hidden, f"nn.Linear({spec.layers[-2]}, {spec.layers[-1]})"]
    return [
        *stacked("net = nn.Sequential(", modules, ").double()"),
        *vectors(spec),
        *_weights(spec),
    ]


def _hidden(spec: ResolvedSpec, layer: int) -> list[str]:
    width, rate = spec.layers[layer + 1], dropout_rates(spec)[layer]
    normalization = _NORMALIZATIONS[spec.network.normalization]
    return [
        f"nn.Linear({spec.layers[layer]}, {width})",
        *([f"nn.{normalization}({width})"] if normalization else []),
        f"nn.{_ACTIVATIONS[spec.network.activation]}()",
        *([f"Dropout({literal(rate)}, layer={layer}, width={width})"] if rate else []),
    ]


def _weights(spec: ResolvedSpec) -> list[str]:
    """Each layer's weight and bias from a stream of its own, in float64."""
    name = spec.network.initialization
    drawn = "kaiming_uniform_(layer.weight, a=5**0.5" if name == "default" else f"{name}_(layer.weight"
    return [
        "for index, layer in enumerate(module for module in net if isinstance(module, nn.Linear)):",
        "    draw, bound = generator(WEIGHTS, index), layer.in_features**-0.5",
        f"    nn.init.{drawn}, generator=draw)",
        "    nn.init.uniform_(layer.bias, -bound, bound, generator=draw)",
        *(["net.float()  # drawn in float64, trained in float32"] if spec.precision == "fp32" else []),
    ]
