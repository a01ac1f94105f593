"""The same rows in every format that a prediction takes, and answers read back out of every format that it gives."""

import io
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.services.predictions import Source
from app.services.table_sources import TableSource, arrow_table, csv_table
from app.serving.told import Told, Written, write_json
from app.serving.v2.answer import write_answer
from app.serving.v2.source import InferSource
from app.tabular.limits import Limits
from tests.serving.asking import json_source

Row = Mapping[str, object]
NUMPY = {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8", "BOOL": "?"}


def csv_source(text: str | bytes, **more: Any) -> TableSource:
    body = text.encode() if isinstance(text, str) else text
    return TableSource(body=body, read_table=csv_table, limits=Limits(), **more)


def arrow_source(frame: pl.DataFrame, *, file: bool = False, **more: Any) -> TableSource:
    buffer = io.BytesIO()
    frame.write_ipc(buffer) if file else frame.write_ipc_stream(buffer)
    return TableSource(body=buffer.getvalue(), read_table=arrow_table, limits=Limits(), **more)


def infer_source(inputs: Sequence[dict[str, Any]], **more: Any) -> InferSource:
    """In JSON."""
    return InferSource(json.dumps({"inputs": inputs, **more}).encode(), header_length=None)


def binary_source(inputs: Sequence[tuple[dict[str, Any], bytes]], **more: Any) -> InferSource:
    """Each input with the bytes that stand behind the JSON."""
    declared = [{**put, "parameters": {"binary_data_size": len(data)}} for put, data in inputs]
    head = json.dumps({"inputs": declared, **more}).encode()
    return InferSource(head + b"".join(data for _, data in inputs), header_length=len(head))


def texts(values: Sequence[object]) -> bytes:
    """As elements of BYTES."""
    encoded = [str(value).encode() for value in values]
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)


def in_every_format(frame: pl.DataFrame, datatypes: Mapping[str, str]) -> dict[str, Source]:
    """Rows whose cells every format can carry; `datatypes` are the protocol's, by column."""
    records, columns = frame.to_dicts(), frame.to_dict(as_series=False)
    shape = [len(frame), 1]
    declared = [{"name": name, "datatype": type, "shape": shape} for name, type in datatypes.items()]
    sent = [_sent(frame[name], type) for name, type in datatypes.items()]
    return {
        "rows": json_source({"rows": records}),
        "lists": json_source({"rows": [[row[name] for name in datatypes] for row in records]}),
        "columns": json_source({"columns": columns}),
        "CSV": csv_source(frame.write_csv()),
        "an Arrow stream": arrow_source(frame),
        "an Arrow file": arrow_source(frame, file=True),
        "V2 JSON": infer_source([{**put, "data": list(values)} for put, (values, _) in zip(declared, sent, strict=True)]),
        "V2 binary": binary_source([(put, data) for put, (_, data) in zip(declared, sent, strict=True)]),
    }


def _sent(series: pl.Series, datatype: str) -> tuple[Sequence[object], bytes]:
    """A missing text is empty, a missing number NaN."""
    if datatype == "BYTES":
        words = series.cast(pl.String).fill_null("").to_list()
        return words, texts(words)
    values = series.fill_null(float("nan")) if datatype.startswith("FP") else series
    array: NDArray[Any] = values.to_numpy().astype(NUMPY[datatype])
    return array.tolist(), array.tobytes()


Writer = Callable[[Told], Written]


def read_answer(written: Written) -> dict[str, NDArray[Any]]:
    """Label and probabilities of an inference answer."""
    length = int(written.headers.get("Inference-Header-Content-Length", len(written.body)))
    head, data = json.loads(written.body[:length]), written.body[length:]
    found = {}
    for output in head["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        values = output["data"] if size is None else _values(output["datatype"], data[:size])
        found[output["name"]] = np.array(values, dtype=NUMPY.get(output["datatype"], object)).reshape(output["shape"])
        data = data[size or 0 :]
    assert data == b""
    return found


def _values(datatype: str, data: bytes) -> Sequence[object]:
    if datatype != "BYTES":
        return cast(Sequence[object], np.frombuffer(data, NUMPY[datatype]))
    found: list[object] = []
    while data:
        (size,) = struct.unpack_from("<I", data)
        found.append(data[4 : 4 + size].decode())
        data = data[4 + size :]
    return found


def infer_writer(source: Source) -> Writer:
    """What writes the answer to a request of the protocol; to others the JSON."""
    if not isinstance(source, InferSource):
        return write_json
    return lambda told: partial(write_answer, model="m")(told, source.request)


def labels_and_probabilities(written: Written) -> tuple[list[object], list[list[float]]]:
    """Out of either."""
    document = json.loads(written.body[: int(written.headers.get("Inference-Header-Content-Length", len(written.body)))])
    if "predictions" in document:
        return document["predictions"], document["probabilities"]
    found = read_answer(written)
    return found["label"].tolist(), found["probabilities"].astype(np.float64).tolist()


def warnings_of(written: Written) -> list[dict[str, Any]]:
    """Out of either."""
    document = json.loads(written.body[: int(written.headers.get("Inference-Header-Content-Length", len(written.body)))])
    if "predictions" in document:
        return cast(list[dict[str, Any]], document["warnings"])
    return cast(list[dict[str, Any]], json.loads(document["parameters"].get("warnings", "[]")))
