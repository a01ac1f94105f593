"""The body of a prediction request, in its three forms, as rows of cells in the order of the model's features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from app.domain.alternatives import faults_of, told_as
from app.domain.errors import Invalid, TooLarge
from app.serving.findings import Findings

ABSENT: Final = object()
"""A cell that was not sent; the fault is noted already."""

Row = Sequence[object]


FORMS = {"rows": "PredictRows", "columns": "PredictColumns"}
_ROW = {"anyOf": [{"type": "object"}, {"type": "array", "items": {}}]}


class PredictBody(BaseModel):
    """`{"rows": [{column: value}]}`, `{"rows": [[value]]}` in the order of features, or `{"columns": {column: [value]}}`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=told_as(FORMS))

    rows: Annotated[list[object] | None, Field(json_schema_extra={"minItems": 1, "items": _ROW})] = None
    columns: Annotated[dict[str, list[object]] | None, Field(json_schema_extra={"minProperties": 1})] = None


@dataclass(frozen=True)
class Cells:
    """Rows in the order of the features, and where each cell stood in the request."""

    rows: list[Row]
    pointer: Callable[[int, int], str]
    """The JSON Pointer of (row, feature)."""


class CellReader:
    """Lays out requests for features of these names."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._known = set(names)
        self._pick: Callable[[dict[str, object]], Row] = picker(names)

    def read(self, body: PredictBody, *, max_rows: int, findings: Findings) -> Cells:
        """The cells of a request; what is missing or too much goes to `findings`.

        Raises:
            Invalid: neither or both of rows and columns, or no row at all.
            TooLarge: more than `max_rows` rows.

        """
        if wrong := [*faults_of(body, FORMS)]:
            raise Invalid(wrong)
        if body.rows is not None:
            _check_count(count_rows(body), "/rows", max_rows)
            return self._from_rows(body.rows, findings)
        _check_count(count_rows(body), "/columns", max_rows)
        return self._from_columns(body.columns or {}, findings)

    def _from_rows(self, sent: list[object], findings: Findings) -> Cells:
        def pointer(row: int, feature: int) -> str:
            by_name = isinstance(sent[row], dict)
            return f"/rows/{row}/{escape(self._names[feature]) if by_name else feature}"

        extra: dict[str, int] = {}
        rows = [self._row(number, row, extra=extra, findings=findings) for number, row in enumerate(sent)]
        _warn_of_extra(extra, findings)
        return Cells(rows, pointer)

    def _row(self, number: int, row: object, *, extra: dict[str, int], findings: Findings) -> Row:
        if isinstance(row, dict):
            return self._named(number, row, extra=extra, findings=findings)
        if not isinstance(row, list):
            findings.fault(f"/rows/{number}", "wrong_type", f"Row {number} is neither an object nor a list.")
        elif len(row) == len(self._names):
            return row
        else:
            detail = f"Row {number} has {len(row)} values; the model has {len(self._names)} features."
            findings.fault(f"/rows/{number}", "wrong_length", detail)
        return [ABSENT] * len(self._names)

    def _named(self, number: int, row: dict[str, object], *, extra: dict[str, int], findings: Findings) -> Row:
        if len(row) != len(self._names):
            for name in row.keys() - self._known:
                extra.setdefault(name, number)
        try:
            return self._pick(row)
        except KeyError:
            self._fault_absent(number, row, findings)
            return [row.get(name, ABSENT) for name in self._names]

    def _fault_absent(self, number: int, row: dict[str, object], findings: Findings) -> None:
        for name in self._names:
            if name not in row:
                detail = f"Row {number} has no value for column {name!r}."
                findings.fault(f"/rows/{number}/{escape(name)}", "missing_column", detail)

    def _from_columns(self, sent: dict[str, list[object]], findings: Findings) -> Cells:
        def pointer(row: int, feature: int) -> str:
            return f"/columns/{escape(self._names[feature])}/{row}"

        count = max(map(len, sent.values()))
        columns = [self._column(name, sent.get(name), count=count, findings=findings) for name in self._names]
        _warn_of_extra(dict.fromkeys(sent.keys() - self._known), findings)
        return Cells(list(zip(*columns, strict=True)), pointer)

    def _column(self, name: str, values: list[object] | None, *, count: int, findings: Findings) -> list[object]:
        if values is None:
            findings.fault(f"/columns/{escape(name)}", "missing_column", f"Column {name!r} is missing.")
        elif len(values) == count:
            return values
        else:
            detail = f"Column {name!r} has {len(values)} values; the longest has {count}."
            findings.fault(f"/columns/{escape(name)}", "wrong_length", detail)
        return [ABSENT] * count


def count_rows(body: PredictBody) -> int:
    """How many rows were sent."""
    if body.rows is not None:
        return len(body.rows)
    return max(map(len, (body.columns or {}).values()), default=0)


def picker(keys: Sequence[str] | Sequence[int]) -> Callable[[Any], Row]:
    """Takes the cells at `keys` from a row; raises KeyError where a named one is not there."""
    # itemgetter of one key gives the bare value.
    return itemgetter(*keys) if len(keys) > 1 else lambda row: (row[keys[0]],)


def escape(name: str) -> str:
    """A name as a reference token of a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _check_count(count: int, pointer: str, most: int) -> None:
    if count == 0:
        raise Invalid.at(pointer, "Send at least one row.", code="empty")
    if count > most:
        raise TooLarge(f"{count} rows were sent; one call predicts at most {most}.")


def _warn_of_extra(extra: dict[str, int] | dict[str, int | None], findings: Findings) -> None:
    for name in sorted(extra):
        findings.warn(
            "extra_column", f"Column {name!r} is not a feature of the model; it was ignored.", row=extra[name], column=name
        )
