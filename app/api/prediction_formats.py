"""In which format a prediction's rows came, and in which its answer goes."""

from collections.abc import Callable

from app.api.accept import liked
from app.api.calls import Call
from app.api.media import FORMATS, JSON, media_type
from app.domain.errors import UnsupportedMediaType
from app.services.predictions import Source
from app.services.table_answers import ARROW, CSV, write_arrow, write_csv
from app.services.table_sources import TableSource, arrow_table, csv_table
from app.serving.json_body import JsonSource
from app.serving.sent import Wanted
from app.serving.told import Told, Written, write_json

ARROW_FILE = "application/vnd.apache.arrow.file"
READ = (JSON, CSV, ARROW, ARROW_FILE)
WRITERS: dict[str, Callable[[Told], Written]] = {JSON: write_json, CSV: write_csv, ARROW: write_arrow}
_TABLES = {"csv": csv_table, "arrow": arrow_table}
_EVERYTHING = frozenset({b"", b"*/*", JSON.encode()})
_JSON = JSON.encode()


async def source_of(call: Call, wanted: Wanted | None) -> Source:
    """By the content type; UnsupportedMediaType for one that is not read here."""
    if call.headers.get(b"content-type") == _JSON:
        return JsonSource(await call.body(), wanted)
    type = media_type(call.header("content-type"))
    if type == JSON or type.endswith("+json"):
        return JsonSource(await call.body(), wanted)
    read_table = _TABLES.get(FORMATS.get(type, ""))
    if read_table is None:
        raise UnsupportedMediaType(f"Send {', '.join(READ)}.")
    body, limits = await call.body(), call.services.table_limits
    return TableSource(body=body, read_table=read_table, limits=limits, wanted=wanted)


def writer_of(call: Call) -> Callable[[Told], Written]:
    """By what `Accept` likes most; JSON where it likes none of them."""
    if call.headers.get(b"accept", b"") in _EVERYTHING:
        return write_json
    return WRITERS[liked(call.header("accept"), tuple(WRITERS))]
