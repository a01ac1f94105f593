"""The network: its layers, how many parameters they hold, and what its block may not say."""

from collections.abc import Sequence
from itertools import pairwise

from app.domain.resolve_findings import Findings
from app.domain.spec import Embedding, JobSpec, Network


def check_network(spec: JobSpec, findings: Findings) -> None:
    """Notes what cannot be built."""
    dropout, hidden = spec.network.dropout, spec.network.hidden_layers
    if isinstance(dropout, list) and len(dropout) != len(hidden):
        detail = f"{len(dropout)} rates stand here for {len(hidden)} hidden layers; give one number or one for each."
        findings.fault("network", "dropout", detail=detail)
    optimizer = spec.optimizer
    if optimizer.name == "sgd" and optimizer.nesterov and (not optimizer.momentum or optimizer.dampening):
        findings.fault("optimizer", "nesterov", detail="Nesterov needs momentum and no dampening.")


def layers_of(network: Network, *, inputs: int, outputs: int) -> list[int]:
    """Widths from the input to the output, both included."""
    return [inputs, *network.hidden_layers, outputs]


def parameters_of(network: Network, layers: Sequence[int], embeddings: Sequence[Embedding]) -> int:
    """Tables of embeddings, weights and biases, and the scale and shift of each normalized hidden layer."""
    tables = sum(embedding.size for embedding in embeddings)
    linear = sum((above + 1) * below for above, below in pairwise(layers))
    return tables + linear + (2 * sum(layers[1:-1]) if network.normalization != "none" else 0)
