import pytest

from app.domain.cost import CostLimits
from app.domain.errors import Invalid, NotSupported
from app.domain.resolve import Resolved, resolve
from app.domain.schema import Column, Kind, Level, StorageType, Task
from app.domain.spec import JobSpec, ResolvedSpec

ROWS = 100


def numeric(name: str, **changes: object) -> Column:
    """A column of fractions without gaps."""
    column = Column(name=name, kind=Kind.NUMERIC, type=StorageType.FLOAT64, missing=0, distinct=90, minimum=-1.0, maximum=1.0)
    return column.model_copy(update=changes)


def labels(name: str, levels: list[Level], type: StorageType = StorageType.STRING, **changes: object) -> Column:
    """A column of labels, as often as ROWS allows each."""
    kinds = {StorageType.STRING: Kind.CATEGORICAL, StorageType.BOOL: Kind.BOOLEAN}
    counts = [ROWS // len(levels) + (i < ROWS % len(levels)) for i in range(len(levels))]
    column = Column(
        name=name,
        kind=kinds.get(type, Kind.NUMERIC),
        type=type,
        missing=0,
        distinct=len(levels),
        integral=type in (StorageType.INT64, StorageType.FLOAT64),
        levels=levels,
        counts=counts,
        minimum=0.0,
        maximum=9.0,
    )
    return column.model_copy(update=changes)


X = numeric("x")
SPECIES = labels("species", ["a", "b", "c"])
SMOKER = labels("smoker", [False, True], StorageType.BOOL)
GRADE = labels("grade", [1, 2, 3], StorageType.INT64)
COUNT = labels("count", list(range(50)), StorageType.INT64)
PRICE = numeric("price", missing=10)
WHEN = Column(name="when", kind=Kind.DATETIME, type=StorageType.DATETIME, missing=0, distinct=50)
FREE_TEXT = Column(name="free", kind=Kind.CATEGORICAL, type=StorageType.STRING, missing=0, distinct=2000)
EMPTY = numeric("empty", missing=ROWS, distinct=0, minimum=None, maximum=None)
WEIGHT = numeric("weight", minimum=0.0)
COLUMNS = [X, SPECIES, SMOKER, GRADE, COUNT, PRICE, WHEN, FREE_TEXT, EMPTY, WEIGHT]


def resolved(of: list[Column] | None = None, /, **spec: object) -> Resolved:
    asked = JobSpec.model_validate({"dataset": "ds_1", "target": "species", "features": ["x"]} | spec)
    return resolve(asked, columns=of or COLUMNS, rows=ROWS)


def faults(of: list[Column] | None = None, /, **spec: object) -> dict[str, str]:
    """Pointer → detail of what is refused."""
    with pytest.raises(Invalid) as invalid:
        resolved(of, **spec)
    return {fault.pointer: fault.detail for fault in invalid.value.faults}


def test_dates_called_a_category_are_refused_for_being_dates() -> None:
    found = faults(features=["when"], columns={"when": "categorical"})

    assert "cannot be read as categorical: dates are not supported yet" in found["/columns/when"]
    assert found["/features/0"] == "Column 'when' holds dates, which are not supported yet, and cannot be a feature."


def test_text_called_a_number_is_one_fault_where_it_was_called_so() -> None:
    assert list(faults(columns={"species": "numeric"})) == ["/columns/species"]


@pytest.mark.parametrize(
    ("target", "task", "loss", "outputs", "standardizing"),
    [
        ("species", Task.MULTICLASS, "cross_entropy", 3, "none"),
        ("smoker", Task.BINARY, "bce", 1, "none"),
        ("grade", Task.MULTICLASS, "cross_entropy", 3, "none"),
        ("count", Task.REGRESSION, "mse", 1, "standard"),
        ("price", Task.REGRESSION, "mse", 1, "standard"),
    ],
)
def test_auto_follows_from_the_target(target: str, task: Task, loss: str, outputs: int, standardizing: str) -> None:
    spec = resolved(target=target).spec

    assert (spec.task, spec.loss.name, spec.layers[-1]) == (task, loss, outputs)
    assert spec.preprocessing.target == standardizing
    assert spec.split.stratify is (task is not Task.REGRESSION)


def test_classes_are_the_levels_with_their_type() -> None:
    assert resolved(target="smoker").spec.classes == [False, True]
    assert resolved(target="grade").spec.classes == [1, 2, 3]
    assert resolved(target="price").spec.classes is None


def test_whole_numbers_read_as_classes_come_with_a_warning() -> None:
    assert resolved(target="grade").warnings == [
        "The target 'grade' has 3 different whole numbers and is read as classes; "
        'set task to "regression" to predict a number.'
    ]
    assert resolved(target="grade", task="multiclass").warnings == []
    assert resolved(target="grade", task="regression").spec.task is Task.REGRESSION


@pytest.mark.parametrize(("kind", "task"), [("numeric", Task.REGRESSION), ("categorical", Task.MULTICLASS)])
def test_calling_the_target_numeric_or_categorical_decides_the_task(kind: str, task: Task) -> None:
    for target in ("grade", "count"):
        found = resolved(target=target, columns={target: kind})
        assert (found.spec.task, found.warnings) == (task, [])


@pytest.mark.parametrize(("loss", "outputs"), [("cross_entropy", 2), ("bce", 1), ("focal", 2)])
def test_the_loss_decides_the_outputs_of_two_classes(loss: str, outputs: int) -> None:
    assert resolved(target="smoker", loss={"name": loss}).spec.layers == [1, 64, 64, outputs]


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"target": "nope"}, "/target", "no column 'nope'"),
        ({"target": "when"}, "/target", "holds dates"),
        ({"target": "empty"}, "/target", "has no values"),
        ({"target": "free"}, "/target", "more than 1000 classes"),
        ({"target": "price", "task": "multiclass"}, "/target", "numbers with a fraction"),
        ({"task": "regression"}, "/task", "needs a numeric target"),
        ({"target": "smoker", "task": "regression"}, "/task", "needs a numeric target"),
        ({"task": "binary"}, "/task", "has 3"),
        ({"features": ["x", "nope"]}, "/features/1", "is not in the dataset"),
        ({"features": ["species"]}, "/features/0", "is the target"),
        ({"features": ["x", "x"]}, "/features/1", "stands twice"),
        ({"features": []}, "/features", "No feature"),
        ({"features": ["when"]}, "/features/0", "holds dates"),
        ({"features": ["empty"]}, "/features/0", "has no values"),
        ({"features": ["free"]}, "/features/0", "more than 1000 levels"),
        ({"features": ["weight"], "sample_weight": "weight"}, "/features/0", "is the sample weight"),
        ({"features": ["price"], "preprocessing": {"missing": "error"}}, "/features/0", "10 missing value(s)"),
        ({"columns": {"nope": "numeric"}}, "/columns/nope", "no column"),
        ({"columns": {"free": "numeric"}}, "/columns/free", "cannot be read as numeric"),
        ({"columns": {"free": "categorical"}}, "/columns/free", "at most 1000 levels"),
        ({"columns": {"x": "categorical"}, "features": ["weight"]}, "/columns/x", "at most 1000 levels"),
        ({"columns": {"grade": "boolean"}}, "/columns/grade", "cannot be read as boolean"),
        ({"columns": {"when": "numeric"}}, "/columns/when", "cannot be read as numeric"),
        ({"loss": {"name": "mse"}}, "/loss/name", "bce, cross_entropy, focal"),
        ({"loss": {"name": "bce"}}, "/loss/name", "two classes"),
        ({"target": "price", "loss": {"name": "cross_entropy"}}, "/loss/name", "huber, l1, mse, poisson, quantile"),
        ({"target": "price", "loss": {"name": "poisson"}}, "/loss/name", "never negative"),
        (
            {"target": "count", "loss": {"name": "poisson"}, "preprocessing": {"target": "standard"}},
            "/preprocessing/target",
            "poisson",
        ),
        ({"preprocessing": {"target": "standard"}}, "/preprocessing/target", "cross_entropy"),
        ({"loss": {"name": "custom:mine"}}, "/loss/name", "There is no loss custom:mine here; installed are: none."),
        ({"network": {"dropout": [0.1]}}, "/network/dropout", "1 rates stand here for 2 hidden layers"),
        ({"network": {"hidden_layers": [60_000, 60_000]}}, "/network/hidden_layers", "the limit is 50000000"),
        ({"network": {"normalization": "batch"}, "batch_size": 1}, "/network/normalization", "at least two rows"),
        ({"optimizer": {"name": "sgd", "nesterov": True}}, "/optimizer/nesterov", "needs momentum"),
        ({"split": {"validation": 0.6, "test": 0.6}}, "/split/validation", "leave none to train on"),
        ({"split": {"column": "x"}}, "/split/column", "reads no column"),
        ({"target": "price", "split": {"stratify": True}}, "/split/stratify", "Only a classification"),
        ({"split": {"validation": 0}, "early_stopping": {}}, "/early_stopping", "needs a validation split"),
        ({"early_stopping": {"metric": "val_rmse"}}, "/early_stopping/metric", "val_accuracy"),
        ({"early_stopping": {"patience": "cycle"}}, "/early_stopping/patience", "log_cosine"),
        (
            {"early_stopping": {"patience": "cycle"}, "lr_schedule": {"name": "log_cosine", "cycles": 2}},
            "/early_stopping/patience",
            "at least three",
        ),
        ({"calibration": "temperature", "split": {"validation": 0}}, "/calibration", "validation rows"),
        ({"calibration": "temperature", "target": "price"}, "/calibration", "regression"),
        ({"clip_predictions": True}, "/clip_predictions", "predicts no numbers"),
        ({"target": "price", "class_weights": "balanced"}, "/class_weights", "go with classification"),
        ({"class_weights": {"a": 2.0, "z/z": 1.0}}, "/class_weights/z~1z", "no such class"),
        ({"sample_weight": "nope"}, "/sample_weight", "is not in the dataset"),
        ({"sample_weight": "species"}, "/sample_weight", "is the target"),
        ({"sample_weight": "smoker"}, "/sample_weight", "is boolean"),
        ({"sample_weight": "price"}, "/sample_weight", "has missing values"),
        ({"sample_weight": "x", "features": ["weight"]}, "/sample_weight", "negative values"),
    ],
)
def test_a_fault_is_named_with_its_pointer(change: dict[str, object], pointer: str, words: str) -> None:
    found = faults(**change)

    assert list(found) == [pointer]
    assert words in found[pointer]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"ensemble": {"members": 3}, "preprocessing": {"categorical": "embedding"}}, "/preprocessing/categorical"),
    ],
)
def test_what_this_version_lacks_is_refused_by_name(change: dict[str, object], pointer: str) -> None:
    with pytest.raises(NotSupported) as lacking:
        resolved(**change)

    assert [(fault.pointer, fault.code) for fault in lacking.value.faults] == [(pointer, "not_supported")]


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_bf16_trains_on_a_gpu(device: str) -> None:
    spec = resolved(precision="bf16", device=device).spec
    assert (spec.precision, spec.device) == ("bf16", "cuda")


def test_bf16_on_a_cpu_is_a_fault_of_the_precision() -> None:
    found = faults(precision="bf16", device="cpu")
    assert list(found) == ["/precision"]
    assert "GPU" in found["/precision"]


def test_all_faults_come_at_once() -> None:
    found = faults(
        target="price",
        features=["x", "nope"],
        loss={"name": "bce"},
        network={"dropout": [0.5]},
        early_stopping={"metric": "val_accuracy"},
        class_weights={"a": 1.0},
        sample_weight="smoker",
    )

    assert sorted(found) == (
        [
            "/class_weights",
            "/early_stopping/metric",
            "/features/1",
            "/loss/name",
            "/network/dropout",
            "/sample_weight",
        ]
    )


def test_features_default_to_all_that_can_be_read() -> None:
    found = resolved(features=None, sample_weight="weight")

    assert found.spec.features == ["x", "smoker", "grade", "count", "price"]
    assert found.warnings == [
        "Column 'when' holds dates, which are not supported yet, and is left out.",
        "Column 'free' has more than 1000 levels, or very long ones, and is left out.",
        "Column 'empty' has no values and is left out.",
    ]


def test_an_infinite_feature_is_refused_where_it_was_named_or_at_features() -> None:
    columns = [X, SPECIES, numeric("far", infinite=2)]

    assert faults(columns, features=["x", "far"]) == {"/features/1": "Column 'far' has 2 infinite value(s)."}
    assert faults(columns, features=None) == {"/features": "Column 'far' has 2 infinite value(s)."}
    assert "infinite" in faults(columns, target="far")["/target"]


def test_a_dataset_of_the_target_alone_has_no_features() -> None:
    assert faults([SPECIES], features=None) == {"/features": "No feature is left to learn from."}


def test_a_single_class_cannot_be_learned() -> None:
    found = faults([X, labels("species", ["a"])])

    assert "single class" in found["/target"]


def test_rows_without_target_are_not_counted_and_mentioned() -> None:
    found = resolved(target="price", split={"validation": 0.2, "test": 0.1})

    assert (found.spec.train_rows, found.spec.validation_rows, found.spec.test_rows) == (63, 18, 9)
    assert found.warnings == ["10 row(s) have no target and are left out."]


def test_classes_with_a_single_row_are_mentioned() -> None:
    rare = labels("species", ["a", "b"], counts=[99, 1])

    assert resolved([X, rare]).warnings == ["1 class(es) have a single row, which is used for training."]


@pytest.mark.parametrize(
    ("target", "rows", "expected"),
    [("price", 100, 40), ("price", 20_000, 259), ("grade", 100, 40), ("grade", 20_000, 128), ("grade", 1250, 63)],
)
def test_even_batches_are_equally_large_and_smaller_for_classes(target: str, rows: int, expected: int) -> None:
    spec = JobSpec.model_validate({"dataset": "ds_1", "target": target, "features": ["x"], "batch_size": "even"})
    grade = labels("grade", ["a", "b"], counts=[rows // 2, rows // 2])

    found = resolve(spec, columns=[X, numeric("price"), grade], rows=rows)

    assert found.spec.batch_size == expected


@pytest.mark.parametrize(
    ("batch_size", "rows", "expected"),
    [
        ("full", 100, 80),
        (64, 100, 64),
        (500, 100, 80),
        ("auto", 100, 32),
        ("auto", 20_000, 256),
        ("auto", 1600, 64),
        ("auto", 10, 8),
    ],
)
def test_the_batch_is_at_most_all_training_rows(batch_size: object, rows: int, expected: int) -> None:
    spec = JobSpec.model_validate({"dataset": "ds_1", "target": "price", "features": ["x"], "batch_size": batch_size})

    found = resolve(spec, columns=[X, numeric("price")], rows=rows)

    assert found.spec.batch_size == expected


@pytest.mark.parametrize(
    ("network", "layers", "parameters"),
    [
        ({"hidden_layers": []}, [1, 3], 6),
        ({"hidden_layers": [10]}, [1, 10, 3], 53),
        ({"hidden_layers": [10], "normalization": "batch"}, [1, 10, 3], 73),
        ({"hidden_layers": [10, 5], "normalization": "layer"}, [1, 10, 5, 3], 20 + 55 + 18 + 30),
    ],
)
def test_layers_and_parameters_are_counted(network: dict[str, object], layers: list[int], parameters: int) -> None:
    spec = resolved(network=network).spec

    assert (spec.layers, spec.parameters) == (layers, parameters)


FEW_MANY_MOST = [("few", 3), ("many", 4), ("most", 1000)]


def test_inputs_are_levels_numbers_and_indicators() -> None:
    columns = [numeric("n"), numeric("gaps", missing=3), labels("c", ["a", "b", "c"], missing=2), SMOKER, GRADE, SPECIES]

    plain = resolved(columns, features=None).spec
    indicated = resolved(columns, features=None, preprocessing={"missing": "indicator"}, columns={"grade": "categorical"}).spec

    assert plain.layers[0] == 1 + 1 + 3 + 1 + 1
    assert indicated.layers[0] == 1 + 2 + 4 + 1 + 3


def test_columns_of_many_levels_are_embedded_where_the_spec_asks_and_the_tables_are_counted() -> None:
    few, many, most = (labels(name, [f"{i:04}" for i in range(count)], missing=1) for name, count in FEW_MANY_MOST)
    columns = [numeric("n"), few, many, most, SPECIES]
    fields: dict[str, object] = {"features": None, "network": {"hidden_layers": [10]}}

    one_hot = resolved(columns, **fields).spec
    spec = resolved(columns, **fields, preprocessing={"categorical": "embedding"}).spec
    indicated = resolved(columns, **fields, preprocessing={"categorical": "embedding", "missing": "indicator"}).spec

    assert one_hot.embeddings == []
    assert [(table.column, table.levels, table.width) for table in spec.embeddings] == [("many", 4, 3), ("most", 1000, 50)]
    assert spec.layers == [1 + 3 + 3 + 50, 10, 3]
    assert spec.parameters == 5 * 3 + 1001 * 50 + 58 * 10 + 11 * 3
    assert indicated.layers[0] == spec.layers[0] + 3
    assert indicated.embeddings == spec.embeddings


@pytest.mark.parametrize("target", ["species", "smoker", "grade", "count", "price"])
@pytest.mark.parametrize("batch_size", ["auto", "full", 7])
def test_a_resolved_spec_is_a_spec_and_resolves_to_itself(target: str, batch_size: object) -> None:
    first = resolved(target=target, features=None, batch_size=batch_size, columns={"grade": "categorical"})
    extra = set(ResolvedSpec.model_fields) - set(JobSpec.model_fields)

    again = JobSpec.model_validate_json(first.spec.model_dump_json(exclude=extra))

    assert resolve(again, columns=COLUMNS, rows=ROWS).spec == first.spec


@pytest.mark.parametrize(
    ("target", "outputs"), [("species", 3), ("smoker", 2), ("price", 1)], ids=["multiclass", "binary", "regression"]
)
def test_a_custom_loss_has_an_output_for_each_class_or_one_for_a_number(target: str, outputs: int) -> None:
    asked = JobSpec.model_validate({"dataset": "ds_1", "target": target, "features": ["x"], "loss": {"name": "custom:mine"}})

    found = resolve(asked, columns=COLUMNS, rows=ROWS, custom_losses=["mine"]).spec

    assert (found.layers[-1], found.loss.name, found.preprocessing.target) == (outputs, "custom:mine", "none")
    again = JobSpec.model_validate_json(
        found.model_dump_json(exclude=set(ResolvedSpec.model_fields) - set(JobSpec.model_fields))
    )
    assert resolve(again, columns=COLUMNS, rows=ROWS, custom_losses=["mine"]).spec == found


@pytest.mark.parametrize(("target", "allowed"), [("price", True), ("species", False)])
def test_with_a_custom_loss_only_numbers_can_be_standardized(target: str, allowed: bool) -> None:
    change = {"loss": {"name": "custom:mine"}, "preprocessing": {"target": "standard"}}
    asked = JobSpec.model_validate({"dataset": "ds_1", "target": target, "features": ["x"], **change})

    if allowed:
        found = resolve(asked, columns=COLUMNS, rows=ROWS, custom_losses=["mine"]).spec
        assert found.preprocessing.target == "standard"
    else:
        with pytest.raises(Invalid, match=r"^/preprocessing/target: With custom:mine"):
            resolve(asked, columns=COLUMNS, rows=ROWS, custom_losses=["mine"])


def test_an_unknown_custom_loss_is_told_which_there_are() -> None:
    asked = JobSpec.model_validate({"dataset": "ds_1", "target": "price", "features": ["x"], "loss": {"name": "custom:mine"}})

    with pytest.raises(Invalid, match=r"^/loss/name: .*installed are: custom:a, custom:b\.$"):
        resolve(asked, columns=COLUMNS, rows=ROWS, custom_losses={"b", "a"})


def test_a_list_of_one_target_is_that_target() -> None:
    assert resolved(target=["species"]).spec.target == "species"


def test_the_limit_on_parameters_is_an_argument() -> None:
    spec = JobSpec.model_validate({"dataset": "ds_1", "target": "species", "features": ["x"]})

    with pytest.raises(Invalid, match=r"^/network/hidden_layers: The network has 4483 parameters; the limit is 4482"):
        resolve(spec, columns=COLUMNS, rows=ROWS, limits=CostLimits(parameters=4482))


BINS = {"kind": "piecewise_linear", "bins": 8, "width": 2}


def test_numeric_features_are_of_numeric_columns_alone_and_stand_before_the_embedded_ones() -> None:
    columns = [numeric("n"), SMOKER, SPECIES, labels("c", [f"{i}" for i in range(8)]), numeric("m", missing=2)]
    fields: dict[str, object] = {"features": None, "preprocessing": {"categorical": "embedding", "missing": "indicator"}}

    plain = resolved(columns, **fields, network={"hidden_layers": [10]}).spec
    spec = resolved(columns, **fields, network={"hidden_layers": [10], "numeric_features": BINS, "input_scaling": True}).spec

    assert spec.numeric_feature_columns == ["n", "m"]
    assert spec.layers[0] == plain.layers[0] + 2 * 8
    trained = plain.layers[0] + 2 * 2
    assert spec.parameters == plain.parameters + 2 * 2 * (8 + 1) + trained + 2 * 2 * 10


def test_without_a_numeric_column_there_is_nothing_to_make_features_of() -> None:
    found = faults([SMOKER, SPECIES], features=["smoker"], network={"numeric_features": BINS})

    assert found == {"/network/numeric_features": "No feature is numeric, so there is nothing to make them of."}


def test_factors_of_parameters_that_are_not_there_are_mentioned() -> None:
    groups = {"bias": {"learning_rate_factor": 0.1}, "input_scaling": {"weight_decay_factor": 0.0}}

    [warning] = resolved(parameter_groups=groups).warnings

    assert warning.startswith("parameter_groups.input_scaling changes nothing")
    assert resolved(parameter_groups=groups, network={"input_scaling": True}).warnings == []
