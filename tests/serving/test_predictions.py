"""From a request to the answer: types of the labels, order, equal answers in every form, no torch in the process."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np
import pytest

from app.domain.columns import FittedColumn, FittedTarget
from app.domain.errors import Invalid, TooLarge, Unavailable, Unparsable
from app.domain.schema import Level, StorageType
from app.services.deadline import Deadline
from app.services.predictions import PredictionLimits, Predictions, Served
from app.serving.json_body import JsonSource, parse
from app.serving.predict import CHUNK, Inputs
from app.serving.sessions import Sessions
from app.serving.told import Written, write_json
from tests.serving.asking import SERVED, answered, json_source, service
from tests.serving.checkpoints import COLUMNS, FRAME, NUMBER, NUMBERS, Files, feed, files, ready

FEATURES: list[FittedColumn] = [NUMBER(name="length"), NUMBER(name="width")]


def test_the_answer_has_labels_probabilities_and_classes_in_the_order_of_the_rows() -> None:
    rows = [[-9.0, 3.0], [9.0, -3.0], [0.0, 0.0]]

    answer = answered({"rows": rows}, columns=FEATURES)

    probabilities = np.array(answer["probabilities"], dtype=np.float64)
    assert answer["classes"] == ["a", "b", "c"]
    assert answer["predictions"] == [answer["classes"][best] for best in probabilities.argmax(1)]
    assert probabilities.sum(1) == pytest.approx([1, 1, 1])
    assert answered({"rows": rows[::-1]}, columns=FEATURES)["predictions"] == answer["predictions"][::-1]


@pytest.mark.parametrize(
    ("stored", "classes"),
    [
        (StorageType.INT64, [3, 5]),
        (StorageType.BOOL, [False, True]),
        (StorageType.STRING, ["no", "yes"]),
        (StorageType.FLOAT64, [0.5, 1.0]),
    ],
)
def test_a_label_comes_back_with_its_own_type_and_a_binary_model_has_two_columns(
    stored: StorageType, classes: list[Level]
) -> None:
    target = FittedTarget(name="y", type=stored, classes=classes)

    told = answered({"columns": {"length": [-30.0, 30.0], "width": [30.0, -30.0]}}, columns=FEATURES, target=target, seed=1)

    assert told["classes"] == classes
    assert {(type(label), label) for label in told["predictions"]} == {(type(label), label) for label in classes}
    assert [len(row) for row in told["probabilities"]] == [2, 2]


def test_a_regression_has_numbers_and_nothing_else() -> None:
    answer = answered({"rows": [[1.0, 2.0]]}, columns=FEATURES, target=NUMBERS)

    assert isinstance(answer["predictions"][0], float)
    assert (answer["probabilities"], answer["classes"]) == (None, None)


def test_an_answer_has_these_members() -> None:
    told = answered({"rows": [[1.0, None]]}, columns=FEATURES)

    assert (told["object"], told["checkpoint"]) == ("prediction", "ckpt_1")
    assert set(told) == {"object", "checkpoint", "predictions", "probabilities", "classes", "warnings"}
    assert told["warnings"][0]["column"] == "width"
    assert set(told["warnings"][0]) == {"code", "detail", "row", "column"}


def test_a_number_beyond_double_precision_is_told_as_infinity() -> None:
    huge = FittedTarget(name="y", type=StorageType.FLOAT64, scale=1e308)

    answer = answered({"rows": [[1e6, -1e6], [-1e6, 1e6]]}, columns=FEATURES, target=huge)

    assert {"Infinity", "-Infinity"} & set(answer["predictions"])


def test_a_probability_is_told_as_the_very_number_that_the_network_gave() -> None:
    found = ready(FEATURES).predictor.predict(Inputs(1, np.array([[1.0, 2.0]]))).probabilities

    assert found is not None
    assert answered({"rows": [[1.0, 2.0]]}, columns=FEATURES)["probabilities"] == found.astype(np.float64).tolist()


@pytest.mark.parametrize(
    ("outputs", "there"),
    [
        (["predictions"], {"predictions"}),
        (["probabilities"], {"probabilities"}),
        (["probabilities", "predictions"], {"predictions", "probabilities"}),
    ],
)
def test_an_answer_has_the_outputs_that_were_asked_for(outputs: list[str], there: set[str]) -> None:
    whole = answered({"rows": [[1.0, 2.0]]}, columns=FEATURES)

    answer = answered({"rows": [[1.0, 2.0]], "outputs": outputs}, columns=FEATURES)

    for name in ("predictions", "probabilities"):
        assert answer[name] == (whole[name] if name in there else None)
    assert answer["classes"] == whole["classes"]


@pytest.mark.parametrize(
    ("outputs", "places"),
    [
        ([], ["/outputs"]),
        ("predictions", ["/outputs"]),
        (["label"], ["/outputs/0"]),
        (["predictions", 1, None, []], ["/outputs/1", "/outputs/2", "/outputs/3"]),
    ],
)
def test_other_outputs_are_refused(outputs: object, places: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        answered({"rows": [[1.0, 2.0]], "outputs": outputs}, columns=FEATURES)

    assert [fault.pointer for fault in caught.value.faults] == places


def test_a_regression_is_not_asked_for_probabilities_alone() -> None:
    both = {"rows": [[1.0, 2.0]], "outputs": ["predictions", "probabilities"]}

    assert answered(both, columns=FEATURES, target=NUMBERS)["probabilities"] is None
    with pytest.raises(Invalid, match="no probabilities"):
        answered({"rows": [[1.0, 2.0]], "outputs": ["probabilities"]}, columns=FEATURES, target=NUMBERS)


def test_the_same_rows_get_the_same_answer_in_every_form() -> None:
    names = [column.name for column in COLUMNS]
    records = FRAME.select(names).to_dicts()
    forms: list[dict[str, Any]] = [
        {"rows": records},
        {"rows": [list(record.values()) for record in records]},
        {"columns": {name: [record[name] for record in records] for name in names}},
    ]

    answers = [answered(form) for form in forms]

    assert answers[0] == answers[1] == answers[2]


def test_a_request_is_read_as_the_training_frame_was() -> None:
    checkpoint = ready()
    raw = feed(COLUMNS, FRAME)
    features, *texts = raw.values()

    expected = checkpoint.predictor.predict(Inputs(len(FRAME), features, tuple(texts)))  # type: ignore[arg-type]

    assert expected.probabilities is not None
    assert answered({"rows": FRAME.to_dicts()})["probabilities"] == expected.probabilities.tolist()


def test_more_rows_than_one_run_takes_are_joined_in_order() -> None:
    values = np.random.default_rng(0).normal(size=(2 * CHUNK + 5, 2)) * 10
    predictor = ready(FEATURES).predictor

    whole = predictor.predict(Inputs(len(values), values))

    assert whole.labels is not None
    assert whole.probabilities is not None
    assert len(whole.labels) == len(whole.probabilities) == len(values)
    for row in (0, CHUNK - 1, CHUNK, 2 * CHUNK + 4):
        alone = predictor.predict(Inputs(1, values[row : row + 1]))
        assert alone.labels is not None
        assert alone.labels[0] == whole.labels[row]
        assert alone.probabilities is not None
        assert alone.probabilities[0] == pytest.approx(whole.probabilities[row], abs=1e-6)


@pytest.mark.parametrize("rows", [1, 1001, 60_000])
def test_an_event_loop_gets_the_same_answer_whether_the_checkpoint_is_in_memory_or_not(rows: int) -> None:
    served = service(files(FEATURES), rows=100_000)
    source = json_source({"rows": [[1.0, 2.0]] * rows})

    async def twice() -> list[Written]:
        return [await served.predict_soon(source, write_json, SERVED) for _ in range(2)]

    cold, warm = asyncio.run(twice())

    assert cold == warm == served.predict(source, write_json, SERVED)


@dataclass(frozen=True)
class HeldFiles:
    """A cold checkpoint whose files come only once they are let go; all others at once."""

    stored: Files
    asked: Event = field(default_factory=Event)
    let_go: Event = field(default_factory=Event)

    def read(self, checkpoint_id: str, file: str) -> bytes:
        if checkpoint_id == "ckpt_cold":
            self.asked.set()
            assert self.let_go.wait(timeout=60)
        return self.stored.read(checkpoint_id, file)


def test_a_load_that_many_wait_for_holds_up_no_checkpoint_in_memory() -> None:
    held = HeldFiles(files(FEATURES))
    served = Predictions(held, Sessions(limit_bytes=10**9), limits=PredictionLimits(rows=100_000))
    few, many = (json_source({"rows": [[1.0, 2.0]] * rows}) for rows in (1, 60_000))

    async def both() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        served.ready(SERVED.checkpoint_id)
        cold = [asyncio.create_task(served.predict_soon(few, write_json, Served("ckpt_cold"))) for _ in range(20)]
        try:
            await asyncio.sleep(0)  # all of them ask
            assert held.asked.wait(timeout=60)
            cold.pop().cancel()
            hot = await asyncio.wait_for(served.predict_soon(many, write_json, SERVED), timeout=30)
        finally:
            held.let_go.set()
        assert len(json.loads(hot.body)["predictions"]) == 60_000
        assert len({answer.body for answer in await asyncio.gather(*cold)}) == 1

    asyncio.run(both())
    assert held.stored.reads.count("ckpt_cold/model.onnx") == 1


def test_a_load_that_takes_the_time_of_a_call_leaves_none_to_predict() -> None:
    served = service(files(FEATURES), seconds=1e-9)

    with pytest.raises(Unavailable, match="busy"):
        asyncio.run(served.predict_soon(json_source({"rows": [[1.0, 2.0]]}), write_json, SERVED))


def test_what_takes_longer_than_a_call_may_is_refused() -> None:
    served = service(files(FEATURES), seconds=1e-9)
    some, many = (json_source({"rows": [[1.0, 2.0]] * rows}) for rows in (1, CHUNK + 1))

    async def both() -> None:
        served.ready(SERVED.checkpoint_id)
        await served.predict_soon(some, write_json, SERVED)
        with pytest.raises(TooLarge, match="fewer rows"):
            await served.predict_soon(many, write_json, SERVED)

    asyncio.run(both())
    with pytest.raises(Unavailable, match="busy"):
        served.predict(some, write_json, SERVED, deadline=Deadline(0))


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ([1], ""),
        ({"rows": 5}, "/rows"),
        ({"columns": [1]}, "/columns"),
        ({"columns": {"length": 1.0, "width": [2.0]}}, "/columns/length"),
        ({"rows": [[1.0, "x"]]}, "/rows/0/1"),
        ({"rows": [[1.0, 2.0]], "a/b": 1}, "/a~1b"),
    ],
)
def test_a_refused_request_names_its_faults(body: Mapping[str, object], place: str) -> None:
    with pytest.raises(Invalid) as caught:
        answered(body, columns=FEATURES)

    assert [fault.pointer for fault in caught.value.faults] == [place]


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ('{"rows": [[1, true]]}', False),
        ('{"rows": [[1, false]]}', False),
        ('{"rows": [[1, 0]], "outputs": ["predictions"]}', True),
        ('{"rows": [{"length": 1, "width": 2, "true": "false", ' + ", ".join(f'"u{i}": 1' for i in range(99)) + "}]}", True),
        ('{"rows": [{' + ", ".join(f'"u{i}": 1' for i in range(99)) + ', "length": 1, "width": true}]}', False),
    ],
)
def test_true_and_false_are_told_from_numbers_wherever_they_stand(text: str, answers: bool) -> None:
    source = JsonSource(text.encode())
    if answers:
        assert service(files(FEATURES)).predict(source, write_json, SERVED).body
        return
    with pytest.raises(Invalid, match="a number is expected"):
        service(files(FEATURES)).predict(source, write_json, SERVED)


TRUE = '{"rows": [[1, true]], "outputs": ["predictions"]} '


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_json_in_another_encoding_than_utf_8_is_none(encoding: str) -> None:
    with pytest.raises(Unparsable, match="not JSON"):
        parse(TRUE.encode(encoding))


def test_json_may_begin_with_the_mark_of_utf_8_and_hold_nan() -> None:
    assert parse('{"rows": [[1, 2]]}'.encode("utf-8-sig")) == {"rows": [[1, 2]]}
    assert str(parse(b"[NaN, Infinity]")) == "[nan, inf]"


def test_serving_never_loads_torch() -> None:
    modules = "app.serving.sessions, app.serving.inputs, app.serving.v2.source, app.services.predictions"

    code = f"import sys, {modules}; sys.exit('torch' in sys.modules or 'polars' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
