"""The encodings of uploaded text: UTF-8 and UTF-16 are read; what is another is told from what is no text."""

import codecs
import io
from typing import Any

from app.tabular.limits import MIB
from app.tabular.refusal import Refused

BOM = b"\xef\xbb\xbf"
UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
UTF32 = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
_BINARY = {b"PAR1": "a Parquet file", b"ARRO": "an Arrow file", b"PK\x03\x04": "a zip archive"}
_HIGH = bytes(range(128, 256))
# Windows-1252 has a character for every byte but these; texts have none of these controls.
_NEVER_IN_LATIN = bytes({*range(32), 0x7F, 0x81, 0x8D, 0x8F, 0x90, 0x9D} - set(b"\t\n\r\x0c"))


class Transcoded(io.RawIOBase):
    """UTF-16 without its byte order mark, as UTF-8."""

    def __init__(self, stream: io.BufferedIOBase, encoding: str) -> None:
        self._stream, self._encoding, self._line = stream, encoding, 1
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._left = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stub's Buffer has no length
        """As io.RawIOBase has it; Refused where the bytes are no UTF-16."""
        more = True
        while more and not self._left:
            raw = self._stream.read(MIB)
            self._left, more = self._utf8(raw), bool(raw)
        piece, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def _utf8(self, raw: bytes) -> bytes:
        try:
            text = self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            line = self._line + error.object[: error.start].decode(self._encoding, "ignore").count("\n")
            raise Refused.data("this is not UTF-16, as the file's first bytes say.", line=line) from None
        self._line += text.count("\n")
        return text.encode()


def decoded(reader: "io.BufferedReader[Any]") -> "io.BufferedReader[Any]":
    """The text as UTF-8, without a byte order mark.

    Raises Refused: for UTF-32.
    """
    start = reader.peek(4)[:4]
    if start in UTF32:
        raise Refused.data("this is UTF-32; save the file as UTF-8.")
    if encoding := UTF16.get(start[:2]):
        reader.read(2)
        return io.BufferedReader(Transcoded(reader, encoding), MIB)
    if start[:3] == BOM:
        reader.read(3)
    return reader


def no_text(raw: bytes, number: int) -> Refused:
    """The refusal of a line with a NUL."""
    found = f"byte {raw.index(0) + 1} is NUL"
    if number == 1 and raw[:4] in _BINARY:
        return Refused.data(f"{found}; this is {_BINARY[raw[:4]]}, not text: send it with its own content type.", line=number)
    if 2 * max(raw[::2].count(0), raw[1::2].count(0)) > 0.8 * len(raw):
        return Refused.data(f"{found}; this looks like UTF-16 without a byte order mark: save the file as UTF-8.", line=number)
    return Refused.data(f"{found}; the file is not text.", line=number)


def no_utf8(error: UnicodeDecodeError, behind: bytes, number: int) -> Refused:
    """The refusal of a line that is not UTF-8; some bytes behind it help to tell what it is.

    Other encodings are not guessed at: those of one byte a character look alike, and a wrong guess would change words silently.
    """
    found = f"byte {error.start + 1} is not UTF-8"
    if _is_latin(error.object + behind):
        cure = "save the file as UTF-8, for example with iconv -f WINDOWS-1252 -t UTF-8."
        return Refused.data(f"{found}; the text looks like Latin-1 or Windows-1252: {cure}", line=number)
    return Refused.data(f"{found}, and this is not text in another encoding either.", line=number)


def _is_latin(raw: bytes) -> bool:
    """True for bytes without controls of which at least half is ASCII."""
    return len(raw.translate(None, _NEVER_IN_LATIN)) == len(raw) and 2 * len(raw.translate(None, _HIGH)) >= len(raw)
