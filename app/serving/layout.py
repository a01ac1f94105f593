"""What was sent, laid out as cells in the order of the model's features; what is missing or too much is told."""

from collections.abc import Callable, Sequence
from typing import cast

from app.domain.errors import Invalid, TooLarge, pointer
from app.serving.cells import ABSENT, BlockCells, Cells, ColumnCells, Row, RowCells, picker
from app.serving.findings import Findings
from app.serving.sent import Sent, SentArrays, SentBlock, SentColumns, SentRows, Values, count_rows


class Layout:
    """Lays out requests for features of these names."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._known = set(names)
        self._pick: Callable[[dict[str, object]], Row] = picker(names)

    def cells(self, sent: Sent, *, max_rows: int, findings: Findings) -> Cells:
        """The cells of a request.

        Raises:
            Invalid: no row at all, or a block of another width.
            TooLarge: more than `max_rows` rows.

        """
        _check_count(sent, max_rows)
        if isinstance(sent, SentRows):
            return self._from_rows(sent, findings)
        if isinstance(sent, SentColumns):
            return self._from_columns(sent, findings)
        return self._from_arrays(sent, findings) if isinstance(sent, SentArrays) else self._from_block(sent)

    def _from_rows(self, sent: SentRows, findings: Findings) -> Cells:
        def place(row: int, feature: int) -> str:
            by_name = isinstance(sent.rows[row], dict)
            return pointer("rows", row, self._names[feature] if by_name else feature)

        # Lists of the right length need no look at each row.
        if {*map(type, sent.rows)} == {list} and {*map(len, cast("list[list[object]]", sent.rows))} == {len(self._names)}:
            return RowCells(cast("list[Row]", sent.rows), place, sent.booleans)
        extra: dict[str, int | None] = {}
        rows = [self._row(number, row, extra=extra, findings=findings) for number, row in enumerate(sent.rows)]
        _warn_of_extra(extra, findings)
        return RowCells(rows, place, sent.booleans)

    def _row(self, number: int, row: object, *, extra: dict[str, int | None], findings: Findings) -> Row:
        if isinstance(row, dict):
            return self._named(number, row, extra=extra, findings=findings)
        if not isinstance(row, list):
            findings.fault(pointer("rows", number), "wrong_type", f"Row {number} is neither an object nor a list.")
        elif len(row) == len(self._names):
            return row
        else:
            detail = f"Row {number} has {len(row)} values; the model has {len(self._names)} features."
            findings.fault(pointer("rows", number), "wrong_length", detail)
        return [ABSENT] * len(self._names)

    def _named(self, number: int, row: dict[str, object], *, extra: dict[str, int | None], findings: Findings) -> Row:
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
                findings.fault(pointer("rows", number, name), "missing_column", detail)

    def _from_columns(self, sent: SentColumns, findings: Findings) -> Cells:
        def place(row: int, feature: int) -> str:
            return pointer("columns", self._names[feature], row)

        count = count_rows(sent)
        columns = [self._column(name, sent.columns.get(name), count=count, findings=findings) for name in self._names]
        _warn_of_extra(dict.fromkeys(sent.columns.keys() - self._known), findings)
        return RowCells(list(zip(*columns, strict=True)), place, sent.booleans)

    def _column(self, name: str, values: list[object] | None, *, count: int, findings: Findings) -> list[object]:
        if values is None:
            _fault_column(pointer("columns", name), name, findings)
        elif len(values) == count:
            return values
        else:
            detail = f"Column {name!r} has {len(values)} values; the longest has {count}."
            findings.fault(pointer("columns", name), "wrong_length", detail)
        return [ABSENT] * count

    def _from_arrays(self, sent: SentArrays, findings: Findings) -> Cells:
        def place(row: int, feature: int) -> str:
            return sent.pointer(self._names[feature], row)

        columns: list[Values] = []
        for name in self._names:
            if name not in sent.columns:
                _fault_column(sent.whole, name, findings)
            columns.append(sent.columns.get(name, [ABSENT] * sent.rows))
        _warn_of_extra(dict.fromkeys(sent.columns.keys() - self._known), findings)
        return ColumnCells(sent.rows, columns, place)

    def _from_block(self, sent: SentBlock) -> Cells:
        width = sent.values.shape[1]
        if width != len(self._names):
            detail = f"There are {width} values in a row; the model has {len(self._names)} features."
            raise Invalid.at(sent.whole, detail, code="wrong_length")
        return BlockCells(sent.values, sent.pointer)


def _check_count(sent: Sent, most: int) -> None:
    count = count_rows(sent)
    if count == 0:
        place = "/rows" if isinstance(sent, SentRows) else "/columns" if isinstance(sent, SentColumns) else sent.whole
        raise Invalid.at(place, "Send at least one row.", code="empty")
    if count > most:
        raise TooLarge(f"{count} rows were sent; one call predicts at most {most}.")


def _fault_column(place: str, name: str, findings: Findings) -> None:
    findings.fault(place, "missing_column", f"Column {name!r} is missing.")


def _warn_of_extra(extra: dict[str, int | None], findings: Findings) -> None:
    for name in sorted(extra):
        told = name.encode("utf-8", "replace").decode()  # JSON can say half a character and cannot be told it
        detail = f"Column {told!r} is not a feature of the model; it was ignored."
        findings.warn("extra_column", detail, row=extra[name], column=told)
