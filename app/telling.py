"""How every command tells what an operator has to change: in one line on standard error, never as a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from pydantic import ValidationError

from app.domain.errors import TrainyardError
from app.domain.mistakes import Mistake
from app.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError


@contextmanager
def telling() -> Iterator[None]:
    """Exit with 1 and a sentence where the block finds a mistake; anything else is a fault of ours and keeps its traceback."""
    try:
        yield
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        typer.echo(sentence, err=True)
        sys.exit(1)


def _sentence(error: Exception) -> str | None:
    if isinstance(error, Mistake | TrainyardError):
        return str(error)
    if isinstance(error, ValidationError) and error.title == Settings.__name__:
        return _of_settings(error)
    from sqlalchemy.exc import DataError, DBAPIError, IntegrityError  # takes a while

    if isinstance(error, DBAPIError) and not isinstance(error, DataError | IntegrityError):
        return _of_database(error)
    return None


def _of_settings(error: ValidationError) -> str:
    from app.domain.fault_words import code_and_sentence

    found = error.errors(include_input=False, include_url=False)
    return " ".join(f"TRAINYARD_{str(one['loc'][0]).upper()}: {code_and_sentence(one)[1]}" for one in found)


def _of_database(error: "DBAPIError") -> str:
    """In its own words, which have neither the URL nor what was bound to the statement."""
    said = " ".join(str(error.orig).partition("\nLINE ")[0].split())
    return f"The database cannot be used: {said.removesuffix('.')}. TRAINYARD_DATABASE_URL says where it is."
