from itertools import pairwise

import pytest

from app.domain.memory import estimate, host_estimate, most_fitting, readable
from app.domain.spec import Embedding, ResolvedSpec
from app.domain.streaming import streamed
from tests.persistence.jobs import RESOLVED

MB = 2**20


def shape(inputs: int, *hidden: int, outputs: int = 1, **changes: object) -> ResolvedSpec:
    """10 000 training and 2 500 validation rows, batches of 64."""
    widths = [inputs, *hidden, outputs]
    parameters = sum((above + 1) * below for above, below in pairwise(widths))
    features = [f"x{i}" for i in range(inputs)]
    known = {"train_rows": 10_000, "validation_rows": 2_500, "batch_size": 64, "layers": widths, "features": features}
    named = {"network": {"hidden_layers": list(hidden)}, "parameters": parameters}
    return ResolvedSpec.model_validate(RESOLVED.model_dump() | known | named | changes)


@pytest.mark.parametrize(
    ("spec", "measured"),
    [
        (shape(50, 64, 64, outputs=2, train_rows=160_000, validation_rows=40_000, batch_size=1024), 395),
        (shape(10, 32, outputs=2, train_rows=800_000, validation_rows=200_000, batch_size=1024), 508),
        (shape(100, 2048, 2048, train_rows=400, validation_rows=100), 504),
        (shape(100, 2048, 2048, train_rows=400, validation_rows=100, optimizer={"name": "sgd"}), 364),
        (shape(20, 512, 512, train_rows=32_000, validation_rows=8_000, batch_size=32_000), 362),
        (
            shape(
                500,
                8,
                outputs=2,
                train_rows=20_000,
                validation_rows=0,
                ensemble={"members": 16, "folds": True},
                network={"hidden_layers": [8], "dropout": 0.1},
                parameters=16 * 4026,
            ),
            722,
        ),
    ],
    ids=["many rows", "very many rows", "large network", "large network, sgd", "full batch", "networks with folds"],
)
def test_the_estimate_is_near_the_peak_that_was_measured(spec: ResolvedSpec, measured: int) -> None:
    assert 0.8 < estimate(spec).total / (measured * MB) < 2


def test_a_gpu_gathers_more_of_the_rows_to_come() -> None:
    streamed = shape(100, 64, streaming=True, window={"block_rows": 100, "blocks": 256}, train_rows=10**6)

    assert estimate(streamed, gpu=True).activations > 4 * (1 << 24) > estimate(streamed).activations


def test_more_rows_are_more_data_and_nothing_else() -> None:
    few, many = estimate(shape(50, 512, train_rows=5_000_000)), estimate(shape(50, 512, train_rows=10_000_000))

    assert many.data > 1.8 * few.data
    assert many.resident < 1.01 * few.resident


def test_a_larger_batch_is_more_activations_and_nothing_else() -> None:
    one, other = estimate(shape(50, 512)), estimate(shape(50, 512, batch_size=10_000))

    assert other.activations > one.activations
    assert (other.data, other.parameters, other.optimizer) == (one.data, one.parameters, one.optimizer)


def test_double_precision_takes_twice_the_parameters() -> None:
    assert estimate(shape(50, 512, precision="fp64")).parameters == 2 * estimate(shape(50, 512)).parameters


@pytest.mark.parametrize(
    ("block", "moments"),
    [
        ({"name": "sgd"}, 0),
        ({"name": "sgd", "momentum": 0.9}, 1),
        ({"name": "adagrad"}, 1),
        ({"name": "adamw"}, 2),
        ({"name": "rmsprop", "momentum": 0.9, "centered": True}, 3),
    ],
    ids=["sgd", "momentum", "adagrad", "adamw", "centered"],
)
def test_an_optimizer_takes_what_it_remembers(block: dict[str, object], moments: int) -> None:
    plain = estimate(shape(50, 512, optimizer={"name": "sgd"})).optimizer
    one = estimate(shape(50, 512, optimizer={"name": "adagrad"})).optimizer - plain

    assert estimate(shape(50, 512, optimizer=block)).optimizer == plain + moments * one


def test_what_autograd_keeps_is_counted() -> None:
    by_hand, by_autograd = (
        shape(20, 256, train_rows=100_000, batch_size=100_000, network={"hidden_layers": [256], "normalization": kind})
        for kind in ("none", "batch")
    )

    assert estimate(by_autograd).activations > 3 * estimate(by_hand).activations


def test_an_embedded_category_is_one_column_of_data_and_its_vector_in_each_batch() -> None:
    table = {"column": "x0", "levels": 500, "width": 49}
    plain = shape(50, 64)
    embedded = plain.model_copy(update={"features": ["x0", "x1"], "embeddings": [Embedding.model_validate(table)]})
    larger = embedded.model_copy(update={"batch_size": 5_000})

    assert estimate(embedded).data < estimate(plain).data / 5
    assert estimate(larger).activations - estimate(embedded).activations > 4 * 49 * 4_936


def test_a_gpu_holds_neither_the_raw_rows_nor_the_copies_of_a_checkpoint() -> None:
    spec = shape(50, 512)
    host, device = estimate(spec), estimate(spec, gpu=True)

    assert device.data < host.data
    assert device.parameters < host.parameters


@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_what_a_gpu_does_not_hold_is_in_the_memory_of_its_host(precision: str) -> None:
    many, large = (
        shape(*widths, precision=precision, train_rows=rows) for widths, rows in (((50, 8), 10**6), ((50, 2048), 99))
    )

    for spec in (many, large):
        whole, device, host = estimate(spec), estimate(spec, gpu=True), host_estimate(spec)
        assert host.data == whole.data - device.data
        assert host.parameters >= whole.parameters - device.parameters
        assert host.optimizer >= whole.optimizer - device.optimizer
    assert host_estimate(many).total > 1.9 * estimate(many, gpu=True).total


def test_beside_a_gpu_each_member_has_its_rows_and_what_it_goes_on_from_but_one_at_a_time_is_read_and_written() -> None:
    one, two, three = (host_estimate(shape(50, 512), members=members) for members in (1, 2, 3))

    assert three.data - two.data == two.data - one.data > 0
    assert three.parameters - two.parameters == two.parameters - one.parameters > 0
    assert three.data < 3 * one.data
    assert three.parameters < 3 * one.parameters


def test_streamed_rows_take_of_a_gpu_s_host_what_they_take_of_a_training_process() -> None:
    spec = shape(50, 8, train_rows=1_000_000)
    by_window = streamed(spec, 0, gpu=True)

    assert host_estimate(by_window).data == estimate(by_window).data < host_estimate(spec).data / 5


def test_as_many_members_fit_as_the_estimate_allows() -> None:
    spec = shape(50, 512)
    three = estimate(spec, members=3).total

    assert most_fitting(spec, three, most=64, gpu=False) == 3
    assert most_fitting(spec, three - 1, most=64, gpu=False) == 2
    assert most_fitting(spec, three, most=2, gpu=False) == 2
    assert most_fitting(spec, 1000, most=64, gpu=False) == 0
    assert most_fitting(spec, None, most=64, gpu=False) == 64


@pytest.mark.parametrize(
    ("on_gpu", "beside", "fitting"), [(3, 5, 3), (5, 3, 3), (5, None, 5), (None, 3, 3), (0, 5, 0), (5, 0, 0), (None, None, 64)]
)
def test_on_a_gpu_as_many_members_fit_as_both_memories_hold(on_gpu: int | None, beside: int | None, fitting: int) -> None:
    spec = shape(50, 512)
    budget = None if on_gpu is None else estimate(spec, members=on_gpu, gpu=True).total if on_gpu else 1
    host = None if beside is None else host_estimate(spec, members=beside).total if beside else 1

    assert most_fitting(spec, budget, most=64, gpu=True, host=host) == fitting
    assert most_fitting(spec, 10**12, most=64, gpu=False, host=host) == 64


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (shape(50, 64, train_rows=1_000_000), "rows"),
        (shape(50, 512, batch_size=10_000), "batch_size"),
        (shape(50, 4096, 4096), "hidden_layers"),
    ],
    ids=["data", "batch", "network"],
)
def test_the_cure_is_for_what_takes_most(spec: ResolvedSpec, word: str) -> None:
    assert word in estimate(spec).cure


@pytest.mark.parametrize(("size", "text"), [(0, "0 MB"), (12_400_000, "12 MB"), (2_560_000_000, "2.6 GB")])
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert readable(size) == text


def test_bf16_takes_rounded_copies_beside_what_fp32_takes() -> None:
    exact, rounded = (estimate(shape(50, 512, precision=precision), gpu=True) for precision in ("fp32", "bf16"))

    assert (rounded.data, rounded.optimizer) == (exact.data, exact.optimizer)
    assert rounded.parameters > exact.parameters
    assert rounded.activations > exact.activations


def test_a_gpu_keeps_more_of_small_networks_and_no_more_of_long_epochs() -> None:
    small = shape(4, 8, train_rows=200, validation_rows=50, batch_size=200)
    assert estimate(small, members=256, gpu=True).activations > 10 * estimate(small, members=256).activations
    assert estimate(shape(50, 64, train_rows=1_000_000), gpu=True).activations < 600 * MB


def test_on_a_gpu_the_tape_is_counted_with_its_copies_of_all_versions_and_their_first_layers() -> None:
    spec, members = shape(50, 64, train_rows=200, validation_rows=50, batch_size=200), 64
    tape, first = 4 * 256 * members * spec.parameters, 4 * 256 * members * 51 * 64

    assert estimate(spec, members=members, gpu=True).activations > 2 * tape + 0.9 * first


def test_a_large_network_s_tape_is_as_long_as_the_engine_s() -> None:
    """64 epochs, of which all but one are copied beside what its parameters are counted with."""
    spec = shape(100, 2048, 2048, train_rows=400, validation_rows=100)

    assert 127 < estimate(spec, gpu=True).activations / (4 * spec.parameters) < 127 * 1.1


@pytest.mark.parametrize("widths", [(50, 64), (100, 2048, 2048)])
def test_on_a_gpu_more_members_never_take_less(widths: tuple[int, ...]) -> None:
    totals = [estimate(shape(*widths), members=members, gpu=True).total for members in range(1, 257)]

    assert totals == sorted(totals)
