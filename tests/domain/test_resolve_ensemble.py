"""What becomes of an ensemble in a spec, and what it cannot go with."""

import pytest

from app.domain.errors import Invalid
from app.domain.packing import pack_key
from app.domain.resolve import resolve
from app.domain.resolve_split import SplitFacts
from app.domain.spec import JobSpec
from tests.domain.test_resolve import COLUMNS
from tests.domain.test_resolve_split import BY_GROUP, GROUPS, faults, resolved, sizes

NO_OWN, GROUPS_ONLY = SplitFacts(), SplitFacts(bundles=GROUPS)
EIGHT = {"members": 8}


def test_an_ensemble_validates_on_its_folds_where_nothing_else_is_said() -> None:
    spec = resolved(NO_OWN, ensemble=EIGHT).spec

    assert spec.ensemble is not None
    assert (spec.ensemble.folds, sizes(spec), spec.judged_rows) == (True, (100, 0, 0), 100)
    assert resolved(NO_OWN, **spec.model_dump(include={"ensemble", "split"})).spec.ensemble == spec.ensemble
    assert pack_key(spec, dataset_sha256="") is None


def test_the_test_rows_are_held_out_all_the_same() -> None:
    assert sizes(resolved(NO_OWN, ensemble=EIGHT, split={"test": 0.2}).spec) == (80, 0, 20)


@pytest.mark.parametrize("split", [{"validation": 0.2}, {"validation": 0.2, "test": 0.1}])
def test_a_validation_split_that_is_named_is_honoured(split: dict[str, float]) -> None:
    spec = resolved(NO_OWN, ensemble=EIGHT, split=split).spec

    assert spec.ensemble is not None
    assert (spec.ensemble.folds, spec.validation_rows, spec.judged_rows) == (False, 20, 20)


def test_groups_stay_together_so_there_are_no_folds() -> None:
    spec = resolved(GROUPS_ONLY, ensemble=EIGHT, split=BY_GROUP).spec

    assert spec.ensemble is not None
    assert (spec.ensemble.folds, sizes(spec)) == (False, (80, 20, 0))


def test_folds_and_rows_of_their_own_exclude_each_other() -> None:
    asked = {"members": 4, "folds": True}

    assert faults(NO_OWN, ensemble=asked, split={"validation": 0.1}) == {
        "/ensemble/folds": "With folds every row is validated on once, but split.validation holds some out."
    }
    assert faults(GROUPS_ONLY, ensemble=asked, split=BY_GROUP).keys() == {"/ensemble/folds"}


def test_all_networks_count() -> None:
    one, eight = resolved(NO_OWN).spec, resolved(NO_OWN, ensemble=EIGHT).spec

    assert eight.parameters == 8 * one.parameters


def test_early_stopping_goes_with_folds() -> None:
    assert resolved(NO_OWN, ensemble=EIGHT, early_stopping={"metric": "val_loss", "patience": 3}).spec.early_stopping


def test_folds_need_two_rows() -> None:
    few = [column.model_copy(update={"missing": 0}) for column in COLUMNS]
    asked = JobSpec.model_validate(
        {
            "dataset": "ds_1",
            "target": "price",
            "task": "regression",
            "features": ["x"],
            "ensemble": EIGHT,
            "split": {"test": 0.5},
        }
    )

    with pytest.raises(Invalid) as invalid:
        resolve(asked, columns=few, rows=2)
    assert [fault.pointer for fault in invalid.value.faults] == ["/ensemble/folds"]
