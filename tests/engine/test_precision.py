"""Products of rounded factors: near the exact ones, and nothing but products is rounded."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.plain import member_of, spec_of
from tests.engine.running import run
from worker.engine.precision import Mixed

NETWORKS: dict[str, dict[str, Any]] = {
    "by hand": {},
    "by autograd": {"network": {"normalization": "layer"}},
    "dropout": {"network": {"dropout": 0.2}},
    "embeddings": {"tables": [(5, 3)]},
    "aligned columns": {"batch_size": 17, "network": {"dropout": 0.2, "input_scaling": True}},
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("network", NETWORKS)
def test_bf16_learns_nearly_what_fp32_learns(network: str, count: int) -> None:
    fields: dict[str, Any] = {"batch_size": 8, "epochs": 30, "optimizer": {"name": "adam"}, **NETWORKS[network]}
    kinds = ("bf16", "fp32")
    rounded, exact = (
        run([member_of(spec_of(precision=kind, seed=seed, **fields), seed=seed) for seed in range(count)], torch.float32)
        for kind in kinds
    )

    for ours, theirs in zip(rounded[1], exact[1], strict=True):
        assert ours.columns.train_loss != theirs.columns.train_loss
        np.testing.assert_allclose(ours.columns.train_loss, theirs.columns.train_loss, rtol=0.02)
        np.testing.assert_allclose(
            np.array(ours.columns.val_loss, dtype=float), np.array(theirs.columns.val_loss, dtype=float), rtol=0.02
        )


def test_weights_and_moments_of_bf16_stay_float32() -> None:
    stack, _ = run([member_of(spec_of(precision="bf16", epochs=5, optimizer={"name": "adam"}))], torch.float32)

    state = stack.recovery_state(0)
    for name in ("parameters", "optimizer.mean", "optimizer.square"):
        assert state[name].dtype == np.float32
        assert not np.array_equal(state[name], torch.from_numpy(state[name]).bfloat16().float().numpy())


def test_a_factor_of_two_products_is_rounded_once() -> None:
    products, w, a = Mixed(squeezed=True), torch.randn(3, 5), torch.randn(5, 7)
    out, back = torch.zeros(3, 7), torch.zeros(3, 5)
    products.begin()
    first, second = products.calls(w, a, out), products.calls(out, a.T, back)
    for call in first + second:
        call()

    assert (len(first), len(second)) == (4, 3)
    torch.testing.assert_close(out, w @ a, rtol=0.05, atol=0.05)
    torch.testing.assert_close(back, w @ a @ a.T, rtol=0.1, atol=0.3)


def test_members_of_other_precision_do_not_share_a_stack() -> None:
    with pytest.raises(ValueError, match="differ"):
        run([member_of(spec_of(precision=precision)) for precision in ("fp32", "bf16")], torch.float32)
