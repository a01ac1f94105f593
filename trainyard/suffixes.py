"""What the end of a file's name says that it holds."""

from collections.abc import Mapping
from pathlib import Path

_STREAM, _FILE = "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file"
UPLOADED = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".arrow": _FILE,
    ".feather": _FILE,
    ".ipc": _FILE,
    ".arrows": _STREAM,
    ".npz": "application/x-npz",
}
PREDICTED = {".csv": "text/csv", ".arrow": _FILE, ".feather": _FILE, ".arrows": _STREAM, ".json": "application/json"}
WRITTEN = {".csv": "text/csv", ".arrows": _STREAM, ".json": "application/json"}
TABLES = frozenset(PREDICTED) - {".json"}
_COMPRESSED = (".gz", ".zst")


class Unfit(ValueError):
    """Raised when what a caller gives cannot be sent to a service, or not be kept in such a file; it says why."""


def of_suffix(file: Path, types: Mapping[str, str]) -> str:
    """What stands for the end of a file's name; Unfit where nothing does."""
    if file.suffix.lower() not in types:
        raise Unfit(f"{file.name} should end in {', '.join(types)}.")
    return types[file.suffix.lower()]


def of_upload(file: Path) -> str:
    """The content type of a file to be stored, which may be compressed."""
    try:
        return of_suffix(file.with_suffix("") if file.suffix.lower() in _COMPRESSED else file, UPLOADED)
    except Unfit as unfit:
        raise Unfit(f"{file.name} should end in {', '.join(UPLOADED)}, or its type be said.") from unfit


def refuse_other_format(file: Path, format: str) -> None:
    """Unfit where a file's name says that it holds something else than a table of a format."""
    suffix = file.suffix.lower()
    if suffix != f".{format}" and (suffix in UPLOADED or suffix in PREDICTED):
        raise Unfit(f"The batch prediction was made with the format {format}: {file.name} should end in .{format}.")
