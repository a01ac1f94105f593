"""The `model.onnx` of an ensemble gives the mean of what its networks predict, as torch computes it."""

import numpy as np
import pytest
import torch

from app.services.row_inputs import RowInputs
from app.serving.logits import Logits
from app.tabular.preprocessing import transform
from tests.serving.checkpoints import COLUMNS, FRAME, feed, network_of, resolved, state
from tests.serving.test_logits import TASKS, manifest_of
from tests.serving.test_onnx import expected_answer, run
from worker.engine.ensembles import prefixed
from worker.engine.export import to_onnx
from worker.engine.network import Weights

WIDTH = sum(column.width for column in COLUMNS)
MEMBERS = 3


@pytest.mark.parametrize("hidden", [[], [7, 5]], ids=["linear", "two layers"])
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
@pytest.mark.parametrize("name", [name for name in TASKS if name != "several counts"])
def test_the_answer_is_the_mean_of_the_networks(name: str, normalization: str, hidden: list[int]) -> None:
    task, loss, target, outputs = TASKS[name]
    network = {"hidden_layers": hidden, "normalization": normalization, "activation": "silu"}
    plain = resolved(task=task, inputs=WIDTH, outputs=outputs, loss=loss, target=target.name, **network)
    spec = plain.model_validate(plain.model_dump() | {"ensemble": {"members": MEMBERS, "folds": True}})
    networks = [network_of(spec, seed=seed) for seed in range(MEMBERS)]
    weights: Weights = {key: part for i, one in enumerate(networks) for key, part in prefixed(i, state(one)).items()}
    content = to_onnx(columns=COLUMNS, target=target, spec=spec, weights=weights)
    x = torch.from_numpy(transform(COLUMNS, FRAME)).float()
    with torch.no_grad():
        z = torch.stack([one(x) for one in networks])

    found = run(content, feed(COLUMNS, FRAME))[-1]
    logits = torch.from_numpy(Logits(content, manifest_of(spec, COLUMNS, target)).of(RowInputs(COLUMNS).read(FRAME)))

    if name in ("several numbers", "counts", "clipped", "clipped counts"):
        mean = (z.exp() if loss == "poisson" else z).mean(0).double().numpy()
        numbers = (mean * np.array(target.scale) + np.array(target.center)).reshape(found.shape)
        expected = torch.from_numpy(numbers if target.range is None else numbers.clip(*target.range))
    elif name == "labels":
        expected = z.sigmoid().mean(0)
    else:
        expected = torch.stack([expected_answer(name, one) for one in z]).mean(0)
    np.testing.assert_allclose(found, expected.numpy(), rtol=2e-5, atol=1e-5)
    if name in ("multiclass", "two logits"):
        np.testing.assert_allclose(logits.softmax(-1).numpy(), z.softmax(-1).mean(0).numpy(), rtol=1e-5, atol=1e-6)
    if name in ("one logit", "labels"):
        np.testing.assert_allclose(logits.sigmoid().numpy(), z.sigmoid().mean(0).numpy(), rtol=1e-5, atol=1e-6)
