"""From an uploaded file, or from rows in a request, to typed Parquet and a description; a child process does the reading."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

import app
from app.domain.errors import Invalid, InvalidData, TooLarge, pointer
from app.domain.schema import Kind
from app.tabular.confinement import OUT_OF_MEMORY, OUT_OF_ROOM
from app.tabular.description import Description
from app.tabular.limits import Limits
from app.tabular.refusal import Refusal
from app.tabular.request import Format, IngestRequest, Outcome

ROOT = Path(app.__file__).parents[1]


def describe_upload(
    path: Path,
    *,
    format: Format,
    destination: Path,
    limits: Limits | None = None,
    kinds: Mapping[str, Kind] | None = None,
    missing: Sequence[str] | None = None,
) -> Description:
    """Reads an uploaded file, writes it to `destination` as typed Parquet in row order, and describes it.

    `kinds` and `missing` are the caller's words for columns and missing markers; None leaves both to the data.
    Blocks until the child process is done; nothing stands at `destination` when it raises.

    Raises InvalidData: the bytes are not the rows they claim to be; names line and column.
    Raises TooLarge: a limit is passed.
    Raises Invalid: `kinds` asks for what a column cannot be; the pointer is `/schema/<column>`.
    Raises OSError: the disk is full.
    """
    refusal_or_description = _read(path, format, destination, limits=limits, kinds=kinds, missing=missing)
    if isinstance(refusal_or_description, Description):
        return refusal_or_description
    raise error_of(refusal_or_description)


def describe_rows(
    *,
    destination: Path,
    rows: Sequence[Mapping[str, object]] | None = None,
    columns: Mapping[str, Sequence[object]] | None = None,
    limits: Limits | None = None,
    kinds: Mapping[str, Kind] | None = None,
    missing: Sequence[str] | None = None,
) -> Description:
    """As `describe_upload`, for the rows or the columns of a JSON body; exactly one of the two.

    Raises Invalid: with a pointer such as `/rows/3/age` or `/columns/age/3`.
    Raises TooLarge: a limit is passed.
    """
    with tempfile.TemporaryDirectory(dir=destination.parent) as folder:
        path = Path(folder) / "rows.jsonl"
        rows_to_upload(path, rows=rows, columns=columns)
        found = _read(path, "jsonl", destination, limits=limits, kinds=kinds, missing=missing)
    if isinstance(found, Description):
        return found
    raise _error_in_body(found, "rows" if columns is None else "columns")


def rows_to_upload(
    path: Path, *, rows: Sequence[Mapping[str, object]] | None = None, columns: Mapping[str, Sequence[object]] | None = None
) -> None:
    """Writes rows or columns of a JSON body as JSON Lines.

    Raises Invalid: for columns of different lengths.
    """
    if columns is not None:
        rows = _transposed(columns)
    with path.open("wb") as file:
        for number, row in enumerate(rows or ()):
            try:
                file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            except TypeError:
                place = pointer("rows", number) if columns is None else _column_of(row, number)
                raise Invalid.at(place, "A whole number is beyond 64 bits.") from None


def _column_of(row: Mapping[str, object], number: int) -> str:
    """Where the whole number beyond 64 bits stood in a body of columns."""
    names = [name for name, cell in row.items() if isinstance(cell, int) and cell.bit_length() >= 64]
    return pointer("columns", names[0], number) if names else pointer("columns")


def _transposed(columns: Mapping[str, Sequence[object]]) -> list[dict[str, object]]:
    lengths = {name: len(cells) for name, cells in columns.items()}
    for name, length in lengths.items():
        first = next(iter(lengths))
        if length != lengths[first]:
            raise Invalid.at(pointer("columns", name), f"{length} cells stand here, {lengths[first]} in {first!r}.")
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _read(
    path: Path,
    format: Format,
    destination: Path,
    *,
    limits: Limits | None,
    kinds: Mapping[str, Kind] | None,
    missing: Sequence[str] | None,
) -> Description | Refusal:
    request = IngestRequest(
        source=path,
        format=format,
        destination=destination,
        limits=limits or Limits(),
        kinds=dict(kinds or {}),
        missing=None if missing is None else list(missing),
    )
    outcome = None
    try:
        outcome = _child(request)
    finally:
        if outcome is None or outcome.description is None:
            destination.unlink(missing_ok=True)
    found = outcome.description or outcome.refusal
    assert found is not None
    return found


def _child(request: IngestRequest) -> Outcome:
    """Runs the reading process; the ways in which it can die are refusals too."""
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": search, "POLARS_MAX_THREADS": "2"}
    command = [sys.executable, "-m", "app.tabular.reader"]
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter and module; what the caller sent travels as data
            command,
            input=request.model_dump_json().encode(),
            capture_output=True,
            env=environment,
            timeout=request.limits.seconds,
        )
    except subprocess.TimeoutExpired:
        return _too_large(f"reading the file takes more than {request.limits.seconds:g} seconds.")
    if done.returncode in (OUT_OF_MEMORY, -signal.SIGABRT, -signal.SIGKILL):  # Rust aborts, Linux kills for want of memory
        return _too_large(f"reading the file takes more than {request.limits.memory_bytes} bytes of memory.")
    if done.returncode == OUT_OF_ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if done.returncode < 0:
        return Outcome(refusal=Refusal(code="invalid_data", detail="the file cannot be read."))
    if done.returncode:
        raise RuntimeError(f"the reading process ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
    return Outcome.model_validate_json(done.stdout)


def _too_large(detail: str) -> Outcome:
    return Outcome(refusal=Refusal(code="too_large", detail=detail))


def error_of(refusal: Refusal) -> InvalidData | TooLarge | Invalid:
    """A refusal as the API tells it."""
    if refusal.code == "too_large":
        return TooLarge(refusal.sentence())
    if refusal.code == "invalid":
        return Invalid.at(pointer("schema", refusal.column or ""), refusal.sentence())
    return InvalidData(refusal.sentence())


def _error_in_body(refusal: Refusal, member: str) -> InvalidData | TooLarge | Invalid:
    """The same with a pointer into the body, whose rows were written one a line."""
    if refusal.code != "invalid_data":
        return error_of(refusal)
    row = None if refusal.line is None else refusal.line - 1
    places = [row, refusal.column] if member == "rows" else [refusal.column, row]
    found = [place for place in places if place is not None]
    return Invalid.at(pointer(member, *found), refusal.model_copy(update={"line": None, "row": row}).sentence())
