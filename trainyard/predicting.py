"""Predictions from Python: rows, columns or a table in a file, asked of a job or of a model; the answer, or a table."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import httpx2

from trainyard.answers import Columns, Rows
from trainyard.connection import Connection

Output = Literal["predictions", "probabilities"]
Given = Rows | Columns | Path
"""What is to be predicted: rows, columns by name, or a file by its suffix: `.csv`, `.arrow` and `.arrows`, `.json`."""

_STREAM, _FILE = "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file"
_READ = {".csv": "text/csv", ".arrow": _FILE, ".feather": _FILE, ".arrows": _STREAM, ".json": "application/json"}
TABLES = frozenset(_READ) - {".json"}
_WRITTEN = {".csv": "text/csv", ".arrows": _STREAM, ".json": "application/json"}


class Predicting:
    """Asks one path of the service for predictions."""

    def __init__(self, connection: Connection, path: str, params: Mapping[str, str]) -> None:
        self._connection, self._path, self._params = connection, path, params

    def answer(self, given: Given, outputs: Sequence[Output] | None) -> httpx2.Response:
        """With the answer as JSON."""
        return self._ask(given, outputs, accept="application/json")

    def to_file(self, given: Given, file: Path, outputs: Sequence[Output] | None) -> Path:
        """With the answer in a file, a CSV, an Arrow stream or JSON by its suffix."""
        file.write_bytes(self._ask(given, outputs, accept=_of_suffix(file, _WRITTEN)).content)
        return file

    def _ask(self, given: Given, outputs: Sequence[Output] | None, *, accept: str) -> httpx2.Response:
        params: dict[str, str | list[str]] = {**self._params, **({"outputs": list(outputs)} if outputs else {})}
        json, content, type = _sent(given)
        return self._connection.post(self._path, json=json, content=content, content_type=type, params=params, accept=accept)


def _sent(given: Given) -> tuple[object, BinaryIO | None, str | None]:
    """As JSON, or as bytes of a type."""
    if isinstance(given, Path):
        return None, io.BytesIO(given.read_bytes()), _of_suffix(given, _READ)
    if isinstance(given, Mapping):
        return {"columns": {name: list(values) for name, values in given.items()}}, None, None
    return {"rows": list(given)}, None, None


def _of_suffix(file: Path, types: Mapping[str, str]) -> str:
    if file.suffix.lower() not in types:
        raise ValueError(f"{file.name} should end in {', '.join(types)}.")
    return types[file.suffix.lower()]
