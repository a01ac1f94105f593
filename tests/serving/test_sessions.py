"""The cache of checkpoints in memory: loaded once, bounded, least recently used first out."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from app.domain.errors import NotFound
from app.serving.sessions import SESSION_BYTES, Sessions, load
from tests.serving.checkpoints import NUMBER, Files, files

COLUMNS = [NUMBER(name="length")]


def reading(stored: Files, checkpoint_id: str) -> Callable[[str], bytes]:
    return lambda file: stored.read(checkpoint_id, file)


def test_a_checkpoint_is_read_once() -> None:
    stored, sessions = files(COLUMNS), Sessions(limit_bytes=10**9)

    first = sessions.get("ckpt_1", reading(stored, "ckpt_1"))
    second = sessions.get("ckpt_1", reading(stored, "ckpt_1"))

    assert first is second is sessions.peek("ckpt_1")
    assert sorted(stored.reads) == ["ckpt_1/model.json", "ckpt_1/model.onnx"]


def test_threads_that_ask_at_the_same_time_load_once() -> None:
    stored, sessions, barrier = files(COLUMNS), Sessions(limit_bytes=10**9), Barrier(8)

    def ask(_: int) -> object:
        barrier.wait(timeout=10)
        return sessions.get("ckpt_1", reading(stored, "ckpt_1"))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))

    assert len({id(ready) for ready in found}) == 1
    assert len(stored.reads) == 2


def test_peeking_never_loads() -> None:
    assert Sessions(limit_bytes=10**9).peek("ckpt_1") is None


def test_the_least_recently_used_checkpoint_gives_way() -> None:
    stored = files(COLUMNS)
    one = load(stored.content.__getitem__).bytes
    sessions = Sessions(limit_bytes=2 * one)
    for checkpoint_id in ("ckpt_1", "ckpt_2"):
        sessions.get(checkpoint_id, reading(stored, checkpoint_id))
    sessions.peek("ckpt_1")

    sessions.get("ckpt_3", reading(stored, "ckpt_3"))

    assert [sessions.peek(f"ckpt_{number}") is not None for number in (1, 2, 3)] == [True, False, True]


def test_a_checkpoint_larger_than_the_limit_is_served_and_kept_alone() -> None:
    stored, sessions = files(COLUMNS), Sessions(limit_bytes=1)

    for checkpoint_id in ("ckpt_1", "ckpt_2"):
        assert sessions.get(checkpoint_id, reading(stored, checkpoint_id)).bytes > SESSION_BYTES

    assert sessions.peek("ckpt_1") is None
    assert sessions.peek("ckpt_2") is not None


def test_a_failed_load_is_told_and_tried_again() -> None:
    stored, sessions = files(COLUMNS), Sessions(limit_bytes=10**9)

    def missing(file: str) -> bytes:
        raise NotFound("checkpoint", "ckpt_1")

    with pytest.raises(NotFound):
        sessions.get("ckpt_1", missing)

    assert sessions.get("ckpt_1", reading(stored, "ckpt_1")) is not None


def test_a_forgotten_checkpoint_is_loaded_anew() -> None:
    stored, sessions = files(COLUMNS), Sessions(limit_bytes=10**9)
    sessions.get("ckpt_1", reading(stored, "ckpt_1"))

    sessions.forget("ckpt_1")
    sessions.forget("ckpt_unknown")

    assert sessions.peek("ckpt_1") is None
