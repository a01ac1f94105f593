"""What is kept in memory: within its bytes, and only what stays true."""

import asyncio

from app.api.history import history_json
from app.domain.caller import Caller
from app.services.history import Bodies, Histories
from app.services.pages import HistoryPage, Window
from app.services.remembered import Remembered
from app.services.samples import Samples
from app.services.sketches import Sketches
from app.services.watcher import Watcher
from tests.api.service import Service, Trained


def test_the_least_recently_used_gives_way() -> None:
    kept = Remembered[str, bytes](limit_bytes=10, size=len)
    for key in ("a", "b", "c"):
        kept.put(key, b"1234")
        kept.get("a")

    assert [kept.get(key) for key in ("a", "b", "c")] == [b"1234", None, b"1234"]


def test_the_newest_stays_however_large_it_is() -> None:
    kept = Remembered[str, bytes](limit_bytes=10, size=len)
    kept.put("a", b"1")
    kept.put("b", b"12345678901")

    assert (kept.get("a"), kept.get("b")) == (None, b"12345678901")
    kept.forget("b")
    assert kept.get("b") is None


def test_values_that_grew_count_as_they_are() -> None:
    kept = Remembered[str, bytearray](limit_bytes=10, size=len)
    grown = kept.put("a", bytearray(1))
    kept.put("b", bytearray(1))
    grown.extend(bytes(20))
    kept.put("a", grown)

    assert (kept.get("a"), kept.get("b")) == (grown, None)


def test_what_was_dropped_or_replaced_counts_no_more() -> None:
    kept = Remembered[str, bytes](limit_bytes=10, size=len)
    for _ in range(9):
        kept.put("a", b"123456")
    kept.put("b", b"1234")
    kept.forget("b")
    kept.put("c", b"1234")

    assert (kept.get("a"), kept.get("c")) == (b"123456", b"1234")


def test_only_pages_of_a_job_that_is_over_are_kept(service: Service) -> None:
    job = service.submit()["id"]
    worker = Trained(service)
    worker.train(1, 10)
    database = service.database
    samples = Samples(database, Sketches(database, limit_bytes=1))
    histories = Histories(database, Watcher(database, period=1), samples, Bodies(limit_bytes=2**20, size=len))

    def epochs_read() -> int:
        page = asyncio.run(histories.page(Caller(), job, Window(), write=history_json))
        assert isinstance(page, HistoryPage)
        assert b'"epoch":[1,2' in page.body
        return len(page.columns)

    living = [epochs_read(), epochs_read()]
    worker.finish()

    assert (living, [epochs_read(), epochs_read()]) == ([10, 10], [10, 0])
