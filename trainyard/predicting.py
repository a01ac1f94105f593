"""Predictions from Python: rows, columns or a table in a file, asked of a job or of a model; the answer, or a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import httpx2

from trainyard.connection import Connection
from trainyard.sending import Given, sent
from trainyard.suffixes import WRITTEN, of_suffix

Output = Literal["predictions", "probabilities"]


class Predicting:
    """Asks one path of the service for predictions."""

    def __init__(self, connection: Connection, path: str, params: Mapping[str, str]) -> None:
        self._connection, self._path, self._params = connection, path, params

    def answer(self, given: Given, outputs: Sequence[Output] | None) -> httpx2.Response:
        """With the answer as JSON."""
        return self._ask(given, outputs, accept="application/json")

    def to_file(self, given: Given, file: Path | str, outputs: Sequence[Output] | None) -> Path:
        """With the answer in a file, a CSV, an Arrow stream or JSON by its suffix."""
        file = Path(file)
        file.write_bytes(self._ask(given, outputs, accept=of_suffix(file, WRITTEN)).content)
        return file

    def _ask(self, given: Given, outputs: Sequence[Output] | None, *, accept: str) -> httpx2.Response:
        params: dict[str, str | list[str]] = {**self._params, **({"outputs": list(outputs)} if outputs else {})}
        json, content, type = sent(given)
        return self._connection.post(self._path, json=json, content=content, content_type=type, params=params, accept=accept)
