"""Random specs and members for hypothesis, from ranges in which training is not chaotic.

Engine and textbook loop round differently, at 1e-16. Training multiplies such a difference in each step, and where it
multiplies by much, 20 epochs make 1e-9 of it whatever the code does. Kept out are therefore:
- learning rates at which the loss jumps about instead of falling;
- dividing by what is rounding alone: a bias below a normalization has a gradient that is 0 but for rounding, which Adam and
  its kin divide by its own size unless `eps` is well above it (1e-6 and more; Adagrad: a sum that starts at 0.1);
- normalizing over few numbers, which is nearly a step function, and where they are nearly equal divides by √1e-5: normalized
  networks have at most two hidden layers, at least four wide, and normalized batches at least eight rows.
"""

from typing import Any

from hypothesis import strategies as st

from app.domain.spec import ResolvedSpec
from tests.engine.plain import member_of, spec_of
from worker.engine.data import Member

ACTIVATIONS = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "tanh", "sigmoid", "identity")
INITIALIZATIONS = (
    "default", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal", "data_driven",
)  # fmt: skip
LOSSES = ("cross_entropy", "bce", "mse", "l1", "huber", "quantile", "poisson", "focal")
OPTIMIZERS = ("sgd", "adam", "adamw", "nadam", "radam", "rmsprop", "adagrad")
SCHEDULES = ("constant", "step", "exponential", "cosine", "one_cycle", "log_cosine", "plateau")
IN_UNITS = ("mse", "l1", "huber", "quantile")
NARROWEST, FEWEST_ROWS = 4, 8

Fields = dict[str, Any]
DECAYS = st.sampled_from([0.0, 1e-3, 0.05])
EPS = st.sampled_from([1e-6, 1e-4])
BETAS = st.sampled_from([[0.9, 0.999], [0.8, 0.95], [0.5, 0.9]])


def optimizers(name: str) -> st.SearchStrategy[Fields]:
    """The fields of one optimizer."""
    quick = st.sampled_from([1e-4, 1e-3, 5e-3])
    adam: Fields = {"learning_rate": quick, "betas": BETAS, "eps": EPS, "weight_decay": DECAYS}
    own: dict[str, Fields] = {
        "sgd": {"learning_rate": st.sampled_from([1e-3, 0.01, 0.03]), "weight_decay": DECAYS},
        "nadam": adam | {"momentum_decay": st.sampled_from([0.0, 0.004, 0.1])},
        "rmsprop": {
            "learning_rate": st.sampled_from([1e-4, 1e-3]),
            "alpha": st.sampled_from([0.9, 0.99]),
            "eps": EPS,
            "weight_decay": DECAYS,
            "momentum": st.sampled_from([0.0, 0.5]),
            "centered": st.booleans(),
        },
        "adagrad": {
            "learning_rate": st.sampled_from([1e-3, 0.02]),
            "lr_decay": st.sampled_from([0.0, 0.01]),
            "weight_decay": DECAYS,
            "initial_accumulator_value": st.sampled_from([0.1, 1.0]),
        },
    }
    fields = st.fixed_dictionaries(own.get(name, adam))
    if name == "sgd":
        moving = st.sampled_from(
            [{}, {"momentum": 0.8}, {"momentum": 0.8, "dampening": 0.3}, {"momentum": 0.8, "nesterov": True}]
        )
        fields = st.builds(lambda a, b: {**a, **b}, fields, moving)
    return fields.map(lambda found: {"name": name, **found})


def losses(name: str) -> st.SearchStrategy[Fields]:
    """The fields of one loss."""
    own: dict[str, Fields] = {
        "cross_entropy": {"label_smoothing": st.sampled_from([0.0, 0.1])},
        "huber": {"delta": st.sampled_from([0.3, 1.0, 3.0])},
        "quantile": {"q": st.sampled_from([0.1, 0.5, 0.8])},
        "focal": {"gamma": st.sampled_from([0.0, 1.0, 2.0])},
    }
    return st.fixed_dictionaries(own.get(name, {})).map(lambda found: {"name": name, **found})


def schedules(name: str) -> st.SearchStrategy[Fields]:
    """The fields of one schedule."""
    own: dict[str, Fields] = {
        "step": {"step_size": st.integers(1, 9), "gamma": st.sampled_from([0.5, 0.9])},
        "exponential": {"gamma": st.sampled_from([0.8, 0.97])},
        "cosine": {"eta_min": st.sampled_from([0.0, 1e-4])},
        "one_cycle": {"pct_start": st.sampled_from([0.3, 0.5]), "div_factor": st.sampled_from([5.0, 25.0])},
        "log_cosine": {"cycles": st.integers(1, 5)},
        "plateau": {"factor": st.just(0.5), "patience": st.integers(0, 3), "threshold": st.sampled_from([1e-4, 0.05])},
    }
    fields = {"warmup_epochs": st.integers(0, 6), **own.get(name, {})}
    return st.fixed_dictionaries(fields).map(lambda found: {"name": name, **found})


FEATURES = st.sampled_from(
    [
        None,
        None,
        {"kind": "piecewise_linear", "bins": 3, "width": 2},
        {"kind": "periodic", "frequencies": 4, "width": 1},
    ]
)
GROUP = st.fixed_dictionaries(
    {"learning_rate_factor": st.sampled_from([0.0, 0.1, 1.0, 3.0]), "weight_decay_factor": st.sampled_from([0.0, 1.0, 2.0])}
)
NAMES = ("bias", "input_scaling", "numeric_features")
GROUPS: st.SearchStrategy[Fields] = st.just({}) | st.fixed_dictionaries(dict.fromkeys(NAMES, GROUP))
DELTAS = st.sampled_from([0.0, 1e-3])
STOPPING = st.none() | st.fixed_dictionaries({"patience": st.integers(1, 6), "min_delta": DELTAS})
BY_CYCLE = st.fixed_dictionaries({"patience": st.just("cycle"), "min_delta": DELTAS})
CLIPS = st.none() | st.sampled_from([0.01, 0.3, 5.0])


@st.composite
def shapes(draw: st.DrawFn) -> Fields:
    """What all members of a stack share; kinds by name."""
    normalization = draw(st.sampled_from(["none", "none", "batch", "layer"]))
    rows, size = draw(st.integers(12, 40)), draw(st.integers(FEWEST_ROWS if normalization == "batch" else 3, 40))
    if normalization == "batch" and 0 < rows % size < FEWEST_ROWS:
        rows -= rows % size
    depth = 3 if normalization == "none" else 2
    return {
        "rows": rows,
        "batch_size": size,
        "hidden": tuple(draw(st.lists(st.integers(NARROWEST, 8), max_size=depth))),
        "inputs": draw(st.integers(1, 5)),
        "activation": draw(st.sampled_from(ACTIVATIONS)),
        "normalization": normalization,
        "numeric_features": draw(FEATURES),
        "featured": draw(st.integers(1, 3)),
        "input_scaling": draw(st.booleans()),
        "loss": draw(st.sampled_from(LOSSES)),
        "optimizer": draw(st.sampled_from(OPTIMIZERS)),
        "lr_schedule": draw(st.sampled_from(SCHEDULES)),
    }


@st.composite
def members(draw: st.DrawFn, shape: Fields) -> Member:
    """A member of a shape, with everything that is its own."""
    val = draw(st.sampled_from([0, 1, 9]))
    rates = st.sampled_from([0.0, 0.0, 0.3])
    network = {
        "activation": shape["activation"],
        "normalization": shape["normalization"],
        "initialization": draw(st.sampled_from(INITIALIZATIONS)),
        "parametrization": draw(st.sampled_from(["standard", "ntk"])),
        "numeric_features": shape["numeric_features"],
        "input_scaling": shape["input_scaling"],
        "dropout": [draw(rates) for _ in shape["hidden"]],
    }
    schedule = draw(schedules(shape["lr_schedule"]))
    stopping = STOPPING | BY_CYCLE if schedule.get("cycles", 0) > 2 else STOPPING
    spec: ResolvedSpec = spec_of(
        rows=shape["rows"],
        val=val,
        hidden=shape["hidden"],
        inputs=shape["inputs"],
        batch_size=shape["batch_size"],
        featured=shape["featured"] if shape["numeric_features"] else 0,
        network=network,
        parameter_groups=draw(GROUPS),
        loss=draw(losses(shape["loss"])),
        optimizer=draw(optimizers(shape["optimizer"])),
        lr_schedule=schedule,
        regularization_schedule=draw(st.sampled_from(["constant", "flat_cosine"])),
        epochs=draw(st.integers(20, 30)),
        early_stopping=draw(stopping) if val else None,
        gradient_clip_norm=draw(CLIPS),
        seed=draw(st.integers(0, 2**63 - 1)),
    )
    scale = draw(st.sampled_from([0.2, 1.0, 30.0])) if shape["loss"] in IN_UNITS else 1.0
    return member_of(spec, seed=draw(st.integers(0, 999)), weighted=draw(st.booleans()), scale=scale)


def packs(*, fewest: int, most: int) -> st.SearchStrategy[list[Member]]:
    """Members that share a stack."""
    return shapes().flatmap(lambda shape: st.lists(members(shape), min_size=fewest, max_size=most))
