"""MLflow: a pyfunc model in this file, which the scoring server loads from the folder where running it has saved it."""

import sys
from typing import Any

import mlflow
import numpy as np
import torch
from mlflow.pyfunc import PythonModel

from benchmarks.peers import network


class Model(PythonModel):
    """The network as pyfunc calls it."""

    def load_context(self, context: Any) -> None:
        """Once, as the server starts."""
        self._network = network.load()

    def predict(self, context: Any, model_input: Any, params: Any = None) -> dict[str, Any]:
        """Labels and probabilities."""
        labels, probabilities = network.answer(self._network, torch.from_numpy(model_input.astype(np.float32)))
        return {"predictions": labels.tolist(), "probabilities": probabilities.tolist()}


if __name__ == "__main__":
    mlflow.pyfunc.save_model(sys.argv[1], python_model=__file__, pip_requirements=[])
else:
    mlflow.models.set_model(Model())
