"""LitServe: one process that answers HTTP, one that predicts."""

import os
from typing import Any

import litserve
import torch

from benchmarks.peers import network


class Api(litserve.LitAPI):
    """Its four steps."""

    def setup(self, device: str) -> None:
        """Once in the process that predicts."""
        self._network = network.load()

    def decode_request(self, request: dict[str, Any]) -> torch.Tensor:
        """From the parsed body."""
        return torch.tensor(request["rows"])

    def predict(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Labels and probabilities."""
        return network.answer(self._network, x)

    def encode_response(self, output: tuple[torch.Tensor, torch.Tensor]) -> dict[str, Any]:
        """The answer."""
        labels, probabilities = output
        return {"predictions": labels.tolist(), "probabilities": probabilities.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", fast_queue=True)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), num_api_servers=1, generate_client_file=False, access_log=False)
