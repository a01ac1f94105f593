"""The network that all of them serve, from the arrays in the file that NETWORK names."""

import os

import numpy as np
import torch
from torch import Tensor, nn


def load() -> nn.Sequential:
    """Layers with ReLU between them, as `0.weight`, `0.bias`, `2.weight` … say; one thread."""
    torch.set_num_threads(1)
    arrays = np.load(os.environ["NETWORK"])
    layers: list[nn.Module] = []
    for place in range(0, len(arrays), 2):
        weight = torch.from_numpy(arrays[f"{place}.weight"])
        layers += [nn.Linear(weight.shape[1], weight.shape[0]), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    network.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays})
    return network.eval()


def answer(network: nn.Sequential, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Labels [n] and probabilities [n, classes] of [n, features]."""
    with torch.inference_mode():
        logits = network(rows)
        return logits.argmax(1), logits.softmax(1)
