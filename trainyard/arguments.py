"""What the commands share: their options, the files they read, and how they end when something is wrong."""

import json
import sys
from typing import Annotated, NoReturn, TypeVar

import typer

T = TypeVar("T")

ID_WIDTH = len("job_") + 32
Url = Annotated[str, typer.Option(envvar="TRAINYARD_URL", help="Where the service is")]
Key = Annotated[str | None, typer.Option(envvar="TRAINYARD_API_KEY", help="The caller's key")]
File = Annotated[typer.FileText, typer.Argument(help="A JSON file, or - for standard input")]


def parsed(file: typer.FileText, type: type[T]) -> T:
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
