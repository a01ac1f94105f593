"""What each recipe makes of a spec, and what it does not let a caller decide."""

from typing import Any

import pytest

from app.domain.resolve import resolve
from app.domain.resolve_split import SplitFacts
from app.domain.schema import Task
from app.domain.spec import JobSpec, ResolvedSpec
from tests.domain.test_resolve import COLUMNS, ROWS
from tests.domain.test_resolve_split import BY_TIME, TIMES, faults, resolved

NOTHING = SplitFacts()


def spec_of(**spec: Any) -> ResolvedSpec:
    return resolved(NOTHING, **{"recipe": "strong", **spec}).spec


@pytest.mark.parametrize(
    ("recipe", "target", "members", "epochs"),
    [
        ("fast", "y", 4, 60),
        ("strong", "y", 10, 76),
        ("best", "y", 20, 128),
        ("fast", "x", 4, 60),
        ("strong", "x", 10, 76),
        ("best", "x", 20, 128),
    ],
)
def test_a_recipe_is_so_many_networks_for_so_many_epochs(recipe: str, target: str, members: int, epochs: int) -> None:
    task = {"target": "x", "features": ["price"], "task": "regression"} if target == "x" else {}
    spec = spec_of(recipe=recipe, **task)

    assert spec.ensemble is not None
    assert (spec.recipe, spec.optimize, spec.epochs) == (recipe, "error", epochs)
    assert (spec.ensemble.members, spec.ensemble.folds, spec.judged_rows) == (members, True, ROWS)


def test_classes_and_numbers_have_tables_of_their_own() -> None:
    classes, numbers = spec_of(), spec_of(target="x", features=["price"], task="regression")

    assert classes.layers[1:-1] == [96] * 3
    assert classes.network.numeric_features is not None
    assert numbers.network.numeric_features is not None
    assert (classes.network.numeric_features.kind, numbers.network.numeric_features.kind) == ("periodic", "piecewise_linear")
    assert (classes.loss.name, classes.calibration, classes.clip_predictions) == ("cross_entropy", "temperature", False)
    assert (numbers.loss.name, numbers.calibration, numbers.clip_predictions) == ("mse", "none", True)
    assert classes.optimizer.learning_rate == 0.08
    for spec, cycles in ((classes, 3), (numbers, 4)):
        assert spec.lr_schedule.model_dump(exclude={"warmup_epochs"}) == {"name": "log_cosine", "cycles": cycles}
        assert spec.regularization_schedule == "flat_cosine"
        assert (spec.network.parametrization, spec.network.initialization, spec.network.input_scaling) == (
            *("ntk", "data_driven"),
            True,
        )


@pytest.mark.parametrize(("rows", "batch_size", "rate"), [(100, 34, 0.0729), (1000, 63, 0.0992), (50_000, 257, 0.2)])
def test_the_rate_of_a_regression_goes_with_its_batches(rows: int, batch_size: int, rate: float) -> None:
    asked = JobSpec(dataset="ds", target="x", features=["price"], task=Task.REGRESSION, recipe="strong")
    spec = resolve(asked, columns=COLUMNS, rows=rows).spec

    assert (spec.batch_size, spec.optimizer.learning_rate) == (batch_size, rate)


@pytest.mark.parametrize(
    ("optimize", "smoothing", "metric"),
    [
        (None, 0.1, "val_accuracy"),
        ("error", 0.1, "val_accuracy"),
        ("log_loss", 0.1, "val_log_loss"),
        ("auc", 0.0, "val_log_loss"),
    ],
)
def test_what_is_optimized_picks_the_epoch(optimize: str | None, smoothing: float, metric: str) -> None:
    spec = spec_of(**{} if optimize is None else {"optimize": optimize})

    assert spec.loss.model_dump() == {"name": "cross_entropy", "label_smoothing": smoothing}
    assert spec.early_stopping is not None
    assert (spec.early_stopping.metric, spec.early_stopping.patience) == (metric, "cycle")
    assert spec.early_stopping.mean_epochs == (5 if metric == "val_accuracy" else 1)


def test_a_regression_has_its_error_alone() -> None:
    assert faults(NOTHING, recipe="fast", target="x", features=["price"], task="regression", optimize="auc") == {
        "/optimize": "auc is for the classes of one target; a regression job has its error."
    }


def test_a_plain_job_optimizes_its_loss() -> None:
    assert faults(NOTHING, optimize="log_loss").keys() == {"/optimize"}


BLOCKS: dict[str, Any] = {
    "network": {"hidden_layers": [64]},
    "loss": {"name": "focal"},
    "optimizer": {"name": "sgd"},
    "lr_schedule": {"name": "constant"},
    "epochs": 10,
    "batch_size": 64,
    "early_stopping": {"metric": "val_loss"},
    "gradient_clip_norm": 1.0,
    "preprocessing": {"numeric": "standard"},
    "ensemble": {"members": 3},
    "parameter_groups": {"bias": {"learning_rate_factor": 2.0}},
    "regularization_schedule": "constant",
    "calibration": "none",
}


@pytest.mark.parametrize("block", BLOCKS)
def test_what_the_recipe_decides_is_refused_where_it_is_set(block: str) -> None:
    assert faults(NOTHING, recipe="strong", **{block: BLOCKS[block]}) == {
        f"/{block}": "The recipe strong decides it; leave it out, or use the recipe plain."
    }


def test_what_is_left_open_in_a_block_is_not_set() -> None:
    spec = spec_of(recipe="fast", optimize=None, ensemble={"folds": True}, preprocessing={"target": "none"}, target="x",
                   features=["price"], task="regression")  # fmt: skip

    assert spec.ensemble is not None
    assert (spec.ensemble.members, spec.ensemble.folds, spec.optimize) == (4, True, "error")
    assert (spec.preprocessing.numeric, spec.preprocessing.target) == ("robust_clip", "none")


def test_rows_that_are_named_for_validation_are_honoured() -> None:
    spec = spec_of(split={"validation": 0.2})

    assert spec.ensemble is not None
    assert (spec.ensemble.folds, spec.validation_rows) == (False, 20)


def test_without_any_row_to_validate_on_the_last_epoch_is_kept() -> None:
    found = resolved(SplitFacts(bundles=TIMES), recipe="strong", split={**BY_TIME, "validation": 0})

    assert (found.spec.early_stopping, found.spec.calibration) == (None, "none")
    assert any("No row validates" in warning for warning in found.warnings)


def test_data_without_numbers_have_no_features_of_numbers() -> None:
    assert spec_of(features=["smoker"]).network.numeric_features is None


def test_the_rest_of_a_spec_is_the_callers() -> None:
    spec = spec_of(seed=7, max_seconds=60, class_weights="balanced", record_every=4, checkpoints={"every": 10})

    assert (spec.seed, spec.max_seconds, spec.class_weights, spec.record_every) == (7, 60, "balanced", 4)
    assert spec.checkpoints.every == 10


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"target": "x", "features": ["price"], "task": "regression"},
        {"optimize": "auc"},
        {"ensemble": {"folds": False}, "split": {"validation": 0}},
    ],
)
def test_what_was_resolved_resolves_to_itself(change: dict[str, Any]) -> None:
    spec = spec_of(**change)

    assert resolve(spec, columns=COLUMNS, rows=ROWS).spec == spec


def test_the_spec_as_it_was_sent_keeps_its_recipe_alone() -> None:
    asked = JobSpec.model_validate({"dataset": "ds_1", "target": "species", "recipe": "fast"})

    assert asked.model_dump(exclude_unset=True) == {"dataset": "ds_1", "target": "species", "recipe": "fast"}
