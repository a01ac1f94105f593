"""A job with embeddings through a training process: its weights, its description and its predictions agree."""

import numpy as np
import polars as pl
import torch
from safetensors.numpy import load as load_weights

from app.domain.columns import CategoricalColumn
from app.domain.job import Status
from app.domain.manifest import MANIFEST, WEIGHTS, Manifest
from app.serving.findings import Findings
from app.serving.json_body import asked_by
from app.serving.sessions import load
from app.tabular.preprocessing import transform
from tests.worker.yard import Yard
from worker.engine.network import sequential

EMBEDDED: dict[str, object] = {"columns": {"a": "categorical"}, "preprocessing": {"categorical": "embedding"}}
FRAME = pl.DataFrame({"a": [0, 9, 5, None, 77], "b": [1.0, 4.0, None, 6.0, 2.0]})


def test_the_checkpoint_answers_what_torch_computes_from_its_weights(yard: Yard) -> None:
    job = yard.submit(**EMBEDDED)

    yard.work()

    best = yard.checkpoints(job)["best"]

    def read(name: str) -> bytes:
        return yard.file(best, name)

    manifest, weights = Manifest.model_validate_json(read(MANIFEST)), load_weights(read(WEIGHTS))
    assert yard.job(job.id).status is Status.SUCCEEDED
    assert isinstance(manifest.columns[0], CategoricalColumn)
    assert (manifest.columns[0].embedding, len(manifest.columns[0].levels)) == (6, 10)
    assert weights["embeddings.0.weight"].shape == (11, 6)
    assert manifest.spec.parameters == sum(array.size for array in weights.values())

    network = sequential(manifest.spec).eval()
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    with torch.no_grad():
        expected = network(torch.from_numpy(transform(manifest.columns, FRAME)).float()).sigmoid()[:, 0]
    ready = load(read)
    sent = asked_by({"rows": [list(row) for row in FRAME.rows()]}).sent
    answer = ready.predictor.predict(ready.reader.read(sent, max_rows=5, findings=Findings()))
    np.testing.assert_allclose(np.array(answer.probabilities, dtype=np.float64)[:, 1], expected.numpy(), atol=1e-5)
