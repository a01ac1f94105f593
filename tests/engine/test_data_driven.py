"""First weights that data drive: a pure function of seed, layer and rows, with pre-activations of unit spread."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.engine.plain import member_of, spec_of
from tests.engine.running import run
from worker.engine.data import MemberArrays
from worker.engine.initial import initial_vector, initial_weights
from worker.engine.layout import Layout
from worker.engine.network import sequential

NETWORK = {"initialization": "data_driven", "activation": "silu"}


def rows_of(spec: Any, count: int = 3000) -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(2.0, 3.0, (count, Layout(spec).design_width()))


def pre_activations(spec: Any, x: NDArray[np.float64]) -> list[torch.Tensor]:
    """[n, out] of each linear layer, in training."""
    net, found = sequential(spec).double().train(), list[torch.Tensor]()
    net.load_state_dict({name: torch.from_numpy(value) for name, value in initial_weights(spec, x).items()})
    for module in net.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda _module, _given, z: found.append(z.detach()))
    net(torch.from_numpy(x[:2048]))
    return found


@pytest.mark.parametrize("normalization", ["none", "layer", "batch"])
@pytest.mark.parametrize("features", [None, {"kind": "piecewise_linear", "bins": 4, "width": 2}], ids=["raw", "features"])
def test_pre_activations_have_unit_spread_and_each_unit_its_zero_among_the_rows(features: Any, normalization: str) -> None:
    network = NETWORK | {"numeric_features": features, "normalization": normalization, "input_scaling": True}
    spec = spec_of(hidden=(40, 30), inputs=6, featured=2 if features else 0, network=network, outputs=9)
    for z in pre_activations(spec, rows_of(spec)):
        np.testing.assert_allclose(z.std(0, correction=0), 1.0, rtol=1e-9)
        assert ((z.min(0).values < 0) & (z.max(0).values > 0)).all()
        # A random mean of five rows, not the mean of all: its spread is 1/√5 to 1/√3.
        assert 0.3 < z.mean(0).std() < 0.8


def test_only_seed_and_the_first_2048_rows_count() -> None:
    spec = spec_of(network=NETWORK, tables=[(5, 2)])
    x = rows_of(spec)
    x[:, -1] = np.arange(len(x)) % 6
    other = np.concatenate([x[:2048], x[:10]])
    np.testing.assert_array_equal(initial_vector(spec, x), initial_vector(spec, other))
    assert not np.isclose(initial_vector(spec, x), initial_vector(spec, x[1:])).all()
    reseeded = spec.model_copy(update={"seed": 43})
    assert not np.isclose(initial_vector(spec, x)[12:], initial_vector(reseeded, x)[12:]).any()


def test_a_unit_that_does_not_vary_keeps_a_weight_of_usual_size() -> None:
    spec = spec_of(network=NETWORK, hidden=(30,), inputs=4)
    vector = initial_vector(spec, np.full((50, 4), 3.0))
    assert np.isfinite(vector).all()
    assert 0.3 < np.std(initial_weights(spec, np.full((50, 4), 3.0))["0.weight"]) < 0.7


def test_the_parametrization_does_not_move_the_start() -> None:
    plain, ntk = (spec_of(network=NETWORK | {"parametrization": name}) for name in ("standard", "ntk"))
    x = rows_of(plain)
    np.testing.assert_array_equal(initial_vector(plain, x), initial_vector(ntk, x))


def test_without_rows_there_are_no_such_weights() -> None:
    with pytest.raises(ValueError, match="need rows"):
        initial_vector(spec_of(network=NETWORK))


def test_a_job_begins_with_them() -> None:
    member = member_of(spec_of(network=NETWORK, epochs=1, optimizer={"name": "sgd", "learning_rate": 1e-300}))
    assert isinstance(member.arrays, MemberArrays)
    stack, _ = run([member])
    expected = initial_weights(member.spec, member.arrays.x_train)
    for name, value in stack.weights(0, "last").items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-12)
