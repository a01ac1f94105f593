"""Splits by a column and datasets of one's own: what a spec becomes, and why it is refused."""

import pytest

from app.domain.bundles import Bundles
from app.domain.errors import Invalid
from app.domain.resolve import Resolved, resolve
from app.domain.resolve_split import Described, SplitFacts
from app.domain.schema import Column, Level, StorageType
from app.domain.spec import JobSpec, ResolvedSpec
from tests.domain.test_resolve import COLUMNS, GRADE, ROWS, SPECIES, WEIGHT, WHEN, X, labels, numeric

PART = labels("part", ["test", "train", "validation"])
PATIENT = labels("patient", [f"p{i}" for i in range(20)])
MEMBER = labels("member", [False, True], StorageType.BOOL)
ALL = [*COLUMNS, PART, PATIENT, MEMBER]
BY_PART = Bundles([15, 65, 20], words=["test", "train", "validation"])
BY_COLUMN = {"method": "column", "column": "part"}
BY_TIME = {"method": "time", "column": "when"}
BY_GROUP = {"method": "group", "column": "patient"}
TIMES = Bundles([2] * 50)
GROUPS = Bundles([5] * 20)


def resolved(facts: SplitFacts, of: list[Column] | None = None, /, **spec: object) -> Resolved:
    asked = JobSpec.model_validate({"dataset": "ds_1", "target": "species", "features": ["x"]} | spec)
    return resolve(asked, columns=of or ALL, rows=ROWS, facts=facts)


def faults(facts: SplitFacts, /, **spec: object) -> dict[str, str]:
    """Pointer → detail of what is refused."""
    with pytest.raises(Invalid) as invalid:
        resolved(facts, **spec)
    return {fault.pointer: fault.detail for fault in invalid.value.faults}


def many(name: str) -> Column:
    """Text with more levels than are listed."""
    return labels(name, ["a"]).model_copy(update={"distinct": 5000, "levels": None, "counts": None})


def own(*columns: Column, rows: int = 30) -> SplitFacts:
    return SplitFacts(validation=Described(columns, rows))


def sizes(spec: ResolvedSpec) -> tuple[int, int, int]:
    return spec.train_rows, spec.validation_rows, spec.test_rows


@pytest.mark.parametrize(
    ("split", "bundles", "expected"),
    [
        (BY_COLUMN, BY_PART, (65, 20, 15)),
        (BY_TIME, TIMES, (80, 20, 0)),
        ({**BY_TIME, "validation": 0.3, "test": 0.1}, TIMES, (60, 30, 10)),
        (BY_GROUP, GROUPS, (80, 20, 0)),
        ({**BY_GROUP, "validation": 0, "test": 0.33}, GROUPS, (65, 0, 35)),
    ],
)
def test_the_cells_of_a_column_make_the_sizes(
    split: dict[str, object], bundles: Bundles, expected: tuple[int, int, int]
) -> None:
    spec = resolved(SplitFacts(bundles), split=split).spec

    assert sizes(spec) == expected
    assert spec.split.stratify is False


def test_a_fraction_that_nothing_reads_is_0_in_the_resolved_spec() -> None:
    by_column = resolved(SplitFacts(BY_PART), split=BY_COLUMN).spec.split
    validated = resolved(own(X, SPECIES), validation_dataset="ds_2", split={"test": 0.1}).spec.split

    assert (by_column.validation, by_column.test) == (0, 0)
    assert (validated.validation, validated.test) == (0, 0.1)


@pytest.mark.parametrize("split", [BY_COLUMN, BY_GROUP])
def test_the_column_of_a_split_is_no_feature_unless_it_is_named(split: dict[str, object]) -> None:
    facts, name = SplitFacts(BY_PART if split == BY_COLUMN else GROUPS), str(split["column"])

    assert name not in resolved(facts, split=split, features=None).spec.features
    assert resolved(facts, split=split, features=["x", name]).spec.features == ["x", name]


def test_a_time_is_no_feature_and_nothing_is_said_of_its_dates() -> None:
    found = resolved(SplitFacts(TIMES), [X, SPECIES, GRADE, WHEN], split=BY_TIME, features=None)
    numbered = resolved(SplitFacts(TIMES), [X, SPECIES, GRADE], split={**BY_TIME, "column": "grade"}, features=None)

    assert (found.spec.features, found.warnings) == (["x", "grade"], [])
    assert numbered.spec.features == ["x"]


@pytest.mark.parametrize(
    ("split", "pointer", "words"),
    [
        ({"method": "time"}, "/split/column", "by which column"),
        ({"method": "group", "column": "nope"}, "/split/column", "'nope' is not in the dataset"),
        ({"method": "group", "column": "species"}, "/split/column", "is the target"),
        ({"method": "group", "column": "empty"}, "/split/column", "has no values"),
        ({"method": "time", "column": "patient"}, "/split/column", "is categorical; a time is"),
        ({"method": "time", "column": "smoker"}, "/split/column", "is boolean; a time is"),
        ({"method": "column", "column": "grade"}, "/split/column", "is numeric; its cells are train, validation, test"),
        ({"method": "column", "column": "free"}, "/split/column", "more than 1000 different cells"),
        ({**BY_COLUMN, "validation": 0.2}, "/split/validation", "The column says"),
        ({**BY_COLUMN, "test": 0.2}, "/split/test", "The column says"),
        ({**BY_GROUP, "stratify": True}, "/split/stratify", "Only a random split"),
    ],
)
def test_a_split_that_cannot_be_is_refused_at_its_place(split: dict[str, object], pointer: str, words: str) -> None:
    facts = SplitFacts(BY_PART if split.get("column") == "part" else GROUPS if split.get("column") == "patient" else None)

    found = faults(facts, split=split)

    assert list(found) == [pointer]
    assert words in found[pointer]


def test_what_the_cells_say_is_told_with_all_other_faults() -> None:
    strange = SplitFacts(Bundles([60, 40], words=["train", "holdout"]))

    assert sorted(faults(strange, split=BY_COLUMN, features=["x", "nope"])) == ["/features/1", "/split/column"]


@pytest.mark.parametrize(
    ("facts", "spec"),
    [
        (SplitFacts(BY_PART), {"split": BY_COLUMN}),
        (SplitFacts(TIMES), {"split": BY_TIME}),
        (SplitFacts(GROUPS), {"split": BY_GROUP}),
        (own(X, SPECIES), {"validation_dataset": "ds_2"}),
    ],
)
def test_every_kind_of_validation_allows_early_stopping(facts: SplitFacts, spec: dict[str, object]) -> None:
    assert resolved(facts, early_stopping={}, **spec).spec.early_stopping is not None


def test_a_column_that_says_validation_nowhere_allows_no_early_stopping() -> None:
    facts = SplitFacts(Bundles([90, 10], words=["train", "test"]))

    assert list(faults(facts, split=BY_COLUMN, early_stopping={})) == ["/early_stopping"]


def test_rows_without_a_group_are_one_group_and_mentioned() -> None:
    found = resolved(SplitFacts(Bundles([5] * 20, missing=5)), split=BY_GROUP)

    assert found.warnings == ["5 row(s) have no 'patient' and stay together as one group."]


@pytest.mark.parametrize(
    ("facts", "spec"),
    [
        (SplitFacts(BY_PART), {"split": BY_COLUMN}),
        (SplitFacts(TIMES), {"split": {**BY_TIME, "test": 0.1}}),
        (SplitFacts(GROUPS), {"split": BY_GROUP, "features": None}),
        (own(X, SPECIES), {"validation_dataset": "ds_2", "split": {"test": 0.2, "stratify": True}}),
    ],
)
def test_a_resolved_spec_resolves_to_itself(facts: SplitFacts, spec: dict[str, object]) -> None:
    first = resolved(facts, **spec).spec
    extra = set(ResolvedSpec.model_fields) - set(JobSpec.model_fields)

    again = JobSpec.model_validate_json(first.model_dump_json(exclude=extra))

    assert resolve(again, columns=ALL, rows=ROWS, facts=facts).spec == first


def test_a_dataset_of_one_s_own_leaves_the_job_s_rows_to_the_other_parts() -> None:
    theirs = own(X, labels("species", ["a", "c"], missing=4), rows=30)

    assert sizes(resolved(theirs, validation_dataset="ds_2").spec) == (100, 26, 0)
    assert sizes(resolved(theirs, validation_dataset="ds_2", split={"test": 0.1}).spec) == (90, 26, 10)
    by_time = SplitFacts(TIMES, validation=theirs.validation)
    assert sizes(resolved(by_time, validation_dataset="ds_2", split={**BY_TIME, "test": 0.1}).spec) == (90, 26, 10)


def several(*columns: Column, whole: int, rows: int = 30) -> SplitFacts:
    return SplitFacts(validation=Described(columns, rows, complete=lambda names: whole))


def test_of_several_targets_the_rows_of_one_s_own_dataset_have_all() -> None:
    theirs = several(X, numeric("price", missing=5), numeric("count", missing=9), whole=18)

    found = resolved(theirs, target=["count", "price"], validation_dataset="ds_2")

    assert sizes(found.spec) == (90, 18, 0)


def test_each_of_several_targets_must_be_in_one_s_own_dataset_as_the_job_reads_it() -> None:
    smoker = labels("smoker", ["true", "perhaps"])
    gaps = several(X, numeric("price", missing=25), numeric("count", missing=25), whole=0)

    unlike = faults(own(X, smoker, MEMBER), target=["smoker", "member"], validation_dataset="ds_2")
    whole = faults(gaps, target=["count", "price"], validation_dataset="ds_2")

    assert list(unlike) == list(whole) == ["/validation_dataset"]
    assert "'smoker' of the dataset ds_2 has labels that the job's own dataset lacks, in 50" in unlike["/validation_dataset"]
    assert "No row of it has a value in every target column" in whole["/validation_dataset"]


def test_both_parts_may_be_datasets_and_one_s_own_is_warned_of() -> None:
    facts = SplitFacts(validation=Described([X, SPECIES], 30), test=Described([X, SPECIES], 100))

    found = resolved(facts, validation_dataset="ds_2", test_dataset="ds_1")

    assert sizes(found.spec) == (100, 30, 100)
    assert found.warnings == ["The test rows are the rows of the job's own dataset: they were learned from."]


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_fraction_of_a_part_with_a_dataset_of_its_own_is_a_conflict(part: str) -> None:
    described = Described([X, SPECIES], 30)
    facts = SplitFacts(validation=described, test=described)

    found = faults(facts, split={part: 0.2}, **{f"{part}_dataset": "ds_2"})

    assert list(found) == [f"/split/{part}"]


def test_a_part_cannot_come_from_a_column_and_from_a_dataset() -> None:
    facts = SplitFacts(BY_PART, test=Described([X, SPECIES], 30))

    assert faults(facts, split=BY_COLUMN, test_dataset="ds_2") == {
        "/test_dataset": "Column 'part' says test in 15 row(s) already."
    }


def test_a_dataset_that_is_not_there_is_told_with_all_other_faults() -> None:
    found = faults(SplitFacts(), validation_dataset="ds_2", test_dataset="ds_3", features=["nope"])

    assert sorted(found) == ["/features/0", "/test_dataset", "/validation_dataset"]


@pytest.mark.parametrize(
    ("theirs", "spec", "words"),
    [
        ([SPECIES], {}, "Column 'x' of the dataset ds_2 is not there"),
        ([X], {}, "Column 'species' of the dataset ds_2 is not there"),
        ([X, SPECIES], {"sample_weight": "weight"}, "Column 'weight' of the dataset ds_2 is not there"),
        ([X, SPECIES, numeric("weight")], {"sample_weight": "weight"}, "negative values"),
        ([labels("x", ["a"]), SPECIES], {}, "is categorical; the job reads it as numeric"),
        ([X, SPECIES, numeric("grade")], {"features": ["grade"], "columns": {"grade": "categorical"}}, "is numeric; the job"),
        ([WHEN.model_copy(update={"name": "patient"}), SPECIES], {"features": ["patient"]}, "is datetime; the job reads"),
        ([numeric("x", infinite=1), SPECIES], {}, "1 infinite value(s)"),
        ([numeric("x", missing=3), SPECIES], {"preprocessing": {"missing": "error"}}, "3 missing value(s)"),
        ([X, labels("species", ["a", "d", "e", "f", "g"])], {}, "lacks, in 80 row(s)"),
        ([X, many("species")], {}, "is no set of labels"),
        ([X, labels("species", ["a"], missing=30, distinct=0)], {}, "has no values"),
        ([X, labels("price", ["a"])], {"target": "price"}, "is categorical; the job's target is numeric"),
        ([X, numeric("price", infinite=2)], {"target": "price"}, "has infinite values"),
        ([X, numeric("count")], {"target": "count", "loss": {"name": "poisson"}}, "has negative values"),
    ],
)
def test_a_dataset_that_does_not_match_is_refused(theirs: list[Column], spec: dict[str, object], words: str) -> None:
    found = faults(own(*theirs), validation_dataset="ds_2", **spec)

    assert list(found) == ["/validation_dataset"]
    assert words in found["/validation_dataset"]


@pytest.mark.parametrize(
    ("theirs", "spec"),
    [
        ([labels("x", [0, 1], StorageType.INT64), SPECIES], {}),
        ([numeric("x", missing=30, distinct=0), SPECIES], {}),
        ([labels("patient", ["new"]), SPECIES], {"features": ["patient"]}),
        ([many("patient"), SPECIES], {"features": ["patient"]}),
        ([X, labels("grade", [1.0, 3.0], StorageType.FLOAT64)], {"target": "grade", "task": "multiclass"}),
        ([X, WEIGHT, SPECIES], {"sample_weight": "weight"}),
    ],
)
def test_a_dataset_that_reads_alike_will_do(theirs: list[Column], spec: dict[str, object]) -> None:
    assert resolved(own(*theirs), validation_dataset="ds_2", **spec).spec.validation_rows == 30


def test_levels_of_another_type_are_the_same_labels_if_their_texts_are() -> None:
    levels: list[Level] = ["1", "2", "3"]

    assert resolved(own(X, labels("grade", levels)), target="grade", validation_dataset="ds_2").spec.validation_rows == 30
