"""MLServer: a runtime of one's own, as its documentation shows."""

import torch
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers import network


class Runtime(MLModel):
    """The network behind the Open Inference Protocol."""

    async def load(self) -> bool:
        """Once, as the server starts."""
        self._network = network.load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """`label` and `probabilities` of the first input."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        labels, probabilities = network.answer(self._network, torch.from_numpy(rows))
        outputs = [
            NumpyCodec.encode_output("label", labels.numpy()),
            NumpyCodec.encode_output("probabilities", probabilities.numpy()),
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)
