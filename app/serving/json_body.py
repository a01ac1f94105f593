"""The JSON body of a prediction request: `rows` or `columns`, and which `outputs` are wanted."""

import json
from collections.abc import Mapping
from typing import NamedTuple, cast

import orjson

from app.domain.errors import Fault, Invalid, Unparsable, pointer
from app.domain.faults import MOST_FAULTS
from app.serving.features import Features
from app.serving.sent import BOTH, Asked, Sent, SentColumns, SentRows, Wanted

_FIELDS = frozenset({"rows", "columns", "outputs"})
_LIST, _OBJECT = "It should be a list.", "It should be an object."
# Places that are looked at before a body is taken for one with booleans.
_LOOKS = 32


# Bytes that are read in some milliseconds: not worth a thread, in which they would hold the interpreter as long.
SMALL = 2 * 1024 * 1024


class JsonSource(NamedTuple):
    """A request in JSON; `wanted` are the outputs that its query names, else the body may."""

    body: bytes
    wanted: Wanted | None = None

    @property
    def is_small(self) -> bool:
        """Whether reading it is not worth a thread."""
        return len(self.body) <= SMALL

    def read(self, features: Features) -> Asked:
        """What is asked; Unparsable, or Invalid where it is no request."""
        return asked_by(parse(self.body), booleans=may_hold_booleans(self.body), wanted=self.wanted)


def parse(body: bytes) -> object:
    """JSON in UTF-8, with NaN and infinities as Python's own parser takes them."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _leniently(body)


def _leniently(body: bytes) -> object:
    try:
        return json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise Unparsable("The body is not JSON.") from None


def may_hold_booleans(body: bytes) -> bool:
    """False only for a JSON text without true and false: a look at two letters is quicker than one at each cell's type."""
    return _has(body, b"true", b"u", 2) or _has(body, b"false", b"f", 0)


def _has(body: bytes, word: bytes, letter: bytes, place: int) -> bool:
    found = body.find(letter)
    for _ in range(_LOOKS):
        if found < 0:
            return False
        if body.startswith(word, found - place):
            return True
        found = body.find(letter, found + 1)
    return word in body


def asked_by(document: object, *, booleans: bool = True, wanted: Wanted | None = None) -> Asked:
    """What a parsed body asks for; Invalid with all that is wrong with its shape."""
    if not isinstance(document, dict):
        raise Invalid.at("", _OBJECT, code="wrong_type")
    unknown = [name for name in document if name not in _FIELDS][:MOST_FAULTS]
    if unknown:
        raise Invalid([Fault(pointer(name), "unknown_field", "There is no such field here.") for name in unknown])
    outputs = document.get("outputs")
    if wanted is not None and outputs is not None:
        raise Invalid.at("/outputs", "The query names them already.", code="not_allowed")
    return Asked(_sent(document, booleans), wanted or wanted_of(outputs, place="/outputs"))


def _sent(document: Mapping[str, object], booleans: bool) -> Sent:
    rows, columns = document.get("rows"), document.get("columns")
    if rows is not None and columns is not None:
        raise Invalid.at("/columns", "Send either `rows` or `columns`.", code="not_allowed")
    if rows is None and columns is None:
        raise Invalid.at("/rows", "Send `rows` or `columns`.", code="missing")
    if columns is not None:
        return SentColumns(_lists(columns), booleans)
    if not isinstance(rows, list):
        raise Invalid.at("/rows", _LIST, code="wrong_type")
    return SentRows(rows, booleans)


def _lists(columns: object) -> Mapping[str, list[object]]:
    if not isinstance(columns, dict):
        raise Invalid.at("/columns", _OBJECT, code="wrong_type")
    wrong = [name for name, values in columns.items() if not isinstance(values, list)][:MOST_FAULTS]
    if wrong:
        raise Invalid([Fault(pointer("columns", name), "wrong_type", _LIST) for name in wrong])
    return cast("Mapping[str, list[object]]", columns)


def wanted_of(outputs: object, *, place: str) -> Wanted:
    """The outputs that a list names; both where there is none."""
    if outputs is None:
        return BOTH
    if not isinstance(outputs, list):
        raise Invalid.at(place, _LIST, code="wrong_type")
    if not outputs:
        raise Invalid.at(place, "Name at least one.", code="empty")
    wrong = [number for number, name in enumerate(outputs) if not isinstance(name, str) or name not in BOTH][:MOST_FAULTS]
    if wrong:
        detail = "It should be `predictions` or `probabilities`."
        raise Invalid([Fault(_at(place, number), "not_allowed", detail) for number in wrong])
    return frozenset(outputs)


def _at(place: str, number: int) -> str:
    """Of a member of the body; a parameter of the query has no places in it."""
    return f"{place}/{number}" if place.startswith("/") else place
