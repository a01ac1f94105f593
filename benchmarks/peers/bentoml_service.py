"""BentoML: a service with one worker."""

import bentoml
import numpy as np
import torch

from benchmarks.peers import network


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Service:
    """The network behind `POST /predict`."""

    def __init__(self) -> None:
        self._network = network.load()

    @bentoml.api
    def predict(self, rows: np.ndarray) -> dict[str, list]:  # type: ignore[type-arg]  # it knows these types only
        """Labels and probabilities."""
        labels, probabilities = network.answer(self._network, torch.from_numpy(rows.astype(np.float32)))
        return {"predictions": labels.tolist(), "probabilities": probabilities.tolist()}
