"""The network: its layers, how many parameters they hold, and what its block may not say."""

from collections.abc import Sequence
from itertools import pairwise

from app.domain.front import Front
from app.domain.resolve_findings import Findings
from app.domain.spec import Embedding, JobSpec, Network, ParameterGroup


def check_network(spec: JobSpec, findings: Findings) -> None:
    """Notes what cannot be built."""
    dropout, hidden = spec.network.dropout, spec.network.hidden_layers
    if isinstance(dropout, list) and len(dropout) != len(hidden):
        detail = f"{len(dropout)} rates stand here for {len(hidden)} hidden layers; give one number or one for each."
        findings.fault("network", "dropout", detail=detail)
    optimizer = spec.optimizer
    if optimizer.name == "sgd" and optimizer.nesterov and (not optimizer.momentum or optimizer.dampening):
        findings.fault("optimizer", "nesterov", detail="Nesterov needs momentum and no dampening.")
    _check_groups(spec, findings)


def _check_groups(spec: JobSpec, findings: Findings) -> None:
    """Warns of factors for parameters that are not there."""
    there = {"input_scaling": spec.network.input_scaling, "numeric_features": spec.network.numeric_features is not None}
    for name, exists in there.items():
        if not exists and getattr(spec.parameter_groups, name) != ParameterGroup():
            findings.warn(f"parameter_groups.{name} changes nothing: the network has no {name}.")


def features_of(network: Network, columns: Sequence[str]) -> int:
    """How many inputs the numeric features of these columns are."""
    return len(columns) * network.numeric_features.count if network.numeric_features else 0


def layers_of(network: Network, *, inputs: int, outputs: int) -> list[int]:
    """Widths from the input to the output, both included."""
    return [inputs, *network.hidden_layers, outputs]


def parameters_of(network: Network, layers: Sequence[int], embeddings: Sequence[Embedding], front: Front | None) -> int:
    """What is trained: tables of embeddings, what stands before the first layer, weights and biases, scales and shifts."""
    tables = sum(embedding.size for embedding in embeddings)
    before, inputs = (front.parameters, front.inputs) if front else (0, layers[0])
    linear = sum((above + 1) * below for above, below in pairwise([inputs, *layers[1:]]))
    return tables + before + linear + (2 * sum(layers[1:-1]) if network.normalization != "none" else 0)
