"""Opening an uploaded text file, plain, gzip or zstd, and reading its lines within the limits."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.tabular.encodings import decoded, no_text, no_utf8
from app.tabular.limits import MIB, Limits
from app.tabular.refusal import Refused

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
LONGEST_LINE = 64 * MIB
_LOOKED_AT = 4096
# 128 MiB, the window of `zstd --long` and of all that other programs read unasked: what a frame may ask for is memory.
_WINDOW_LOG = 27


class _Counted(io.RawIOBase):
    """Bytes of a stream, refused as soon as they are more than the limits allow."""

    def __init__(self, stream: io.BufferedIOBase, *, compressed: int | None, limits: Limits) -> None:
        self._stream, self._compressed, self._limits, self._read = stream, compressed, limits, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stub's Buffer has no length
        try:
            block = self._stream.read(len(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile, zstd.ZstdError):
            raise Refused.data("the compressed stream is damaged or ends early.") from None
        self._read += len(block)
        self._check()
        buffer[: len(block)] = block
        return len(block)

    def _check(self) -> None:
        if self._read > self._limits.inflated_bytes:
            raise Refused.size(f"the file inflates to more than {self._limits.inflated_bytes} bytes.")
        ratio = self._limits.inflation_ratio
        if self._compressed is not None and self._read > MIB and self._read > ratio * self._compressed:
            raise Refused.size(f"the file inflates to more than {ratio} times its size.")


@contextmanager
def open_text(path: Path, limits: Limits) -> Iterator["io.BufferedReader[Any]"]:
    """The uncompressed text of a file as UTF-8; gzip and zstd are known by their first bytes."""
    with path.open("rb") as source:
        stream = _inflated(source)
        compressed = None if stream is source else path.stat().st_size
        reader = io.BufferedReader(_Counted(stream, compressed=compressed, limits=limits), MIB)
        yield decoded(reader)


def _inflated(source: io.BufferedReader) -> io.BufferedIOBase:
    magic = source.peek(4)[:4]
    if magic == ZSTD:
        return zstd.ZstdFile(source, options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
    return gzip.GzipFile(fileobj=source) if magic[:2] == GZIP else source


def whole_lines(reader: io.BufferedIOBase, size: int) -> bytes:
    """At least `size` bytes up to the end of a line; all that is left at the end of the file."""
    block = reader.read(size)
    rest = reader.readline(LONGEST_LINE)
    if len(rest) == LONGEST_LINE:
        raise Refused.size(f"a line has more than {LONGEST_LINE} bytes.")
    return block + rest


def decoded_lines(reader: io.BufferedIOBase, before: int = 0) -> Iterator[str]:
    """The lines as text, line ends kept; refuses NUL and bytes that are not UTF-8, by line, `before` lines further down."""
    number = before
    while raw := reader.readline(LONGEST_LINE):
        number += 1
        if len(raw) == LONGEST_LINE:
            raise Refused.size(f"the line has more than {LONGEST_LINE} bytes.", line=number)
        if b"\0" in raw:
            raise no_text(raw, number)
        yield _decode(raw, number, reader)


def _decode(raw: bytes, number: int, behind: io.BufferedIOBase) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise no_utf8(error, behind.read(_LOOKED_AT), number) from None
