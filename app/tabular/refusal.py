"""Why an upload is refused, as the reading process tells it to the process that asked."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Code = Literal["invalid_data", "too_large", "invalid"]


class Refusal(BaseModel):
    """What is wrong and where; `detail` never holds a value of the data.

    `line` counts from 1 as an editor does, `row` from 0 as a program does; `column` is a name.
    """

    model_config = ConfigDict(frozen=True)

    code: Code
    detail: str
    line: int | None = None
    row: int | None = None
    column: str | None = None

    def sentence(self) -> str:
        """The refusal with its place in front, for people."""
        places = [f"line {self.line}" if self.line is not None else f"row {self.row}" if self.row is not None else ""]
        places.append(f"column {self.column!r}" if self.column is not None else "")
        place = ", ".join(filter(None, places))
        return f"{place[0].upper()}{place[1:]}: {self.detail}" if place else self.detail[0].upper() + self.detail[1:]


class Refused(Exception):
    """Raised when an upload cannot become a dataset; carries the refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.sentence())
        self.refusal = refusal

    @classmethod
    def data(cls, detail: str, *, line: int | None = None, row: int | None = None, column: str | None = None) -> "Refused":
        """The bytes are not the rows they claim to be."""
        return cls(Refusal(code="invalid_data", detail=detail, line=line, row=row, column=column))

    @classmethod
    def size(cls, detail: str, *, line: int | None = None, row: int | None = None, column: str | None = None) -> "Refused":
        """A limit is passed."""
        return cls(Refusal(code="too_large", detail=detail, line=line, row=row, column=column))
