"""An ensemble through a training process: one job, one history, one checkpoint that answers as its networks do together."""

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import load as load_weights

from app.domain.job import Status, StopReason
from app.domain.manifest import MANIFEST, WEIGHTS, Manifest
from app.serving.findings import Findings
from app.serving.json_body import asked_by
from app.serving.sessions import load
from app.tabular.preprocessing import transform
from tests.worker.yard import Killed, Yard, without_seconds
from worker.engine.ensembles import apart
from worker.engine.network import sequential

FOLDED: dict[str, object] = {"ensemble": {"members": 3}, "epochs": 12}
FRAME = pl.DataFrame({"a": [0, 9, 5, None, 77], "b": [1.0, 4.0, None, 6.0, 2.0]})


def test_every_row_is_validated_on_and_the_checkpoint_answers_the_mean(yard: Yard) -> None:
    job = yard.submit(**FOLDED, split={"test": 0.2})

    yard.work()

    ended, history = yard.job(job.id), yard.history(job)
    assert (ended.status, ended.stop_reason) == (Status.SUCCEEDED, StopReason.MAX_EPOCHS)
    assert (ended.resolved_spec["train_rows"], ended.resolved_spec["validation_rows"]) == (80, 0)
    assert history.epoch == list(range(1, 13))
    assert None not in history.val_loss
    assert "val_accuracy" in history.metrics
    assert ended.test is not None
    best = yard.checkpoints(job)["best"]
    assert best.losses["val_loss"] == min(loss for loss in history.val_loss if loss is not None)

    def read(name: str) -> bytes:
        return yard.file(best, name)

    manifest, weights = Manifest.model_validate_json(read(MANIFEST)), load_weights(read(WEIGHTS))
    assert manifest.spec.parameters == sum(array.size for array in weights.values())
    x, answers = torch.from_numpy(transform(manifest.columns, FRAME)).float(), []
    for own in apart(weights):
        network = sequential(manifest.spec).eval()
        network.load_state_dict({name: torch.from_numpy(array) for name, array in own.items()})
        with torch.no_grad():
            answers.append(network(x).sigmoid()[:, 0])
    ready = load(read)
    sent = asked_by({"rows": [list(row) for row in FRAME.rows()]}).sent
    answer = ready.predictor.predict(ready.reader.read(sent, max_rows=5, findings=Findings()))
    mean = torch.stack(answers).mean(0).numpy()
    np.testing.assert_allclose(np.array(answer.probabilities, dtype=np.float64)[:, 1], mean, atol=1e-5)


def test_an_ensemble_that_was_killed_ends_with_the_same_bits(yard: Yard) -> None:
    undisturbed, killed = yard.submit(**FOLDED), yard.submit(**FOLDED)
    yard.work()
    again = yard.submit(**FOLDED)

    def die() -> None:
        if yard.reports == 8:
            raise Killed

    yard.on_report = die
    with pytest.raises(Killed):
        yard.work(checkpoint=0)
    yard.on_report = lambda: None
    yard.bury()
    yard.make_due(again)
    yard.work()

    assert yard.job(again.id).status is Status.SUCCEEDED
    for which in ("best", "last"):
        assert yard.weights(yard.checkpoints(again)[which]) == yard.weights(yard.checkpoints(undisturbed)[which])
    assert without_seconds(yard.history(again)) == without_seconds(yard.history(undisturbed))
    assert without_seconds(yard.history(killed)) == without_seconds(yard.history(undisturbed))


def test_rows_of_the_users_own_are_validated_on_as_they_are(yard: Yard) -> None:
    job = yard.submit(**FOLDED, split={"validation": 0.3})

    yard.work()

    spec = yard.job(job.id).resolved_spec
    assert (spec["train_rows"], spec["validation_rows"], spec["ensemble"]["folds"]) == (70, 30, False)
    assert None not in yard.history(job).val_loss


def test_an_ensemble_of_which_a_network_has_no_weight_to_train_on_is_refused_by_name(yard: Yard) -> None:
    rows = "\n".join(f"{i},{1 if i == 3 else 0},{'xy'[i % 2]}" for i in range(30))
    job = yard.submit(**FOLDED, dataset=yard.upload(f"a,w,size\n{rows}\n"), sample_weight="w")

    yard.work()

    ended = yard.job(job.id)
    assert (ended.status, ended.stop_reason) == (Status.FAILED, StopReason.INVALID_DATA)
