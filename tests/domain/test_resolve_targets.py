"""A target of several columns, resolved or refused."""

import pytest

from app.domain.errors import Invalid
from app.domain.resolve import resolve
from app.domain.schema import Column, StorageType, Task
from app.domain.spec import JobSpec
from tests.domain.test_resolve import COLUMNS, COUNT, PRICE, ROWS, WEIGHT, X, faults, labels, numeric, resolved

MEMBER = labels("member", [False, True], StorageType.BOOL)
DIGIT = labels("digit", [0, 1], StorageType.INT64)
OTHER_DIGIT = labels("other", [0, 1], StorageType.INT64)
SINGLE = labels("single", [True], StorageType.BOOL)
ALL = [*COLUMNS, MEMBER, DIGIT, OTHER_DIGIT, SINGLE]


def test_several_numbers_are_one_regression_with_an_output_for_each() -> None:
    spec = resolved(target=["count", "price"]).spec

    assert (spec.target, spec.task, spec.classes, spec.loss.name) == (["count", "price"], Task.REGRESSION, None, "mse")
    assert (spec.layers[-1], spec.preprocessing.target, spec.split.stratify) == (2, "standard", False)


def test_several_booleans_are_a_multilabel_classification() -> None:
    spec = resolved(ALL, target=["smoker", "member"]).spec

    assert (spec.target, spec.task, spec.classes) == (["smoker", "member"], Task.MULTILABEL, ["smoker", "member"])
    assert (spec.loss.name, spec.layers[-1], spec.preprocessing.target, spec.split.stratify) == ("bce", 2, "none", False)


@pytest.mark.parametrize("change", [{"task": "multilabel"}, {"columns": {"digit": "boolean", "other": "boolean"}}])
def test_columns_of_0_and_1_are_labels_where_the_spec_says_so(change: dict[str, object]) -> None:
    found = resolved(ALL, target=["digit", "other"], **change)

    assert (found.spec.task, found.warnings) == (Task.MULTILABEL, [])


def test_columns_of_0_and_1_are_numbers_by_default_with_a_warning() -> None:
    found = resolved(ALL, target=["digit", "other"])

    assert found.spec.task is Task.REGRESSION
    assert found.warnings == ['All targets are 0 or 1 and are read as numbers; set task to "multilabel" to predict labels.']


@pytest.mark.parametrize("loss", ["mse", "l1", "huber", "quantile"])
def test_every_loss_of_numbers_goes_with_several(loss: str) -> None:
    assert resolved(target=["count", "price"], loss={"name": loss}).spec.loss.name == loss


@pytest.mark.parametrize("loss", ["bce", "focal"])
def test_every_loss_of_labels_goes_with_several(loss: str) -> None:
    assert resolved(ALL, target=["smoker", "member"], loss={"name": loss}).spec.layers[-1] == 2


def test_poisson_goes_with_several_counts() -> None:
    assert resolved(target=["count", "weight"], loss={"name": "poisson"}).spec.preprocessing.target == "none"


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"target": ["count", "nope"]}, "/target/1", "no column 'nope'"),
        ({"target": ["count", "price", "count"]}, "/target/2", "stands twice"),
        ({"target": ["empty", "count"]}, "/target/0", "has no values"),
        ({"target": ["count", "when"]}, "/target/1", "holds dates"),
        ({"target": ["smoker", "single"]}, "/target/1", "single class"),
        ({"target": ["count", "smoker"]}, "/target", "'count' is numeric, 'smoker' is boolean"),
        ({"target": ["species", "smoker"]}, "/target", "'species' is categorical, 'smoker' is boolean"),
        ({"target": ["species", "species"]}, "/target/1", "stands twice"),
        ({"target": ["count", "smoker"], "task": "regression"}, "/task", "numeric targets; 'smoker' is boolean."),
        ({"target": ["smoker", "count"], "task": "multilabel"}, "/task", "boolean targets; 'count' is numeric."),
        (
            {"target": ["smoker", "digit"], "task": "multilabel", "columns": {"digit": "numeric"}},
            "/task",
            "'digit' is numeric",
        ),
        ({"target": ["smoker", "member"], "task": "binary"}, "/task", "one target"),
        ({"target": ["count", "price"], "task": "multiclass"}, "/task", "one target"),
        ({"target": "smoker", "task": "multilabel"}, "/task", "several boolean targets"),
        ({"target": ["smoker"], "task": "multilabel"}, "/task", "several boolean targets"),
        ({"target": ["count", "price"], "loss": {"name": "bce"}}, "/loss/name", "huber, l1, mse, poisson, quantile"),
        ({"target": ["smoker", "member"], "loss": {"name": "mse"}}, "/loss/name", "choose of bce, focal"),
        ({"target": ["smoker", "member"], "loss": {"name": "cross_entropy"}}, "/loss/name", "choose of bce, focal"),
        ({"target": ["count", "price"], "loss": {"name": "poisson"}}, "/loss/name", "never negative"),
        ({"target": ["count", "price"], "split": {"stratify": True}}, "/split/stratify", "one target"),
        ({"target": ["smoker", "member"], "split": {"stratify": True}}, "/split/stratify", "one target"),
        ({"target": ["smoker", "member"], "class_weights": "balanced"}, "/class_weights", "no class weights"),
        ({"target": ["smoker", "member"], "calibration": "temperature"}, "/calibration", "multilabel"),
        ({"target": ["smoker", "member"], "clip_predictions": True}, "/clip_predictions", "no numbers"),
        ({"target": ["count", "price"], "class_weights": "balanced"}, "/class_weights", "go with classification"),
        ({"target": ["count", "price"], "features": ["x", "price"]}, "/features/1", "is the target"),
        ({"target": ["count", "weight"], "sample_weight": "weight"}, "/sample_weight", "is the target"),
        ({"target": ["smoker", "member"], "early_stopping": {"metric": "val_r2"}}, "/early_stopping/metric", "val_f1"),
        ({"target": ["count", "species"], "columns": {"species": "numeric"}}, "/columns/species", "cannot be read"),
    ],
)
def test_a_fault_is_named_with_its_pointer(change: dict[str, object], pointer: str, words: str) -> None:
    found = faults(ALL, **change)

    assert list(found) == [pointer]
    assert words in found[pointer]


def test_faults_of_several_columns_come_at_once() -> None:
    assert list(faults(target=["nope", "when", "count", "empty"])) == ["/target/0", "/target/1", "/target/3"]


def test_no_target_is_a_feature_by_default() -> None:
    assert resolved([X, COUNT, PRICE, WEIGHT], target=["count", "price"], features=None).spec.features == ["x", "weight"]


def test_rows_that_lack_the_one_column_with_gaps_are_not_counted() -> None:
    found = resolved(target=["count", "price"], split={"validation": 0.2, "test": 0.1})

    assert (found.spec.train_rows, found.spec.validation_rows, found.spec.test_rows) == (63, 18, 9)
    assert found.warnings == ["10 row(s) lack a target and are left out."]


@pytest.mark.parametrize("whole", [85, 90])
def test_rows_that_lack_one_of_several_columns_with_gaps_are_counted_in_the_data(whole: int) -> None:
    asked: list[list[str]] = []

    def complete(names: object) -> int:
        assert isinstance(names, list)
        asked.append(names)
        return whole

    found = resolve(of(["a", "x", "b"]), columns=gappy(), rows=ROWS, complete=complete)

    assert asked == [["a", "x", "b"]]
    assert found.spec.train_rows + found.spec.validation_rows == whole
    assert found.warnings == [f"{ROWS - whole} row(s) lack a target and are left out."]


def test_a_dataset_without_a_whole_row_is_refused() -> None:
    with pytest.raises(Invalid, match="No row has a value in every target column"):
        resolve(of(["a", "b"]), columns=gappy(), rows=ROWS, complete=lambda names: 0)


def of(target: list[str]) -> JobSpec:
    return JobSpec.model_validate({"dataset": "ds_1", "target": target, "features": ["weight"]})


def gappy() -> list[Column]:
    return [numeric("a", missing=10), numeric("b", missing=5), X, WEIGHT]


@pytest.mark.parametrize("target", [["count", "price"], ["smoker", "member"], ["digit", "other"]], ids="-".join)
def test_what_was_resolved_resolves_to_itself(target: list[str]) -> None:
    first = resolved(ALL, target=target, features=None).spec
    extra = set(type(first).model_fields) - set(JobSpec.model_fields)

    again = JobSpec.model_validate_json(first.model_dump_json(exclude=extra))

    assert resolve(again, columns=ALL, rows=ROWS).spec == first


@pytest.mark.parametrize("target", [["count", "price"], ["smoker", "member"]], ids=["numbers", "labels"])
def test_a_custom_loss_goes_with_several_columns(target: list[str]) -> None:
    asked = JobSpec.model_validate({"dataset": "ds_1", "target": target, "features": ["x"], "loss": {"name": "custom:mine"}})

    spec = resolve(asked, columns=ALL, rows=ROWS, complete=lambda names: ROWS, custom_losses=["mine"]).spec

    assert (spec.loss.name, spec.layers[-1], spec.preprocessing.target) == ("custom:mine", 2, "none")
