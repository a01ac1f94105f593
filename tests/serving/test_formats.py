"""One reader behind every format: equal rows get equal answers, to the last bit, and equal warnings and faults."""

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.columns import CategoricalColumn, FittedColumn, NumericColumn
from app.domain.errors import Invalid, InvalidData, TooLarge
from app.domain.schema import StorageType
from app.services.predictions import Source
from app.services.table_answers import write_arrow, write_csv
from app.services.table_sources import TableSource, arrow_size, arrow_table, csv_table
from app.serving.findings import MOST
from app.serving.told import write_json
from app.tabular.limits import Limits
from app.tabular.refusal import Refused
from app.tabular.table import Table
from tests.serving.asking import json_source, written
from tests.serving.checkpoints import LABELS, NUMBER, NUMBERS, TEXT, files
from tests.serving.formats import (
    arrow_source,
    csv_source,
    in_every_format,
    infer_source,
    infer_writer,
    labels_and_probabilities,
    warnings_of,
)

COLUMNS: list[FittedColumn] = [
    NUMBER(name="size", center=2.0, scale=0.5, minimum=0.0, maximum=10.0),
    NumericColumn(name="count", type=StorageType.INT64, kind="numeric", impute=3.0, minimum=0.0, maximum=100.0),
    NumericColumn(name="flag", type=StorageType.BOOL, kind="boolean", impute=0.5),
    TEXT(name="city", levels=["Bonn", "Köln", "Ulm"]),
    CategoricalColumn(name="code", type=StorageType.INT64, kind="categorical", levels=["7", "12"], impute="12"),
]
DATATYPES = {"size": "FP64", "count": "INT64", "flag": "BOOL", "city": "BYTES", "code": "INT64"}
STORED = files(COLUMNS)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "size": st.floats(-1e30, 1e30) | st.none(),
            "count": st.integers(-(2**62), 2**62),
            "flag": st.booleans(),
            "city": st.sampled_from(["Bonn", "Köln", "Ulm", "Oslo", " Ulm", "ulm,"]) | st.none(),
            "code": st.sampled_from([7, 12, 99]),
        }
    ),
    min_size=1,
    max_size=5,
)
SCHEMA = {"size": pl.Float64, "count": pl.Int64, "flag": pl.Boolean, "city": pl.String, "code": pl.Int64}


@settings(max_examples=60)
@given(ROWS)
def test_the_same_rows_get_the_same_answer_and_the_same_warnings_in_every_format(rows: list[dict[str, Any]]) -> None:
    sources = in_every_format(pl.DataFrame(rows, schema=SCHEMA), DATATYPES)

    answers = {name: written(source, STORED, infer_writer(source)) for name, source in sources.items()}

    expected = answers["rows"]
    for name, answer in answers.items():
        assert labels_and_probabilities(answer) == labels_and_probabilities(expected), name
        assert warnings_of(answer) == warnings_of(expected), name


ONE = pl.DataFrame({"size": [5.1, None], "count": [3, 4], "flag": [True, False], "city": ["Ulm", "Oslo"], "code": [7, 12]})


def test_every_output_format_has_the_same_numbers() -> None:
    source = in_every_format(ONE, DATATYPES)["rows"]

    told = json.loads(written(source, STORED).body)
    csv = pl.read_csv(written(source, STORED, write_csv).body)
    arrow = pl.read_ipc_stream(written(source, STORED, write_arrow).body)

    assert csv.columns == arrow.columns == ["prediction", "probability_a", "probability_b", "probability_c"]
    assert csv["prediction"].to_list() == arrow["prediction"].to_list() == told["predictions"]
    assert csv[:, 1:].rows() == [tuple(row) for row in told["probabilities"]]
    assert arrow.dtypes == [pl.String, *[pl.Float32] * 3]
    assert arrow[:, 1:].cast(pl.Float64).rows() == csv[:, 1:].rows()


def test_what_is_no_column_of_a_table_stands_in_headers() -> None:
    source = in_every_format(ONE, DATATYPES)["CSV"]

    for write in (write_csv, write_arrow):
        headers = written(source, STORED, write).headers
        assert headers["Prediction-Checkpoint"] == "ckpt_1"
        assert json.loads(headers["Prediction-Warnings"]) == json.loads(written(source, STORED).body)["warnings"]
    assert set(written(csv_source(ONE[:1].write_csv()), STORED, write_csv).headers) == {"Prediction-Checkpoint"}


def test_a_header_has_as_many_warnings_as_it_may() -> None:
    rows = [{"size": None, "count": 1, "flag": True, "city": "Köln", "code": 7}] * (MOST + 50)

    header = written(json_source({"rows": rows}), STORED, write_csv).headers["Prediction-Warnings"]

    *some, last = json.loads(header)
    assert header.isascii()
    assert len(header) < 3_000
    assert {warning["code"] for warning in some} == {"missing_value"}
    assert last["code"] == "more_warnings"


@pytest.mark.parametrize(
    ("outputs", "columns"),
    [({"predictions"}, ["prediction"]), ({"probabilities"}, ["probability_a", "probability_b", "probability_c"])],
)
def test_a_table_has_the_columns_of_the_outputs_that_were_asked_for(outputs: set[str], columns: list[str]) -> None:
    source = csv_source(ONE.write_csv(), wanted=frozenset(outputs))

    assert pl.read_csv(written(source, STORED, write_csv).body).columns == columns


def test_a_table_of_a_regression_has_one_column() -> None:
    answer = written(csv_source("a\n1.5\n2.5\n"), files([NUMBER(name="a")], NUMBERS), write_csv)

    assert answer.body.decode().splitlines()[0] == "prediction"


@pytest.mark.parametrize("cell", ["", "NA", "nan", " null ", '""'])
def test_a_missing_cell_of_a_csv_is_what_it_is_in_an_upload(cell: str) -> None:
    text = f"code,city,flag,count,size\n7,{cell},{cell},{cell},{cell}\n"

    warnings = warnings_of(written(csv_source(text), STORED))

    assert [(warning["code"], warning["row"], warning["column"]) for warning in warnings] == [
        ("missing_value", 0, name) for name in ("size", "count", "flag", "city")
    ]


def test_a_marker_that_is_a_level_is_that_level() -> None:
    stored = files([TEXT(name="answer", levels=["NA", "yes"]), NUMBER(name="x")])

    assert warnings_of(written(csv_source("answer,x\nNA,1\nyes,1\n"), stored)) == []


@pytest.mark.parametrize(
    ("text", "flag", "code"),
    [("TRUE", True, 7), ("false", False, 7.0), ("1", True, 12), ("0", False, 12)],
)
def test_words_of_a_csv_are_read_as_in_an_upload(text: str, flag: bool, code: float) -> None:
    row = {"size": 1.0, "count": 2, "flag": flag, "city": "Ulm", "code": code}

    answer = written(csv_source(f"size,count,flag,city,code\n 1.0,2 ,{text},Ulm, {code}\n"), STORED)

    assert answer == written(json_source({"rows": [row]}), STORED)


@pytest.mark.parametrize(
    "source",
    [
        csv_source("size,count,flag,city,code\nx,2,maybe,Ulm,7\n1,inf,1,Ulm,7\n"),
        arrow_source(
            pl.DataFrame(
                {"size": ["x", "1"], "count": [2.0, np.inf], "flag": ["maybe", "1"], "city": ["Ulm"] * 2, "code": [7] * 2}
            )
        ),
    ],
    ids=["CSV", "Arrow"],
)
def test_faults_of_a_table_have_the_places_of_columns(source: Source) -> None:
    with pytest.raises(Invalid) as caught:
        written(source, STORED)

    faults = [(fault.pointer, fault.code) for fault in caught.value.faults]
    assert {("/columns/size/0", "wrong_type"), ("/columns/count/1", "not_finite"), ("/columns/flag/0", "wrong_type")} <= {
        *faults
    }
    assert "Row 0, column 'size'" in caught.value.detail


def test_a_table_without_a_column_is_refused_and_one_with_another_is_warned_of() -> None:
    with pytest.raises(Invalid) as caught:
        written(csv_source("size,flag,city,code\n1,1,Ulm,7\n"), STORED)
    warnings = warnings_of(written(csv_source(ONE[:1].with_columns(other=pl.lit("x")).write_csv()), STORED))

    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/columns", "missing_column")]
    assert [(warning["code"], warning["column"]) for warning in warnings] == [("extra_column", "other")]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (csv_source("size,count\n1,2,3\n"), InvalidData),
        (csv_source(b"size\n\xff\n"), InvalidData),
        (csv_source(""), InvalidData),
        (csv_source("size\n"), InvalidData),
        (csv_source("size\n" + "1\n" * 10_001), TooLarge),
    ],
)
def test_what_is_no_table_is_refused(source: Source, error: type[Exception]) -> None:
    with pytest.raises(error):
        written(source, files([NUMBER(name="size")]))


@pytest.mark.parametrize("cut", [0, 5, 40, 300, -8])
def test_half_an_arrow_stream_is_refused(cut: int) -> None:
    source = arrow_source(ONE)
    damaged = type(source)(body=source.body[:cut], read_table=source.read_table, limits=source.limits)
    if cut == -8:  # a stream may end without its mark
        assert written(damaged, STORED) == written(source, STORED)
        return
    with pytest.raises(InvalidData):
        written(damaged, STORED)


def compressed_stream(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer, compression="zstd")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("frame", "is_small"),
    [
        (pl.DataFrame({"size": [1.0] * 1000}), True),
        (pl.DataFrame({"size": [1.0] * 10_000}), False),
        (pl.DataFrame({"size": [None] * 70_000}, schema={"size": pl.Null}), False),
    ],
    ids=["few numbers", "many numbers", "cells without bytes"],
)
def test_an_arrow_table_is_as_large_as_what_it_unpacks_to(frame: pl.DataFrame, is_small: bool) -> None:
    body = compressed_stream(frame)

    source = TableSource(body=body, read_table=arrow_table, size=arrow_size, limits=Limits())

    assert len(body) < 16_384
    assert source.is_small is is_small


def test_of_a_damaged_arrow_table_there_is_little_to_read() -> None:
    assert arrow_size(compressed_stream(ONE)[:40]) == 0


@pytest.mark.parametrize("read_table", [arrow_table, csv_table])
def test_a_table_of_more_rows_than_a_call_may_have_is_refused_as_it_is_read(
    read_table: Callable[[bytes, Limits], Table],
) -> None:
    frame = pl.DataFrame({"size": [1.0] * 4})
    body = compressed_stream(frame) if read_table is arrow_table else frame.write_csv().encode()

    assert read_table(body, Limits(rows=4)).rows == 4
    with pytest.raises(Refused, match="There are more than 3 rows"):
        read_table(body, Limits(rows=3))


def test_arrow_columns_of_other_types_are_read_as_what_they_hold() -> None:
    frame = ONE.cast({"size": pl.Float32, "count": pl.UInt8, "city": pl.Categorical, "code": pl.Int8})
    row = {"size": float(np.float32(5.1)), "count": 3, "flag": True, "city": "Ulm", "code": 7}

    answer = written(arrow_source(frame[:1]), STORED)

    assert answer == written(json_source({"rows": [row]}), STORED)


def test_a_number_as_fp32_is_another_number_and_all_formats_agree_on_it() -> None:
    columns: list[FittedColumn] = [NUMBER(name="a", center=5.1, scale=1e7), NUMBER(name="b")]
    stored = files(columns)
    rounded = {"rows": [[float(np.float32(5.1)), float(np.float32(0.3))]]}
    features = {"name": "features", "datatype": "FP32", "shape": [1, 2], "data": [5.1, 0.3]}

    answer = written(infer := infer_source([features]), stored, infer_writer(infer))

    assert labels_and_probabilities(answer) == labels_and_probabilities(written(json_source(rounded), stored))
    assert labels_and_probabilities(answer) != labels_and_probabilities(written(json_source({"rows": [[5.1, 0.3]]}), stored))


@pytest.mark.parametrize(
    ("value", "outside"),
    [(0.0, False), (10.0, False), (20.0, False), (20.5, True), (-10.0, False), (-10.5, True), (1e29, True), (None, False)],
)
def test_a_value_beyond_the_seen_range_by_more_than_its_width_is_warned_of(value: float | None, outside: bool) -> None:
    rows = [{"size": 1.0, "count": 1, "flag": True, "city": "Ulm", "code": 7}]
    rows.append({**rows[0], "size": value})

    warnings = warnings_of(written(json_source({"rows": rows}), STORED))

    found = [(w["row"], w["column"]) for w in warnings if w["code"] == "outside_training_range"]
    assert found == ([(1, "size")] if outside else [])


def test_where_nothing_was_seen_nothing_is_outside() -> None:
    stored = files([NUMBER(name="a"), NumericColumn(name="b", type=StorageType.BOOL, kind="boolean", impute=0.0)])

    assert warnings_of(written(json_source({"rows": [[-1e30, True], [1e30, False]]}), stored)) == []


@pytest.mark.parametrize("value", [1e308, -1e200, 3e30])
def test_a_number_that_float32_makes_nothing_of_is_refused_at_its_place(value: float) -> None:
    stored = files([NUMBER(name="a", scale=0.5), NUMBER(name="b")])
    frame = pl.DataFrame({"a": [1.0, value], "b": [1.0, 2.0]})

    for source in (json_source({"rows": frame.to_dicts()}), csv_source(frame.write_csv()), arrow_source(frame)):
        with pytest.raises(Invalid) as caught:
            written(source, stored)
        [fault] = caught.value.faults
        assert fault.code == "not_finite"
        assert fault.pointer in {"/rows/1/a", "/columns/a/1"}
        assert "Row 1, column 'a': the number is too large for the network." in fault.detail


def test_a_number_that_is_ranked_clipped_or_not_used_may_be_of_any_size() -> None:
    stored = files([NUMBER(name="a", quantiles=[0.0, 1.0]), NUMBER(name="b", clip=3.0), NUMBER(name="c", scale=0.0)])

    answer = json.loads(written(json_source({"rows": [[1e308, -1e308, 1e308]]}), stored).body)

    assert np.isfinite(answer["probabilities"]).all()


def test_a_text_that_utf8_cannot_say_is_an_unseen_category() -> None:
    body = b'{"rows": [{"size": 1, "count": 1, "flag": true, "city": "\\ud800", "code": 7, "\\ud801": 1}]}'

    (extra, unseen) = warnings_of(written(type(json_source({}))(body), STORED))

    assert (extra["code"], unseen["code"], unseen["column"]) == ("extra_column", "unseen_category", "city")


def test_a_missing_text_is_not_the_level_that_is_empty() -> None:
    stored = files([TEXT(name="city", levels=["", "Ulm"])], LABELS)

    empty, none, unseen = (
        json.loads(written(json_source({"rows": [{"city": city}]}), stored, write_json).body)["probabilities"]
        for city in ("", None, "Oslo")
    )

    assert none == unseen
    assert empty != none


def test_a_whole_file_of_rows_is_as_the_rows_one_by_one() -> None:
    frame = pl.concat([ONE] * 700)
    buffer = io.BytesIO()
    frame.write_csv(buffer)

    whole = json.loads(written(csv_source(buffer.getvalue()), STORED).body)

    assert len(whole["predictions"]) == 1400
    few = json.loads(written(csv_source(ONE.write_csv()), STORED).body)
    np.testing.assert_allclose(whole["probabilities"][:2], few["probabilities"], rtol=1e-6)


def test_a_model_of_one_column_answers_a_row_for_each_line() -> None:
    answer = json.loads(written(csv_source("size\n1\n\n3\n"), files([NUMBER(name="size")])).body)

    assert len(answer["predictions"]) == 3
    assert [(warning["code"], warning["row"]) for warning in answer["warnings"]] == [("missing_value", 1)]
