"""A network with embeddings learns what torch's nn.Embedding learns, alone and in a stack, in one piece or in several."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.plain import member_of, spec_of, train_plainly
from tests.engine.running import run
from tests.engine.test_parity import assert_same
from tests.engine.test_resume import assert_identical, run_in_pieces
from tests.engine.test_stack import assert_as_alone, pack
from worker.engine.data import Member, MemberArrays
from worker.engine.initial import initial_weights
from worker.engine.layout import Layout
from worker.engine.stack import Stack

TABLES = [(7, 3), (4, 2), (30, 5)]
OPTIMIZERS: list[dict[str, Any]] = [
    {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9},
    {"name": "adam", "learning_rate": 0.005, "weight_decay": 0.01},
]
# By hand, and by autograd.
NETWORKS: list[dict[str, Any]] = [{"activation": "tanh"}, {"activation": "tanh", "normalization": "layer"}]


@pytest.mark.parametrize("network", NETWORKS, ids=["by hand", "by autograd"])
@pytest.mark.parametrize("batch_size", [23, 5])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["sgd", "adam"])
def test_embeddings_follow_torch_for_100_epochs(optimizer: dict[str, Any], batch_size: int, network: dict[str, Any]) -> None:
    spec = spec_of(tables=TABLES, optimizer=optimizer, batch_size=batch_size, epochs=100, network=network)
    assert_same(member_of(spec, weighted=True))


@pytest.mark.parametrize("hidden", [(), (4,)], ids=["linear", "one layer"])
@pytest.mark.parametrize("inputs", [0, 2], ids=["nothing beside", "two beside"])
def test_embeddings_follow_torch_at_every_depth_and_without_any_number(inputs: int, hidden: tuple[int, ...]) -> None:
    assert_same(member_of(spec_of(tables=TABLES[:1], inputs=inputs, hidden=hidden, batch_size=6, epochs=30)))


def test_embeddings_follow_torch_with_dropout_and_clipping() -> None:
    assert_same(member_of(spec_of(tables=TABLES, network={"dropout": 0.3}, gradient_clip_norm=0.05, batch_size=8, epochs=30)))


@pytest.mark.parametrize("network", NETWORKS, ids=["by hand", "by autograd"])
def test_the_trained_tables_go_into_the_plain_network(network: dict[str, Any]) -> None:
    member = member_of(spec_of(tables=TABLES, epochs=9, batch_size=6, network=network))
    plain, (stack, _) = train_plainly(member), run([member])
    last, expected = stack.weights(0, "last"), plain.net.state_dict()
    assert list(last) == list(expected)
    assert list(last)[:4] == ["embeddings.0.weight", "embeddings.1.weight", "embeddings.2.weight", "0.weight"]
    for name, value in expected.items():
        np.testing.assert_allclose(last[name], value.numpy(), rtol=1e-9)
        assert last[name].shape == tuple(value.shape)


def test_parameters_are_counted_as_torch_counts_them() -> None:
    member = member_of(spec_of(tables=TABLES))
    assert Layout(member.spec).total == sum(value.size for value in initial_weights(member.spec).values())


@pytest.mark.parametrize("batch_size", [23, 5])
@pytest.mark.parametrize("network", NETWORKS, ids=["by hand", "by autograd"])
def test_packed_members_learn_what_they_learn_alone(network: dict[str, Any], batch_size: int) -> None:
    members = pack(3, tables=TABLES, network=network, batch_size=batch_size)
    _, histories = run(members)
    assert_as_alone(members, histories, [0, 1, 2])
    for position, member in enumerate(members):
        np.testing.assert_allclose(histories[position].columns.train_loss, train_plainly(member).train, rtol=1e-9)


@pytest.fixture(params=[23, 5], ids=["full batch", "mini-batches"])
def members(request: pytest.FixtureRequest) -> list[Member]:
    return pack(2, tables=TABLES, batch_size=request.param, epochs=30)


def test_a_run_that_was_killed_goes_on_to_the_same_bits(members: list[Member], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.tape._LONGEST", 8)
    for chosen in (members[:1], members):
        assert_identical(run(chosen, torch.float32), run_in_pieces(chosen, [2, 3, 17, 10_000]))


def test_the_vector_of_what_is_unknown_stays_zero_and_a_level_that_training_never_saw_stays_where_it_began() -> None:
    member = member_of(spec_of(tables=[(400, 6)], epochs=5, optimizer={"name": "adam", "weight_decay": 0.0}))
    assert isinstance(member.arrays, MemberArrays)
    stack, _ = run([member])
    begun, ended = (weights["embeddings.0.weight"] for weights in (initial_weights(member.spec), stack.weights(0, "last")))
    seen = np.unique(member.arrays.x_train[:, -1]).astype(int)
    unseen = np.setdiff1d(np.arange(401), seen)
    assert not begun[0].any()
    assert not ended[0].any()
    np.testing.assert_array_equal(begun[unseen], ended[unseen])
    assert (begun[seen[seen > 0]] != ended[seen[seen > 0]]).all()


def test_first_tables_are_standard_normal_and_differ_by_seed_and_column() -> None:
    first = initial_weights(spec_of(tables=[(500, 20), (500, 20)]))
    other = initial_weights(spec_of(tables=[(500, 20), (500, 20)], seed=43))
    table = first["embeddings.0.weight"][1:]
    assert abs(table.mean()) < 0.04
    assert abs(table.std() - 1) < 0.03
    assert not np.isclose(table, first["embeddings.1.weight"][1:]).any()
    assert not np.isclose(table, other["embeddings.0.weight"][1:]).any()


def test_a_type_that_cannot_hold_every_code_is_refused() -> None:
    with pytest.raises(ValueError, match="hold every code"):
        Stack([member_of(spec_of(tables=[(300, 4)]))], dtype=torch.bfloat16)


def test_rows_without_codes_do_not_fit() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Stack([Member(spec=spec_of(tables=TABLES), arrays=member_of(spec_of()).arrays)])
