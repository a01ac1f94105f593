"""Requests as bytes, and the labels and probabilities in an answer, in the forms that the servers have."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Answer = tuple[list[int], list[list[float]]]

_SPLIT = b"\r\n\r\n"
_HEADER_LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Form:
    """How rows are sent to a path, and what the answer's body says."""

    write: Callable[[str, Rows], bytes]
    read: Callable[[bytes, bytes], Answer]
    """Of the answer's head and body."""

    def answered(self, answer: bytes) -> Answer:
        """Of a whole answer."""
        head, _, body = answer.partition(_SPLIT)
        return self.read(head, body)


def post(path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """A request whose connection is kept."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _json(path: str, document: object) -> bytes:
    # As clients of requests and httpx write it.
    return post(path, json.dumps(document).encode(), {"Content-Type": "application/json"})


def _read_plain(_: bytes, body: bytes) -> Answer:
    document = orjson.loads(body)
    return document["predictions"], document["probabilities"]


def _read_mlflow(_: bytes, body: bytes) -> Answer:
    document = orjson.loads(body)["predictions"]
    return document["predictions"], document["probabilities"]


def _v2(path: str, rows: Rows) -> bytes:
    tensor = {"name": "features", "shape": rows.shape, "datatype": "FP64", "data": rows.ravel().tolist()}
    return _json(path, {"inputs": [tensor]})


def _v2_binary(path: str, rows: Rows) -> bytes:
    data = rows.astype("<f4").tobytes()
    tensor = {"name": "features", "shape": rows.shape, "datatype": "FP32", "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return post(path, head + data, {"Content-Type": "application/octet-stream", _HEADER_LENGTH: str(len(head))})


def _read_v2(_: bytes, body: bytes) -> Answer:
    outputs = {output["name"]: output for output in orjson.loads(body)["outputs"]}
    probabilities = np.array(outputs["probabilities"]["data"]).reshape(outputs["probabilities"]["shape"])
    return np.array(outputs["label"]["data"]).ravel().tolist(), probabilities.tolist()


def _read_v2_binary(head: bytes, body: bytes) -> Answer:
    lines = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
    place = int(lines[_HEADER_LENGTH.lower().encode()])
    found = {}
    for output in orjson.loads(body[:place])["outputs"]:
        size = output["parameters"]["binary_data_size"]
        dtype = {"INT64": "<i8", "FP32": "<f4"}[output["datatype"]]
        found[output["name"]] = np.frombuffer(body[place : place + size], dtype).reshape(output["shape"])
        place += size
    return found["label"].tolist(), found["probabilities"].tolist()


PLAIN = Form(lambda path, rows: _json(path, {"rows": rows.tolist()}), _read_plain)
MLFLOW = Form(lambda path, rows: _json(path, {"inputs": rows.tolist()}), _read_mlflow)
V2 = Form(_v2, _read_v2)
V2_BINARY = Form(_v2_binary, _read_v2_binary)
