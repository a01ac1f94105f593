"""The lines that measure what early stopping watches are run on random answers and find what the engine finds."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from app.code.losses import is_choice, is_weighted
from app.code.targets import is_several, is_standardized
from app.code.watching import metric
from app.domain.kinds import Task
from app.domain.metrics import of_task
from app.domain.output import output_activation
from app.domain.spec import ResolvedSpec
from tests.engine.plain import spec_of
from worker.engine.metrics import evaluate

ROWS = 17
SPECS: dict[str, ResolvedSpec] = {
    "multiclass": spec_of(),
    "two classes": spec_of(outputs=2, task="binary", classes=[0, 1]).model_copy(
        update={"task": Task.BINARY, "classes": [0, 1]}
    ),
    "one logit": spec_of(loss={"name": "bce"}),
    "number": spec_of(loss={"name": "mse"}, preprocessing={"target": "standard"}),
    "count": spec_of(loss={"name": "poisson"}, preprocessing={"target": "none"}),
    "labels": spec_of(loss={"name": "bce"}, target=["y", "z"]),
    "numbers": spec_of(loss={"name": "mse"}, target=["y", "z"], preprocessing={"target": "standard"}),
}
SPECS |= {
    f"{name}, clipped": SPECS[name].model_copy(update={"clip_predictions": True}) for name in ("number", "numbers", "count")
}
LINKS: dict[str, Any] = {
    "softmax": lambda z: z.softmax(-1),
    "sigmoid": torch.sigmoid,
    "exp": torch.exp,
    "identity": lambda z: z,
}
CASES = [(kind, name) for kind, spec in SPECS.items() for name in of_task(spec.task)]


def truth(spec: ResolvedSpec, draw: np.random.Generator) -> Tensor:
    """[n], or [n, O] of several columns."""
    shape = (ROWS, spec.layers[-1]) if is_several(spec) else (ROWS,)
    if spec.classes is None:
        return torch.from_numpy(draw.normal(size=shape))
    return torch.from_numpy(draw.integers(0, 2 if is_several(spec) else len(spec.classes), shape))


@pytest.mark.parametrize(("kind", "name"), CASES)
@pytest.mark.parametrize("weight", [None, "w"])
def test_a_watched_metric_is_the_engines(kind: str, name: str, weight: str | None) -> None:
    draw, rule = np.random.default_rng(4), {"metric": f"val_{name}", "patience": 3}
    spec = ResolvedSpec.model_validate(SPECS[kind].model_dump() | {"early_stopping": rule, "sample_weight": weight})
    z, y = torch.from_numpy(draw.normal(size=(ROWS, spec.layers[-1]))), truth(spec, draw)
    z[::3] = z[0]  # ties
    w = torch.from_numpy(draw.uniform(0.2, 2.0, ROWS)) if weight else None
    scale = np.array([2.0, 300.0]) if kind.startswith("numbers") else 3.0 if is_standardized(spec) else 1.0
    columns = y.double() if is_several(spec) else y.double()[:, None]
    given = {
        "y_train": columns[2:5],
        "torch": torch,
        "nn": torch.nn,
        "scale": torch.tensor(scale),
        "y_val": y if is_choice(spec) else columns,
        "w_val": w if w is None or is_choice(spec) else w[:, None],
    }

    exec("\n".join(metric(spec, weighted=is_weighted(spec))), given)

    outputs = LINKS[output_activation(spec)](z)[None]
    limits = (y[2:5].amin(0).numpy() * scale, y[2:5].amax(0).numpy() * scale) if spec.clip_predictions else None
    expected = evaluate(spec.task, outputs, y, w, scale=scale, limits=limits, names=[name])[name]
    assert float(given["metric"](z)) == pytest.approx(expected.item(), rel=1e-12)  # type: ignore[operator]
