"""From a request to the answer: types of the labels, order, equal answers in every form, no torch in the process."""

import asyncio
import subprocess
import sys
from typing import Any

import numpy as np
import orjson
import pytest

from app.domain.columns import FittedColumn, FittedTarget
from app.domain.errors import Invalid
from app.domain.schema import Level, StorageType
from app.services.predictions import PredictionAnswer, Predictions
from app.serving.predict import CHUNK, Inputs
from app.serving.requests import PredictBody
from app.serving.sessions import Sessions
from tests.serving.checkpoints import COLUMNS, FRAME, LABELS, NUMBER, NUMBERS, Files, feed, files, ready

FEATURES: list[FittedColumn] = [NUMBER(name="length"), NUMBER(name="width")]


def service(stored: Files) -> Predictions:
    return Predictions(stored, Sessions(limit_bytes=10**9))


def predict(
    body: dict[str, Any], *, columns: list[FittedColumn], target: FittedTarget = LABELS, seed: int = 0
) -> PredictionAnswer:
    return service(files(columns, target, seed=seed)).predict(
        PredictBody.model_validate(body), checkpoint_id="ckpt_1", max_rows=10_000
    )


def test_the_answer_has_labels_probabilities_and_classes_in_the_order_of_the_rows() -> None:
    rows = [[-9.0, 3.0], [9.0, -3.0], [0.0, 0.0]]

    answer = predict({"rows": rows}, columns=FEATURES)

    probabilities = np.array(answer.probabilities, dtype=np.float64)
    assert answer.classes == ["a", "b", "c"]
    assert answer.predictions == [answer.classes[best] for best in probabilities.argmax(1)]
    assert probabilities.sum(1) == pytest.approx([1, 1, 1])
    assert predict({"rows": rows[::-1]}, columns=FEATURES).predictions == list(answer.predictions)[::-1]


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

    answer = predict({"columns": {"length": [-30.0, 30.0], "width": [30.0, -30.0]}}, columns=FEATURES, target=target, seed=1)

    told = orjson.loads(orjson.dumps(answer))
    assert told["classes"] == classes
    assert {(type(label), label) for label in told["predictions"]} == {(type(label), label) for label in classes}
    assert [len(row) for row in told["probabilities"]] == [2, 2]


def test_a_regression_has_numbers_and_nothing_else() -> None:
    answer = predict({"rows": [[1.0, 2.0]]}, columns=FEATURES, target=NUMBERS)

    assert isinstance(answer.predictions[0], float)
    assert (answer.probabilities, answer.classes) == (None, None)


def test_an_answer_is_ready_for_json() -> None:
    answer = predict({"rows": [[1.0, None]]}, columns=FEATURES)

    told = orjson.loads(orjson.dumps(answer))

    assert (told["object"], told["checkpoint"]) == ("prediction", "ckpt_1")
    assert set(told) == {"object", "checkpoint", "predictions", "probabilities", "classes", "warnings"}
    assert told["warnings"][0]["column"] == "width"
    assert set(told["warnings"][0]) == {"code", "detail", "row", "column"}


def test_a_number_beyond_double_precision_is_told_as_infinity() -> None:
    huge = FittedTarget(name="y", type=StorageType.FLOAT64, scale=1e308)

    answer = predict({"rows": [[1e6, -1e6], [-1e6, 1e6]]}, columns=FEATURES, target=huge)

    assert {"Infinity", "-Infinity"} & set(answer.predictions)


def test_the_same_rows_get_the_same_answer_in_every_form() -> None:
    names = [column.name for column in COLUMNS]
    records = FRAME.select(names).to_dicts()
    forms: list[dict[str, Any]] = [
        {"rows": records},
        {"rows": [list(record.values()) for record in records]},
        {"columns": {name: [record[name] for record in records] for name in names}},
    ]

    answers = [predict(form, columns=COLUMNS) for form in forms]

    assert answers[0].predictions == answers[1].predictions == answers[2].predictions
    assert answers[0].probabilities == answers[1].probabilities == answers[2].probabilities


def test_a_request_is_read_as_the_training_frame_was() -> None:
    checkpoint = ready()
    raw = feed(COLUMNS, FRAME)
    features, *texts = raw.values()

    expected = checkpoint.predictor.predict(Inputs(len(FRAME), features, tuple(texts)))  # type: ignore[arg-type]

    assert predict({"rows": FRAME.to_dicts()}, columns=COLUMNS).probabilities == expected.probabilities


def test_more_rows_than_one_run_takes_are_joined_in_order() -> None:
    values = np.random.default_rng(0).normal(size=(2 * CHUNK + 5, 2)) * 10
    predictor = ready(FEATURES).predictor

    whole = predictor.predict(Inputs(len(values), values))

    assert whole.probabilities is not None
    assert len(whole.predictions) == len(whole.probabilities) == len(values)
    for row in (0, CHUNK - 1, CHUNK, 2 * CHUNK + 4):
        alone = predictor.predict(Inputs(1, values[row : row + 1]))
        assert alone.predictions[0] == whole.predictions[row]
        assert alone.probabilities is not None
        assert alone.probabilities[0] == pytest.approx(whole.probabilities[row], abs=1e-6)


@pytest.mark.parametrize("rows", [1, 1001])
def test_an_event_loop_gets_the_same_answer_whether_the_checkpoint_is_in_memory_or_not(rows: int) -> None:
    served = service(files(FEATURES))
    body = PredictBody(rows=[[1.0, 2.0]] * rows)
    most = 2000

    async def twice() -> list[PredictionAnswer]:
        return [await served.predict_soon(body, checkpoint_id="ckpt_1", max_rows=most) for _ in range(2)]

    cold, warm = asyncio.run(twice())

    assert cold == warm == served.predict(body, checkpoint_id="ckpt_1", max_rows=most)


def test_a_refused_request_names_its_faults() -> None:
    with pytest.raises(Invalid) as caught:
        predict({"rows": [[1.0, "x"]]}, columns=FEATURES)

    assert caught.value.faults[0].pointer == "/rows/0/1"


def test_serving_never_loads_torch() -> None:
    modules = "app.serving.sessions, app.serving.inputs, app.services.predictions"

    code = f"import sys, {modules}; sys.exit('torch' in sys.modules or 'polars' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
