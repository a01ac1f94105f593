"""Numeric features, scaled inputs, the NTK parametrization and parameter groups learn what torch's modules and groups learn."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from app.domain.job import StopReason
from tests.engine.explicit import as_used
from tests.engine.plain import member_of, spec_of, train_plainly
from tests.engine.running import run
from tests.engine.test_parity import OPTIMIZERS, assert_same
from tests.engine.test_resume import assert_identical, run_in_pieces
from tests.engine.test_stack import assert_as_alone, pack
from worker.engine.data import Member, MemberArrays, is_shared
from worker.engine.folding import folded
from worker.engine.initial import initial_vector
from worker.engine.layout import Layout
from worker.engine.network import named, sequential, vector_of
from worker.engine.recovery import first_state
from worker.engine.training import Training

LIKE = torch.empty(0, dtype=torch.float64)
BINS, WAVES = {"kind": "piecewise_linear", "bins": 5, "width": 2}, {"kind": "periodic", "frequencies": 4, "width": 3}
FRONTS: dict[str, dict[str, Any]] = {
    "features": {"featured": 2, "network": {"numeric_features": BINS}},
    "scaling": {"network": {"input_scaling": True}},
    "features and scaling": {"featured": 3, "network": {"numeric_features": WAVES, "input_scaling": True}},
    "embeddings too": {"featured": 1, "tables": [(6, 2), (9, 3)], "network": {"numeric_features": BINS, "input_scaling": True}},
    "nothing": {},
}
GROUPS = {
    "bias": {"learning_rate_factor": 0.1, "weight_decay_factor": 0.0},
    "input_scaling": {"learning_rate_factor": 6.0, "weight_decay_factor": 0.5},
    "numeric_features": {"learning_rate_factor": 0.3, "weight_decay_factor": 2.0},
}
# By hand, and by autograd.
NETWORKS: list[dict[str, Any]] = [{}, {"normalization": "layer"}]
ALL: dict[str, Any] = {
    "featured": 2,
    "tables": [(6, 2)],
    "parameter_groups": GROUPS,
    "optimizer": {"name": "adamw", "learning_rate": 0.01, "weight_decay": 0.05},
}
NETWORK: dict[str, Any] = {
    "numeric_features": BINS,
    "input_scaling": True,
    "parametrization": "ntk",
    "initialization": "data_driven",
    "dropout": 0.2,
}


def fronted(name: str, network: dict[str, Any], **fields: Any) -> Member:
    front = FRONTS[name]
    return member_of(spec_of(**{**front, **fields, "network": {"activation": "silu"} | front.get("network", {}) | network}))


@pytest.mark.parametrize("network", NETWORKS, ids=["by hand", "by autograd"])
@pytest.mark.parametrize("name", FRONTS)
def test_what_stands_before_the_first_layer_follows_torch_for_60_epochs(name: str, network: dict[str, Any]) -> None:
    optimizer = {"name": "adam", "learning_rate": 0.005, "weight_decay": 0.01}
    assert_same(fronted(name, network | {"dropout": 0.2}, batch_size=6, epochs=60, optimizer=optimizer))


@pytest.mark.parametrize("hidden", [(), (4,)], ids=["linear", "one layer"])
def test_a_front_follows_torch_at_every_depth(hidden: tuple[int, ...]) -> None:
    assert_same(fronted("features and scaling", {}, hidden=hidden, epochs=50, inputs=0, gradient_clip_norm=0.05))


def test_columns_beyond_the_rows_of_a_batch_add_nothing() -> None:
    assert_same(fronted("features and scaling", {"dropout": 0.2}, batch_size=17, epochs=30))


@pytest.mark.parametrize("batch_size", [23, 6])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: "-".join(map(str, o.values())))
def test_ntk_and_groups_follow_torch_with_every_optimizer(optimizer: dict[str, Any], batch_size: int) -> None:
    network = {"parametrization": "ntk"}
    fields: dict[str, Any] = {"optimizer": optimizer, "parameter_groups": GROUPS, "batch_size": batch_size, "epochs": 50}
    assert_same(fronted("features and scaling", network, **fields))


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_beside_another_job_no_optimizer_goes_in_one_pass_and_all_is_the_same(name: str) -> None:
    optimizer = {"name": name, "learning_rate": 0.01, "weight_decay": 0.1}
    fields: dict[str, Any] = {"optimizer": optimizer, "parameter_groups": GROUPS, "batch_size": 6, "epochs": 50}
    first, second = (fronted("features and scaling", {"parametrization": "ntk"}, **fields, seed=seed) for seed in (1, 2))
    assert_same(first, beside=[second])


@pytest.mark.parametrize("eps", [1e-2, 1.0])
@pytest.mark.parametrize("name", ["adam", "adamw", "nadam", "radam", "rmsprop", "adagrad"])
def test_a_large_eps_counts_as_it_does_beside_the_weights_of_ntk(name: str, eps: float) -> None:
    optimizer = {"name": name, "learning_rate": 0.05, "eps": eps, "weight_decay": 0.01}
    assert_same(fronted("nothing", {"parametrization": "ntk"}, optimizer=optimizer, epochs=50))


def test_gradients_are_clipped_by_the_norm_of_what_is_trained() -> None:
    optimizer = {"name": "sgd", "learning_rate": 0.5, "momentum": 0.9}
    assert_same(fronted("scaling", {"parametrization": "ntk"}, optimizer=optimizer, gradient_clip_norm=0.02, epochs=50))


@pytest.mark.parametrize("schedule", [{"name": "one_cycle"}, {"name": "cosine", "warmup_epochs": 5}], ids=lambda s: s["name"])
def test_factors_are_of_what_the_schedule_says(schedule: dict[str, Any]) -> None:
    optimizer = {"name": "adamw", "learning_rate": 0.02, "weight_decay": 0.1}
    assert_same(fronted("scaling", {}, optimizer=optimizer, parameter_groups=GROUPS, lr_schedule=schedule, epochs=50))


@pytest.mark.parametrize("normalization", ["none", "layer", "batch"])
def test_all_of_it_together_follows_torch(normalization: str) -> None:
    member = member_of(
        spec_of(**ALL, network=NETWORK | {"normalization": normalization}, batch_size=8, epochs=50), weighted=True
    )
    assert_same(member)


@pytest.mark.parametrize("network", NETWORKS, ids=["by hand", "by autograd"])
def test_packed_members_learn_what_they_learn_alone_whatever_their_own_factors(network: dict[str, Any]) -> None:
    spec: dict[str, Any] = ALL | {"network": NETWORK | network, "batch_size": 6, "epochs": 50}
    others: dict[str, Any] = {"parameter_groups": {}, "network": spec["network"] | {"parametrization": "standard"}}
    members = [member_of(spec_of(seed=seed, **spec | (others if seed == 1 else {})), seed=seed) for seed in range(3)]
    _, histories = run(members)
    assert_as_alone(members, histories, [0, 1, 2])
    for position, member in enumerate(members):
        np.testing.assert_allclose(histories[position].columns.train_loss, train_plainly(member).train, rtol=1e-9)


@pytest.mark.parametrize("name", FRONTS)
def test_the_plain_network_has_the_product_of_what_was_trained(name: str) -> None:
    member = fronted(name, {"parametrization": "ntk"}, epochs=9, batch_size=6)
    plain, (stack, _) = train_plainly(member), run([member])
    used, weights = as_used(member.spec, plain.net), stack.weights(0, "last")
    np.testing.assert_allclose(weights["0.bias"], used["0.bias"], rtol=1e-9, atol=1e-12)
    width = used["0.weight"].shape[1]
    np.testing.assert_allclose(weights["0.weight"][:, :width], used["0.weight"], rtol=1e-9, atol=1e-12)
    net = sequential(member.spec).double()
    net.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    assert isinstance(member.arrays, MemberArrays)
    x = torch.from_numpy(member.arrays.x_train)
    np.testing.assert_allclose(net(x).detach(), plain.net(x).detach(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("network", NETWORKS, ids=["by hand", "by autograd"])
def test_a_run_that_was_killed_goes_on_to_the_same_bits(network: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.tape._LONGEST", 8)
    for batch_size in (23, 6):
        members = pack(2, **ALL, network=NETWORK | network, batch_size=batch_size)
        for chosen in (members[:1], members):
            assert_identical(run(chosen, torch.float32), run_in_pieces(chosen, [2, 3, 17, 10_000]))


@pytest.mark.parametrize("name", FRONTS)
def test_a_job_may_begin_with_the_weights_of_another_ones_plain_network(name: str) -> None:
    spec = fronted(name, {}).spec
    layout, rng = Layout(spec), np.random.default_rng(1)
    weights = named(spec, rng.normal(size=layout.total), steps=0)

    vector = vector_of(spec, weights)

    assert vector.shape == (layout.total,)
    for key, value in named(spec, vector, steps=0).items():
        np.testing.assert_allclose(value, weights[key], rtol=1e-9, atol=1e-11)
    _, [history] = run([fronted(name, {}, epochs=3)], states=[first_state(vector)])
    assert history.columns.epoch == [1, 2, 3]


def test_what_was_folded_holds_for_many_versions_at_once() -> None:
    spec = fronted("embeddings too", {"normalization": "batch"}).spec
    layout = Layout(spec)
    versions = torch.randn(2, 3, layout.total, dtype=torch.float64)
    found = folded(layout, versions)
    for index in np.ndindex(2, 3):
        torch.testing.assert_close(found[index], folded(layout, versions[index]))


def test_mixtures_begin_as_torch_draws_a_linear_layer_and_differ_by_seed() -> None:
    first, other = (spec_of(featured=50, seed=seed, network={"numeric_features": WAVES}) for seed in (1, 2))
    mixtures = Layout(first).views(torch.from_numpy(initial_vector(first)))[0].mixtures
    assert mixtures is not None
    assert 0.49 < mixtures.abs().max() <= 0.5
    assert abs(mixtures.std() - 0.5 / 3**0.5) < 0.02
    assert not np.isclose(initial_vector(first), initial_vector(other)).any()


@pytest.mark.parametrize("network", NETWORKS, ids=["by hand", "by autograd"])
@pytest.mark.parametrize("batch_size", [23, 6])
@pytest.mark.parametrize("name", FRONTS)
def test_members_that_share_their_rows_learn_what_they_learn_of_copies(
    name: str, batch_size: int, network: dict[str, Any]
) -> None:
    first = fronted(name, network, batch_size=batch_size, epochs=10)
    assert isinstance(first.arrays, MemberArrays)
    weighted = [np.random.default_rng(seed).uniform(size=23) for seed in range(3)]
    members = [
        Member(spec=first.spec.model_copy(update={"seed": seed}), arrays=replace(first.arrays, w_train=w), batch_seed=5)
        for seed, w in enumerate(weighted)
    ]
    copies = [
        replace(m, arrays=replace(first.arrays, x_train=first.arrays.x_train.copy(), w_train=w))
        for m, w in zip(members, weighted, strict=True)
    ]

    assert [is_shared(members), is_shared(copies), is_shared(members[:1])] == [True, False, False]
    held = [Training(of, Layout(first.spec), epochs=1, window=1, like=LIKE).batches.batch(0, 0).x for of in (members, copies)]
    assert [len(x) for x in held] == [1, 3]
    for ours, theirs in zip(run(members)[1], run(copies)[1], strict=True):
        np.testing.assert_allclose(ours.columns.train_loss, theirs.columns.train_loss, rtol=1e-10)
        np.testing.assert_allclose(np.array(ours.columns.val_loss, float), np.array(theirs.columns.val_loss, float), rtol=1e-10)


@pytest.mark.parametrize("changes", [{"learning_rate": 1e39}, {"weight_decay": 1e39}], ids=lambda changes: next(iter(changes)))
def test_a_number_that_float32_has_not_ends_a_job_as_any_that_diverges(changes: dict[str, Any]) -> None:
    optimizer = {"name": "adamw", "learning_rate": 0.1, **changes}
    _, [history] = run([member_of(spec_of(network={"parametrization": "ntk"}, optimizer=optimizer, epochs=5))], torch.float32)
    assert history.end.finished is StopReason.NON_FINITE_LOSS
