"""The log: one line an event on standard output, ours and our libraries' alike, with the request's or job's id in it."""

import io
import json
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, ExcInfo, Processor

from app.domain.escaping import escaped

Format = Literal["auto", "console", "json"]


def _complete(logger: object, method: str, entry: EventDict) -> EventDict:
    """What every line has, the ids of request and job included; one step instead of three, for each request has a line."""
    structlog.contextvars.merge_contextvars(logger, method, entry)
    entry["level"] = _LEVELS.get(method, method)
    entry["timestamp"] = timestamp()
    return entry


def timestamp() -> str:
    """Now, as each line has it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


_LEVELS = {"warn": "warning", "exception": "error"}
_BEFORE: tuple[Processor, ...] = (_complete,)


class _Output:
    """Standard output, of which a line may get lost: a disk that is full of logs must not end what they speak of."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            try:
                sys.stdout.write(text)
            except UnicodeEncodeError:  # a terminal of few signs
                sys.stdout.write(text.encode("ascii", "backslashreplace").decode())
            sys.stdout.flush()

    def flush(self) -> None:
        """It is flushed already."""


class Lines:
    """Writes many events of level info at once and without a logger: one turn of the event loop has many requests."""

    def __init__(self) -> None:
        self.is_told = True
        self.after: Sequence[Processor] = ()

    def write(self, entries: Sequence[EventDict]) -> None:
        """Each entry has its event, level, timestamp and ids."""
        if self.is_told:
            _OUTPUT.write("".join([f"{self._line(entry)}\n" for entry in entries]))

    def _line(self, entry: EventDict) -> object:
        line: Any = entry
        for process in self.after:
            line = process(None, "info", line)
        return line


_OUTPUT = _Output()
lines = Lines()


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that configuring again finds it."""


def configure_logs(level: str, format: Format = "auto") -> None:
    """Call once at the start of a process; `level` is debug, info, warning or error; `auto` is JSON but on a terminal."""
    lines.after = after = _after(format)
    lines.is_told = logging.getLevelNamesMapping()[level.upper()] <= logging.INFO
    structlog.configure(
        processors=[*_BEFORE, *after],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _OUTPUT)),  # a print is two writes
    )
    _take_over(after)


def _after(format: Format) -> Sequence[Processor]:
    """From an event to its line."""
    if format == "json" or (format == "auto" and not sys.stdout.isatty()):
        # Tracebacks are text: structured ones would have every local variable in them.
        return (_as_json,)
    # The default draws every local variable: seconds of work, and values that are nobody's business.
    return (_printable, structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=_plain_traceback))


def _plain_traceback(output: TextIO, error: ExcInfo) -> None:
    """Lines of text; what an exception says may have a caller's words in it."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, error)
    output.write("\n".join(map(escaped, text.getvalue().split("\n"))))


def _take_over(after: Sequence[Processor]) -> None:
    """Libraries' loggers and Python's warnings write the same lines, from warnings on: below that they tell too much."""
    handler = _Handler(cast(TextIO, _OUTPUT))
    formatter = structlog.stdlib.ProcessorFormatter
    before = (structlog.stdlib.add_logger_name, *_BEFORE)
    handler.setFormatter(formatter(foreign_pre_chain=before, processors=[formatter.remove_processors_meta, *after]))
    root = logging.getLogger()
    root.handlers = [*(one for one in root.handlers if not isinstance(one, _Handler)), handler]
    root.setLevel(logging.WARNING)
    uvicorn = logging.getLogger("uvicorn")  # it has put its own handler in place before it loads us
    uvicorn.handlers, uvicorn.propagate = [], True
    pool = logging.getLogger("multiprocessing")  # billiard's too, and whoever asks for it cuts it off from the root
    pool.handlers, pool.propagate = [handler], False
    logging.captureWarnings(True)


def _as_json(logger: object, method: str, entry: EventDict) -> str:
    """In ASCII: whatever reads a line has neither half a character nor a control sign to deal with."""
    if "exc_info" not in entry and (plain := _plain(entry)):
        return plain
    entry = _printable(logger, method, entry)
    if "exc_info" in entry:
        entry = structlog.processors.format_exc_info(logger, method, entry)
    try:
        line = orjson.dumps(entry, default=repr)  # in a third of the time
    except TypeError:  # a number beyond 64 bits, half a character
        return json.dumps(entry, default=repr)
    return line.decode() if line.isascii() else json.dumps(entry, default=repr)


def _plain(entry: EventDict) -> str:
    """The line where there is nothing to escape in it, as in nearly all; else empty."""
    try:
        line = orjson.dumps(entry)
    except TypeError:
        return ""
    is_plain = line.isascii() and b"\\" not in line and b"\x7f" not in line
    return line.decode() if is_plain else ""


def _printable(logger: object, method: str, entry: EventDict) -> EventDict:
    """A path comes from a caller: whatever is in it, the terminal that shows the log has nothing to obey."""
    for name, value in entry.items():
        if isinstance(value, str) and not value.isprintable():
            entry[name] = escaped(value)  # the key is there, so the dictionary may be gone through
    return entry
