"""A network that begins with another one's weights."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.plain import member_of, spec_of
from tests.engine.running import run
from worker.engine.initial import initial_vector
from worker.engine.network import named, vector_of
from worker.engine.recovery import first_state
from worker.engine.stack import Stack

NETWORKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "linear": {"hidden": ()},
    "batch": {"network": {"normalization": "batch", "dropout": 0.5}},
    "layer": {"network": {"normalization": "layer", "dropout": [0.0, 0.5]}},
    "embeddings": {"tables": [(6, 2), (9, 3)]},
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_weights_become_the_vector_that_they_came_from(kind: str) -> None:
    spec = spec_of(**NETWORKS[kind])
    vector = np.random.default_rng(1).normal(size=initial_vector(spec).shape)

    assert np.array_equal(vector_of(spec, named(spec, vector, steps=3)), vector)


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_weights_fit_a_network_of_other_dropout(normalization: str) -> None:
    given, spec = (spec_of(network={"normalization": normalization, "dropout": rate}) for rate in (0.3, [0.0, 0.1]))
    vector = np.random.default_rng(1).normal(size=initial_vector(spec).shape)

    assert np.array_equal(vector_of(spec, named(given, vector, steps=3)), vector)


def test_weights_of_another_shape_are_refused() -> None:
    given = spec_of(hidden=(5, 4))
    weights = named(given, initial_vector(given), steps=0)

    with pytest.raises(ValueError, match=r"2\.weight is \[4, 5\]"):
        vector_of(spec_of(hidden=(5, 3)), weights)
    with pytest.raises(ValueError, match="3 modules"):
        vector_of(spec_of(hidden=(5,)), weights)


def test_a_member_begins_with_the_weights_that_it_was_given() -> None:
    first = member_of(spec_of(seed=1, epochs=6))
    other = member_of(spec_of(seed=2, epochs=6))
    drawn = first_state(initial_vector(first.spec))

    given = run([other], torch.float32, states=[drawn])
    ours = Stack([other], states=[drawn]).weights(0, "last")

    assert all(
        np.allclose(ours[name], values) for name, values in named(first.spec, initial_vector(first.spec), steps=0).items()
    )
    assert given[1][0].columns.epoch == list(range(1, 7))
    assert given[1][0].columns.train_loss != run([other], torch.float32)[1][0].columns.train_loss


def test_its_own_first_weights_change_nothing() -> None:
    member = member_of(spec_of(epochs=6, batch_size=5))

    given = run([member], torch.float32, states=[first_state(initial_vector(member.spec))])

    assert given[1][0].numbers() == run([member], torch.float32)[1][0].numbers()
