"""Compressed bodies of many members: each is read once, and there are not too many."""

import asyncio
import gzip
import zlib
from threading import get_ident
from types import SimpleNamespace
from typing import cast

import pytest

from app.api.calls import Call
from app.api.inflated import MOST_MEMBERS, inflated
from app.api.services import Services
from app.domain.caller import Caller
from app.domain.errors import TooLarge, Unparsable

LIMIT = 1 << 20
EMPTY = gzip.compress(b"", mtime=0)
# Random enough that a member takes several pieces.
LARGE = bytes(zlib.crc32(number.to_bytes(4)) % 256 for number in range(300_000))


def test_members_are_read_one_after_the_other() -> None:
    body = gzip.compress(b"one,", mtime=0) + gzip.compress(LARGE, mtime=0) + EMPTY + gzip.compress(b",two", mtime=0)

    assert inflated(body, b"gzip", LIMIT) == b"one," + LARGE + b",two"


def test_as_many_members_as_may_be_are_read() -> None:
    assert inflated(gzip.compress(b"x", mtime=0) * MOST_MEMBERS, b"gzip", LIMIT) == b"x" * MOST_MEMBERS


@pytest.mark.parametrize(("member", "encoding"), [(EMPTY, b"gzip"), (zlib.compress(b""), b"deflate")], ids=["gzip", "deflate"])
def test_no_member_is_opened_behind_the_most(member: bytes, encoding: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    frames = zlib.decompressobj

    def count(frame: int) -> object:
        opened.append(frame)
        return frames(frame)

    monkeypatch.setattr(zlib, "decompressobj", count)

    with pytest.raises(Unparsable, match=f"more than {MOST_MEMBERS} members"):
        inflated(member * (100 * MOST_MEMBERS), encoding, LIMIT)
    assert len(opened) == MOST_MEMBERS


def test_the_limit_holds_for_all_members_together() -> None:
    half = gzip.compress(b" " * (LIMIT // 2), mtime=0)

    assert len(inflated(half * 2, b"gzip", LIMIT)) == LIMIT
    with pytest.raises(TooLarge):
        inflated(half * 2 + gzip.compress(b" ", mtime=0), b"gzip", LIMIT)


@pytest.mark.parametrize("kept", [1, 30, -1])
def test_a_last_member_that_ends_early_is_refused(kept: int) -> None:
    with pytest.raises(Unparsable, match="ends early"):
        inflated(EMPTY + gzip.compress(LARGE, mtime=0)[:kept], b"gzip", LIMIT)


@pytest.mark.parametrize("headers", [{}, {b"content-encoding": b"gzip"}], ids=["plain", "gzip"])
def test_a_compressed_body_is_inflated_beside_the_event_loop(
    headers: dict[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    frames = zlib.decompressobj

    def note(frame: int) -> object:
        threads.append(get_ident())
        return frames(frame)

    monkeypatch.setattr(zlib, "decompressobj", note)
    sent = gzip.compress(b"a body", mtime=0)
    services = cast(Services, SimpleNamespace(max_body_bytes=LIMIT))
    call = Call(headers, sent, cast(Caller, None), services)

    body = asyncio.run(call.body())

    assert body == (b"a body" if headers else sent)
    assert [thread == get_ident() for thread in threads] == [False] * len(headers)
