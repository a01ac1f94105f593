"""The log: one line an event, on standard output, with the request's or job's id in it."""

import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict


class _Output:
    """Standard output, of which a line may get lost: a disk that is full of logs must not end what they speak of."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stdout.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stdout.flush()


def configure_logs(level: str) -> None:
    """Call once at the start of a process; `level` is debug, info, warning or error."""
    colors = sys.stdout.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _printable,
            # The default draws every local variable: seconds of work, and values that are nobody's business.
            structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Output())),
    )


def _printable(logger: object, method: str, entry: EventDict) -> EventDict:
    """A path comes from a caller: whatever is in it, the terminal that shows the log has nothing to obey."""
    return {name: _escaped(value) if isinstance(value, str) else value for name, value in entry.items()}


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape", "surrogatepass").decode() for sign in text)
