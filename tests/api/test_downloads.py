"""A history as a file: every epoch, every bit and every kind of number, in whatever form, and however slowly it is taken."""

import asyncio
import csv
import io
import json
import math
from collections.abc import Callable, Mapping

import httpx2
import polars as pl
import pytest
from sqlalchemy import QueuePool

from app.domain.caller import Caller
from app.services.downloads import Csv
from app.services.history import Bodies, Histories, Overtaken
from app.services.pages import HistoryPage, Window, metrics_of
from app.services.samples import Samples
from app.services.sketches import Sketches
from app.services.watcher import Watcher
from tests.api.service import Service, Trained, pointers

METRICS = ["val_accuracy", "val_balanced_accuracy", "val_f1", "val_log_loss", "val_brier"]
NAMES = ["epoch", "train_loss", "val_loss", "learning_rate", "seconds", *METRICS]
WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
Row = list[object]


def plain(cell: object) -> object:
    """As text, so that NaN equals NaN and 1 is not 1.0."""
    return repr(WORDS.get(cell, cell) if isinstance(cell, str) else cell)


def rows_of_csv(content: bytes) -> list[Row]:
    header, *lines = csv.reader(io.StringIO(content.decode()))
    assert header == NAMES
    return [[int(epoch), *(float(cell) if cell else None for cell in cells)] for epoch, *cells in lines]


def rows_of_lines(content: bytes) -> list[Row]:
    lines = [json.loads(line) for line in content.splitlines()]
    return [[*(line[name] for name in NAMES[:5]), *(line["metrics"][name] for name in METRICS)] for line in lines]


def rows_of_arrow(content: bytes) -> list[Row]:
    frame = pl.read_ipc_stream(io.BytesIO(content))
    assert frame.schema == pl.Schema({name: pl.Float64 if name != "epoch" else pl.Int64 for name in NAMES})
    return [list(row) for row in frame.rows()]


FORMS: Mapping[str, Callable[[bytes], list[Row]]] = {
    "text/csv": rows_of_csv,
    "application/x-ndjson": rows_of_lines,
    "application/vnd.apache.arrow.stream": rows_of_arrow,
}
each_form = pytest.mark.parametrize("form", FORMS)


def download(service: Service, job: str, form: str, **params: int) -> httpx2.Response:
    return service.client.get(f"/v1/jobs/{job}/history", params=params, headers={"Accept": form})


def read(service: Service, job: str, form: str, **params: int) -> list[list[object]]:
    answer = download(service, job, form, **params)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, form)
    return [[plain(cell) for cell in row] for row in FORMS[form](answer.content)]


def pages(service: Service, job: str) -> list[list[object]]:
    """The same from the JSON pages."""
    rows: list[list[object]] = []
    after, more = 0, True
    while more:
        page = service.get(f"/v1/jobs/{job}/history", after=after, limit=10_000)
        nothing = [None] * len(page["epoch"])
        columns = [page[name] for name in NAMES[:5]] + [page["metrics"].get(name, nothing) for name in METRICS]
        rows += [[plain(cell) for cell in row] for row in zip(*columns, strict=True)]
        after, more = page["next"], page["has_more"]
    return rows


@pytest.fixture
def trained(service: Service) -> Trained:
    service.submit(epochs=30_000)
    worker = Trained(service)
    worker.train(1, 20_010, loss={3: math.nan, 10_000: math.inf, 10_001: -math.inf, 7: 1 / 3, 20_010: 1e-300})
    return worker


def test_every_form_has_every_epoch_to_the_last_bit(service: Service, trained: Trained) -> None:
    expected = pages(service, trained.job.id)

    assert len(expected) == 20_010
    assert [expected[epoch - 1][1] for epoch in (3, 10_000, 10_001)] == ["nan", "inf", "-inf"]
    for form in FORMS:
        found = read(service, trained.job.id, form)
        assert len(found) == len(expected)
        assert [pair for pair in zip(found, expected, strict=True) if pair[0] != pair[1]][:3] == []


@each_form
def test_a_file_may_be_of_a_range(small: Service, form: str) -> None:
    job = small.submit()["id"]
    Trained(small).train(1, 50)

    def epochs(**params: int) -> list[object]:
        return [row[0] for row in read(small, job, form, **params)]

    assert epochs(after=40) == [str(epoch) for epoch in range(41, 51)]
    assert epochs(before=31, every=10) == ["1", "10", "20", "30"]
    assert epochs(limit=3) == ["1", "2", "3"]
    assert epochs(after=2, limit=48) == [str(epoch) for epoch in range(3, 51)]


@each_form
def test_a_history_without_epochs_is_an_empty_file_of_that_form(small: Service, form: str) -> None:
    assert read(small, small.submit()["id"], form) == []


def test_a_job_without_validation_rows_has_no_metrics(small: Service) -> None:
    job = small.submit(split={"validation": 0})["id"]
    Trained(small).train(1, 1)

    csv = download(small, job, "text/csv").text
    line = json.loads(download(small, job, "application/x-ndjson").text)

    assert csv.splitlines() == ["epoch,train_loss,val_loss,learning_rate,seconds", "1,1.0,1.0,0.001,0.001"]
    assert line["metrics"] == {}


@each_form
def test_a_file_is_known_by_a_tag_of_its_own(small: Service, form: str) -> None:
    job = small.submit()["id"]
    Trained(small).train(1, 5)
    path = f"/v1/jobs/{job}/history"
    answer = download(small, job, form)

    def asked(tag: str, accept: str) -> int:
        return small.client.get(path, headers={"If-None-Match": tag, "Accept": accept}).status_code

    assert (answer.headers["vary"], asked(answer.headers["etag"], form)) == ("Accept", 304)
    assert asked(answer.headers["etag"], "application/json") == 200
    assert asked(small.client.get(path).headers["etag"], form) == 200
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{job}.')


@each_form
def test_a_file_is_never_a_sample(shared: Service, form: str) -> None:
    assert pointers(download(shared, shared.submit()["id"], form, max_points=100)) == ["max_points"]


def test_a_file_ends_where_the_job_stood_and_holds_nothing_between_two_pieces(service: Service) -> None:
    service.submit(epochs=30_000)
    worker = Trained(service)
    worker.train(1, 10_005)
    database = service.database
    samples = Samples(database, Sketches(database, limit_bytes=1))
    histories = Histories(database, Watcher(database, period=1), samples, Bodies(limit_bytes=1, size=len))

    async def take() -> bytes:
        page = await histories.page(Caller(), worker.job.id, Window(limit=1))
        assert isinstance(page, HistoryPage)
        pieces = histories.pieces(page.job, Window(limit=2**31 - 1), Csv(metrics_of(page.job)))
        first = await anext(pieces)
        assert isinstance(database.engine.pool, QueuePool)
        assert database.engine.pool.checkedout() == 0
        worker.train(10_006, 10_020)
        return first + b"".join([piece async for piece in pieces])

    assert [row[0] for row in rows_of_csv(asyncio.run(take()))] == list(range(1, 10_006))


@pytest.mark.parametrize("deleted", [True, False])
def test_a_file_that_cannot_be_whole_any_more_has_no_end(service: Service, deleted: bool) -> None:
    service.submit(epochs=30_000)
    worker = Trained(service)
    worker.train(1, 10_005)
    database = service.database
    samples = Samples(database, Sketches(database, limit_bytes=1))
    histories = Histories(database, Watcher(database, period=1), samples, Bodies(limit_bytes=1, size=len))

    async def take() -> bytes:
        page = await histories.page(Caller(), worker.job.id, Window(limit=1))
        assert isinstance(page, HistoryPage)
        pieces = histories.pieces(page.job, Window(limit=2**31 - 1), Csv(metrics_of(page.job)))
        first = await anext(pieces)
        if deleted:
            worker.finish()
            service.client.delete(f"/v1/jobs/{worker.job.id}")
        else:
            worker.crash()
            worker.claim()
        return first + b"".join([piece async for piece in pieces])

    with pytest.raises(Overtaken):
        asyncio.run(take())


def test_the_forms_stand_in_the_reference(shared: Service) -> None:
    answer = shared.get("/openapi.json")["paths"]["/v1/jobs/{job_id}/history"]["get"]["responses"]["200"]

    assert set(answer["content"]) == {"application/json", *FORMS}
