import pytest

from app.domain.planning import columns_of, layers_of, steps_per_epoch
from tests.domain.test_resolve import COLUMNS, labels, resolved


@pytest.mark.parametrize(
    ("network", "names"),
    [
        ({"hidden_layers": []}, ["output"]),
        ({"hidden_layers": [5, 4]}, ["hidden_1", "hidden_2", "output"]),
        (
            {"hidden_layers": [5, 4], "normalization": "layer"},
            ["hidden_1", "normalization_1", "hidden_2", "normalization_2", "output"],
        ),
    ],
    ids=["linear", "plain", "normalized"],
)
def test_the_layers_hold_all_parameters(network: dict[str, object], names: list[str]) -> None:
    spec = resolved(network=network).spec

    layers = layers_of(spec)

    assert [layer.name for layer in layers] == names
    assert sum(layer.parameters for layer in layers) == spec.parameters


def test_columns_are_named_as_they_stand_before_the_network() -> None:
    preprocessing = {"missing": "indicator"}
    spec = resolved(target="smoker", features=["x", "species", "price"], preprocessing=preprocessing).spec

    names = columns_of(spec, COLUMNS, most=1000)

    assert names == ["x", "species=a", "species=b", "species=c", "price", "price is missing"]
    assert len(names) == spec.layers[0]
    assert columns_of(spec, COLUMNS, most=2) == names[:2]


def test_a_column_of_two_levels_that_is_signed_is_named_for_its_second() -> None:
    preprocessing = {"categorical": "one_hot_signed", "missing": "median_indicator"}
    columns = [labels("side", ["left", "right"], missing=2), *COLUMNS]
    spec = resolved(columns, target="smoker", features=["side", "species", "x"], preprocessing=preprocessing).spec

    names = columns_of(spec, columns, most=1000)

    assert names == ["side=right", "side is missing", "species=a", "species=b", "species=c", "x"]
    assert len(names) == spec.layers[0]


def test_embedded_columns_stand_behind_all_others_and_have_layers_of_their_own() -> None:
    preprocessing = {"categorical": "embedding", "missing": "indicator"}
    columns = [labels("city", [f"c{i}" for i in range(8)], missing=1), *COLUMNS]
    spec = resolved(columns, features=["city", "x"], preprocessing=preprocessing).spec

    names, layers = columns_of(spec, columns, most=1000), layers_of(spec)

    width = spec.embeddings[0].width
    assert names == ["city is missing", "x", *(f"city[{unit}]" for unit in range(width))]
    assert len(names) == spec.layers[0]
    assert (layers[0].name, layers[0].inputs, layers[0].outputs) == ("embedding of city", 1, width)
    assert sum(layer.parameters for layer in layers) == spec.parameters


def test_what_stands_before_the_first_layer_has_layers_of_its_own() -> None:
    network = {"numeric_features": {"kind": "periodic", "frequencies": 4}, "input_scaling": True, "hidden_layers": [5]}
    columns = [labels("city", [f"c{i}" for i in range(8)]), *COLUMNS]
    spec = resolved(columns, features=["city", "x"], preprocessing={"categorical": "embedding"}, network=network).spec

    names, layers = columns_of(spec, columns, most=1000), layers_of(spec)

    assert names[:5] == ["x", "x feature 0", "x feature 1", "x feature 2", "x feature 3"]
    assert len(names) == spec.layers[0]
    assert [layer.name for layer in layers] == ["embedding of city", "numeric_features", "input_scaling", "hidden_1", "output"]
    assert sum(layer.parameters for layer in layers) == spec.parameters


def test_the_last_step_may_have_fewer_rows() -> None:
    assert [steps_per_epoch(resolved(batch_size=size).spec) for size in (79, 80, "full")] == [2, 1, 1]
