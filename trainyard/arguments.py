"""What the commands share: their options, the files they read, and how they end when something is wrong."""

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn, TextIO, TypeVar, cast

import typer

from trainyard.answers import Rows
from trainyard.sending import Given
from trainyard.suffixes import TABLES

T = TypeVar("T")

ID_WIDTH = len("job_") + 32
Url = Annotated[str, typer.Option(envvar="TRAINYARD_URL", help="Where the service is")]
Key = Annotated[str | None, typer.Option(envvar="TRAINYARD_API_KEY", help="The caller's key")]
File = Annotated[typer.FileText, typer.Argument(help="A JSON file, or - for standard input")]

STANDARD_INPUT = Path("-")


def _there(rows: Path) -> Path:
    """Typer's own `exists` and `allow_dash` take a Path - for a file."""
    if rows != STANDARD_INPUT and not rows.exists():
        raise typer.BadParameter(f"file '{rows}' does not exist.")
    return rows


RowsFile = Annotated[
    Path,
    typer.Argument(dir_okay=False, callback=_there, help="A JSON list of rows (- for standard input), or a CSV or Arrow file"),
]
To = Annotated[Path | None, typer.Option(help="Write the answer to a .csv, .arrows or .json file instead")]


def given(rows: Path) -> Given:
    """A table as it is, or the rows of a JSON file."""
    if rows.suffix.lower() in TABLES:
        return rows
    if rows == STANDARD_INPUT:
        return cast(Rows, parsed(sys.stdin, list))
    with rows.open(encoding="utf-8") as file:
        return cast(Rows, parsed(file, list))


def parsed(file: TextIO, type: type[T]) -> T:
    """The JSON in a file, which must be of that type."""
    try:
        value: object = json.load(file)
    except ValueError as error:
        fail(f"{file.name} is not JSON: {error}")
    if not isinstance(value, type):
        fail(f"{file.name} does not hold a JSON {'object' if type is dict else 'list'}.")
    return value


def fail(sentence: str) -> NoReturn:
    """Say it and end."""
    typer.echo(sentence, err=True)
    sys.exit(1)
