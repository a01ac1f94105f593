"""The lines of parameter groups: which parameters have factors of their own, of the learning rate and of the weight decay."""

from app.code.front import places
from app.code.texts import literal
from app.domain.spec import ParameterGroup, ResolvedSpec

_NORMALIZATIONS = {"batch": "BatchNorm1d", "layer": "LayerNorm"}
# What stands before the layers, under the names of the spec.
_NAMES = {"mixtures": "numeric_features", "scaling": "input_scaling"}


def is_grouped(spec: ResolvedSpec) -> bool:
    """True where not all parameters are trained alike."""
    return bool(_apart(spec))


def rate_factors(spec: ResolvedSpec) -> list[float]:
    """Of each group, the first of which has all that has no factors."""
    return [1.0, *(group.learning_rate_factor for group in _apart(spec).values())]


def decay_factors(spec: ResolvedSpec) -> list[float]:
    """The same of the weight decay."""
    return [1.0, *(group.weight_decay_factor for group in _apart(spec).values())]


def groups(spec: ResolvedSpec) -> list[str]:
    """`groups`, as torch.optim takes them."""
    apart, weights, more = _apart(spec), "[layer.weight for layer in layers]", _others(spec)
    if not apart:
        return []
    if "bias" not in apart:
        weights = "[parameter for layer in layers for parameter in layer.parameters()]"
    return [
        "layers = [module for module in net if isinstance(module, nn.Linear)]",
        *([f"alike = {weights}", *more] if more else []),
        "groups = [",
        f'    {{"params": {"alike" if more else weights}}},',
        *(f"    {_group(spec, name, group)}," for name, group in apart.items()),
        "]",
    ]


def _others(spec: ResolvedSpec) -> list[str]:
    """What has no factors and is no layer's."""
    name = _NORMALIZATIONS.get(spec.network.normalization)
    normalized = [
        "for module in net:",
        f"    if isinstance(module, nn.{name}):",
        "        alike += module.parameters()",
    ]
    before = [place for part, place in places(spec).items() if _NAMES.get(part) not in _apart(spec)]
    return [*(normalized if name else []), *(f"alike += net[{place}].parameters()" for place in before)]


def _apart(spec: ResolvedSpec) -> dict[str, ParameterGroup]:
    """The groups that the network has, with factors other than 1."""
    there = ["bias", *(_NAMES[name] for name in ("scaling", "mixtures") if name in places(spec))]
    found = {name: getattr(spec.parameter_groups, name) for name in there}
    return {name: group for name, group in found.items() if group != ParameterGroup()}


def _group(spec: ResolvedSpec, name: str, group: ParameterGroup) -> str:
    place = {_NAMES[part]: at for part, at in places(spec).items() if part in _NAMES}
    fields = {"params": "[layer.bias for layer in layers]" if name == "bias" else f"net[{place.get(name)}].parameters()"}
    rate, decay = spec.optimizer.learning_rate, spec.optimizer.weight_decay
    if group.learning_rate_factor != 1:
        fields["lr"] = f"{literal(group.learning_rate_factor)} * {literal(rate)}"
    if group.weight_decay_factor != 1 and decay:
        factor = group.weight_decay_factor
        fields["weight_decay"] = f"{literal(factor)} * {literal(decay)}" if factor else "0.0"
    return "{" + ", ".join(f'"{key}": {value}' for key, value in fields.items()) + "}"
