"""Where a sweep stands, how a path changes a spec, and by what trials are compared."""

from typing import Any

import pytest

from app.domain.errors import Invalid
from app.domain.faults import validated
from app.domain.job import Status
from app.domain.spec import JobSpec
from app.domain.spec.paths import path_exists, with_values
from app.domain.sweep import SweepSpec, SweepStatus, reported_value, status_of
from app.domain.sweep_trials import Trial, trials_of


def trials(**changes: Any) -> list[Trial]:
    body = {"spec": {"dataset": "ds_1", "target": "y"}, "method": "grid", **changes}
    return trials_of(validated(SweepSpec, body), most_trials=100)


@pytest.mark.parametrize(
    ("counts", "cancelled", "status"),
    [
        ({Status.QUEUED: 1}, False, SweepStatus.RUNNING),
        ({Status.PAUSED: 1, Status.SUCCEEDED: 1}, False, SweepStatus.RUNNING),
        ({Status.CANCELLING: 1, Status.CANCELLED: 1}, True, SweepStatus.CANCELLING),
        ({Status.SUCCEEDED: 1, Status.FAILED: 5, Status.CANCELLED: 1}, False, SweepStatus.SUCCEEDED),
        ({Status.SUCCEEDED: 1, Status.CANCELLED: 1}, True, SweepStatus.CANCELLED),
        ({Status.SUCCEEDED: 2}, True, SweepStatus.SUCCEEDED),
        ({Status.FAILED: 1, Status.CANCELLED: 1}, False, SweepStatus.FAILED),
        ({Status.CANCELLED: 2}, False, SweepStatus.CANCELLED),
        ({}, False, SweepStatus.CANCELLED),
    ],
)
def test_the_status_of_a_sweep_follows_from_its_trials(counts: dict[Status, int], cancelled: bool, status: SweepStatus) -> None:
    assert status_of(counts, cancelled=cancelled) is status


@pytest.mark.parametrize(
    ("path", "exists"),
    [
        ("seed", True),
        ("optimizer", True),
        ("optimizer.learning_rate", True),
        ("optimizer.momentum", True),
        ("loss.delta", True),
        ("early_stopping.patience", True),
        ("metadata.team.a", True),
        ("class_weights.yes", True),
        ("", False),
        ("speed", False),
        ("seed.x", False),
        ("optimizer.speed", False),
        ("optimizer.learning_rate.x", False),
        ("network.hidden_layers.0", False),
        (".seed", False),
    ],
)
def test_a_path_exists_where_a_spec_may_have_a_value(path: str, exists: bool) -> None:
    assert path_exists(path) is exists


def test_every_field_of_a_spec_is_a_path() -> None:
    assert all(path_exists(name) for name in JobSpec.model_fields)


@pytest.mark.parametrize(
    ("spec", "values", "changed"),
    [
        ({}, {"optimizer.learning_rate": 0.1}, {"optimizer": {"name": "adam", "learning_rate": 0.1}}),
        ({}, {"early_stopping.patience": 3}, {"early_stopping": {"patience": 3}}),
        ({"early_stopping": None}, {"early_stopping.patience": 3}, {"early_stopping": {"patience": 3}}),
        ({"early_stopping": {"patience": 3}}, {"early_stopping": None}, {"early_stopping": None}),
        ({}, {"metadata.team.a": "x"}, {"metadata": {"team.a": "x"}}),
        (
            {"optimizer": {"name": "sgd", "momentum": 0.9}},
            {"optimizer.learning_rate": 0.1},
            {"optimizer": {"name": "sgd", "momentum": 0.9, "learning_rate": 0.1}},
        ),
        (
            {"optimizer": {"name": "sgd", "momentum": 0.9}},
            {"optimizer.learning_rate": 0.1, "optimizer": {"name": "adamw"}},
            {"optimizer": {"name": "adamw", "learning_rate": 0.1}},
        ),
    ],
)
def test_a_path_sets_one_value_and_a_block_s_name_the_whole_block(
    spec: dict[str, Any], values: dict[str, Any], changed: dict[str, Any]
) -> None:
    before = repr(spec)

    assert with_values(spec, values) == changed
    assert repr(spec) == before


def test_a_trial_s_spec_holds_what_was_sent_and_what_was_searched_and_no_defaults() -> None:
    [trial] = trials(search={"network.dropout": {"choice": [0.5]}})

    sent = trial.spec.model_dump(mode="json", exclude_unset=True)
    assert sent == {"dataset": "ds_1", "target": "y", "network": {"dropout": 0.5}}


def test_a_searched_block_is_faulty_where_it_stands_in_its_choice() -> None:
    optimizers = [{"name": "sgd"}, {"name": "sgd", "learning_rate": -1}]

    with pytest.raises(Invalid) as invalid:
        trials(search={"optimizer": {"choice": optimizers}, "seed": {"choice": [1, 2]}})

    [fault] = invalid.value.faults
    assert (fault.pointer, fault.code) == ("/search/optimizer/choice/1/learning_rate", "out_of_range")
    assert fault.detail.startswith("Trial 3: ")


@pytest.mark.parametrize(
    ("metric", "value"), [("train_loss", 1.0), ("val_loss", "NaN"), ("val_accuracy", 0.5), ("val_roc_auc", None)]
)
def test_a_value_is_told_as_it_was_reported(metric: str, value: float | str | None) -> None:
    losses = {"epoch": 3, "train_loss": 1.0, "val_loss": "NaN", "metrics": {"val_accuracy": 0.5}}

    assert reported_value(losses, metric) == value
    assert reported_value(None, metric) is None
