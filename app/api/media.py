"""Which format an upload has, by its content type or its file's name."""

from fastapi import Request

from app.domain.errors import UnsupportedMediaType
from app.tabular.request import Format

JSON = "application/json"
MULTIPART = "multipart/form-data"
FORMATS: dict[str, Format] = {
    "text/csv": "csv",
    "application/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "application/vnd.apache.arrow.file": "arrow",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/x-npz": "npz",
    "application/zip": "npz",
}
_NAMES: dict[Format, tuple[str, ...]] = {
    "csv": ("csv",),
    "tsv": ("tsv",),
    "jsonl": ("jsonl", "ndjson"),
    "parquet": ("parquet",),
    "arrow": ("arrow", "arrows", "feather", "ipc"),
    "npz": ("npz",),
}
_SUFFIXES = {suffix: format for format, suffixes in _NAMES.items() for suffix in suffixes}
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "zstd"})
_HINT = f"Send {', '.join(FORMATS)}, {MULTIPART} or {JSON}."
_FILE_HINT = (
    f"What the part `file` holds is not known: let its name end in {', '.join(_SUFFIXES)}, or its type be {', '.join(FORMATS)}."
)


def media_type(header: str) -> str:
    """A content type without its parameters."""
    return header.partition(";")[0].strip().lower()


def is_json(header: str) -> bool:
    """Whether a content type says that the body is JSON."""
    type = media_type(header)
    return type == JSON or type.endswith("+json")


def check_encoding(request: Request) -> None:
    """Refuse encodings other than gzip and zstd, which are known by their bytes whether the header names them or not."""
    if request.headers.get("content-encoding", "").strip().lower() not in _ENCODINGS:
        raise UnsupportedMediaType("The content encoding must be gzip or zstd, or none.")


def format_of_body(type: str) -> Format:
    """The format of a raw body."""
    if type not in FORMATS:
        raise UnsupportedMediaType(_HINT)
    return FORMATS[type]


def format_of_file(filename: str, content_type: str) -> Format:
    """The format of a form's file: by its name, else by its content type."""
    suffix = filename.lower().removesuffix(".gz").removesuffix(".zst").rpartition(".")[2]
    format = _SUFFIXES.get(suffix) or FORMATS.get(media_type(content_type))
    if format is None:
        raise UnsupportedMediaType(_FILE_HINT)
    return format
