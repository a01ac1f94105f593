"""A job's whole history as a file, written while it is read: CSV, JSON Lines or an Arrow stream."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Protocol

import orjson
import polars as pl

from app.domain.history import EpochColumns
from app.domain.numbers import column_to_json

# A message's metadata follows a mark and its length, four bytes each; a length of zero ends the stream.
_PREFIX, _MARK = 8, b"\xff\xff\xff\xff"
_END = _MARK + bytes(4)


class Writer(Protocol):
    """Writes pieces of a history in their order; `end` is what stands behind the last."""

    end: bytes

    def write(self, columns: EpochColumns) -> bytes:
        """The next piece."""


class Csv:
    """A header and a line for each epoch; a missing number is empty, what is none is NaN, inf or -inf, as readers expect."""

    end = b""

    def __init__(self, metrics: Sequence[str]) -> None:
        self._metrics = metrics
        self._is_first = True

    def write(self, columns: EpochColumns) -> bytes:
        """The next lines."""
        text = _frame(columns, self._metrics).write_csv(include_header=self._is_first)
        self._is_first = False
        return text.encode()


class JsonLines:
    """An object for each epoch, with the names and the numbers of the API's JSON."""

    end = b""

    def __init__(self, metrics: Sequence[str]) -> None:
        self._metrics = metrics

    def write(self, columns: EpochColumns) -> bytes:
        """The next lines."""
        return b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in self._lines(columns))

    def _lines(self, columns: EpochColumns) -> Iterator[dict[str, object]]:
        losses = (column_to_json(column) for column in (columns.train_loss, columns.val_loss, columns.learning_rate))
        metrics = zip(*(column_to_json(_metric(columns, name)) for name in self._metrics), strict=True)
        measured = metrics if self._metrics else [()] * len(columns)
        rows = zip(columns.epoch, *losses, columns.seconds, measured, strict=True)
        for epoch, train, val, rate, seconds, values in rows:
            named = dict(zip(self._metrics, values, strict=True))
            yield {
                "epoch": epoch,
                "train_loss": train,
                "val_loss": val,
                "learning_rate": rate,
                "seconds": seconds,
                "metrics": named,
            }


class Arrow:
    """One Arrow IPC stream: the schema once, then a batch for each piece."""

    end = _END

    def __init__(self, metrics: Sequence[str]) -> None:
        self._metrics = metrics
        self._is_first = True

    def write(self, columns: EpochColumns) -> bytes:
        """The next batch, without the marks of a stream of its own."""
        buffer = BytesIO()
        _frame(columns, self._metrics).write_ipc_stream(buffer)
        stream = buffer.getvalue().removesuffix(_END)
        schema = _PREFIX + int.from_bytes(stream[len(_MARK) : _PREFIX], "little")
        start = 0 if self._is_first else schema
        self._is_first = False
        return stream[start:]


def _frame(columns: EpochColumns, metrics: Sequence[str]) -> pl.DataFrame:
    floats: dict[str, Sequence[float | None]] = {
        "train_loss": columns.train_loss,
        "val_loss": columns.val_loss,
        "learning_rate": columns.learning_rate,
        "seconds": columns.seconds,
        **{name: _metric(columns, name) for name in metrics},
    }
    epoch = pl.Series("epoch", columns.epoch, dtype=pl.Int64)
    return pl.DataFrame([epoch, *(pl.Series(name, values, dtype=pl.Float64) for name, values in floats.items())])


def _metric(columns: EpochColumns, name: str) -> Sequence[float | None]:
    """A metric without any value is not among the columns."""
    return columns.metrics.get(name) or [None] * len(columns)
