"""In which format a prediction's rows came, and in which its answer goes."""

from collections.abc import Callable

from app.api.accept import liked
from app.api.calls import Call
from app.api.media import FORMATS, JSON, is_json, media_type
from app.domain.errors import UnsupportedMediaType
from app.services.predictions import Source
from app.services.table_answers import ARROW, CSV, write_arrow, write_csv
from app.services.table_sources import TableSource, arrow_size, arrow_table, csv_table
from app.serving.json_body import JsonSource
from app.serving.sent import Wanted
from app.serving.told import Told, Written, write_json
from app.tabular.limits import Limits
from app.tabular.table import Table

ARROW_FILE = "application/vnd.apache.arrow.file"
READ = (JSON, CSV, ARROW, ARROW_FILE)
WRITERS: dict[str, Callable[[Told], Written]] = {JSON: write_json, CSV: write_csv, ARROW: write_arrow}
_TABLES: dict[str, tuple[Callable[[bytes, Limits], Table], Callable[[bytes], int]]] = {
    "csv": (csv_table, len),
    "arrow": (arrow_table, arrow_size),
}
_EVERYTHING = frozenset({b"", b"*/*", JSON.encode()})
_JSON = JSON.encode()


def source_of(call: Call, body: bytes, wanted: Wanted | None) -> Source:
    """A call's body, by the content type; UnsupportedMediaType for one that is not read here."""
    if call.headers.get(b"content-type") == _JSON:
        return JsonSource(body, wanted)
    type = call.header("content-type")
    if is_json(type):
        return JsonSource(body, wanted)
    table = _TABLES.get(FORMATS.get(media_type(type), ""))
    if table is None:
        raise UnsupportedMediaType(f"Send {', '.join(READ)}.")
    read_table, size = table
    return TableSource(body=body, read_table=read_table, size=size, limits=call.services.table_limits, wanted=wanted)


def writer_of(call: Call) -> Callable[[Told], Written]:
    """By what `Accept` likes most; JSON where it likes none of them."""
    if call.headers.get(b"accept", b"") in _EVERYTHING:
        return write_json
    return WRITERS[liked(call.header("accept"), tuple(WRITERS))]
