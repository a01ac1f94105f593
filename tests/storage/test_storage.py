"""What every storage does, on a folder and on a bucket."""

import errno
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from app.domain.disk import FULL
from app.storage.folder import TEMPORARY
from app.storage.many import put_each
from app.storage.marked import MARK
from app.storage.opening import StorageUnusable, open_storage
from app.storage.storage import Storage, StorageFailed
from tests.servers.bucket import BUCKET
from tests.servers.disk import no_file_beyond
from tests.servers.processes import free_port

_numbers = count()


def nothing() -> list[str]:
    """What a new database knows of stored bytes."""
    return []


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return open_storage(str(tmp_path / "files"), oldest=nothing)
    request.getfixturevalue("in_bucket")
    return open_storage(f"s3://{BUCKET}/test-{next(_numbers)}", oldest=nothing)


@pytest.mark.parametrize("kind", ["ftp", "gs", "S3", "file://ftp"])
def test_no_other_kind_is_taken_for_a_folder(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(StorageUnusable, match=r"^TRAINYARD_STORAGE_URL: "):
        open_storage(f"{kind}://bucket/prefix", oldest=nothing)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_may_be_written_as_a_url(tmp_path: Path) -> None:
    open_storage(f"file://{tmp_path}/files", oldest=nothing).put("a", b"some bytes")

    assert (tmp_path / "files" / "a").read_bytes() == b"some bytes"


def test_what_was_put_can_be_got(storage: Storage) -> None:
    storage.put("a/b.bin", b"some bytes")

    assert storage.get("a/b.bin") == b"some bytes"


def test_many_are_stored_together(storage: Storage) -> None:
    contents = {f"{folder}/{name}": f"{folder}{name}".encode() for folder in "abc" for name in range(20)}

    storage.put_all(contents)

    assert {key: storage.get(key) for key in contents} == contents


def test_a_file_is_stored_with_its_bytes(storage: Storage, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 40_000)  # 10 MB: more than one part of an upload

    storage.put_file("large", large)

    assert storage.get("large") == bytes(range(256)) * 40_000


@pytest.mark.parametrize(("start", "end"), [(0, None), (3, None), (0, 4), (3, 7), (3, 3), (0, 10), (9, 100)])
def test_a_stream_gives_the_part_that_was_asked_for(storage: Storage, start: int, end: int | None) -> None:
    storage.put("ten", b"0123456789")

    assert b"".join(storage.stream("ten", start=start, end=end)) == b"0123456789"[start:end]


def test_an_empty_file_is_a_file(storage: Storage) -> None:
    storage.put("empty", b"")

    assert storage.get("empty") == b""
    assert list(storage.stream("empty")) == []


def test_a_large_file_comes_in_pieces(storage: Storage) -> None:
    storage.put("large", bytes(5 << 20))

    pieces = [len(piece) for piece in storage.stream("large")]

    assert len(pieces) > 1
    assert sum(pieces) == 5 << 20


def test_a_fetched_key_is_a_local_file(storage: Storage, tmp_path: Path) -> None:
    storage.put("a/b.bin", b"some bytes")

    assert storage.fetch("a/b.bin", tmp_path / "copy").read_bytes() == b"some bytes"


def test_a_copy_can_be_ended_between_its_pieces(storage: Storage, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    calls: list[None] = []

    def end() -> None:
        calls.append(None)
        if len(calls) == 2:
            raise Enough

    storage.put("large", bytes(5 << 20))
    with suppress(Enough):
        path = storage.fetch("large", tmp_path / "copy", between=end)
        assert path != tmp_path / "copy"  # the stored file itself needs no copying

    assert len(calls) in (0, 2)


def test_a_missing_key_is_told_before_anything_is_read(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        storage.get("none")
    with pytest.raises(FileNotFoundError):
        storage.stream("none")
    with pytest.raises(FileNotFoundError):
        storage.fetch("none", tmp_path / "copy")


def test_a_key_cannot_leave_the_storage(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.get("../../etc/passwd")


def test_deleting_a_folder_leaves_its_neighbours(storage: Storage) -> None:
    for key in ("a/1", "a/b/2", "ab/3"):
        storage.put(key, b"x")

    storage.delete("a")

    assert storage.get("ab/3") == b"x"
    for key in ("a/1", "a/b/2"):
        with pytest.raises(FileNotFoundError):
            storage.get(key)


def test_deleting_nothing_is_fine(storage: Storage) -> None:
    storage.delete("none")


def test_a_storage_that_can_be_written_passes_its_check_and_keeps_nothing(storage: Storage) -> None:
    storage.check()


def test_a_folder_on_a_full_disk_does_not_pass_its_check_and_keeps_nothing(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path), oldest=nothing)
    storage.open()

    with no_file_beyond(100), pytest.raises(StorageFailed) as failed:
        storage.check()

    assert failed.value.errno in FULL
    assert [path.name for path in tmp_path.iterdir()] == [MARK]


def test_a_bucket_that_does_not_answer_fails_its_check_as_any_storage_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")

    with pytest.raises(OSError, match="the bucket failed"):
        open_storage("s3://trainyard/x", oldest=nothing).check()


def test_folders_are_listed_by_the_age_of_their_newest_file(storage: Storage) -> None:
    for key in ("recovery/rec_1/state", "recovery/rec_2/state", "recovery/rec_2/other", "datasets/ds_1/data"):
        storage.put(key, b"1")

    assert sorted(storage.folders("recovery", older_than=-60)) == ["rec_1", "rec_2"]
    assert list(storage.folders("recovery", older_than=60)) == []
    assert list(storage.folders("checkpoints", older_than=-60)) == []


def test_what_a_probe_left_goes_when_it_is_old(storage: Storage) -> None:
    storage.put(f"{TEMPORARY}probe", b"")
    storage.put("kept/file", b"1")

    young = storage.remove_temporaries(older_than=60)
    old = storage.remove_temporaries(older_than=-60)

    assert (young, old) == (0, 1)
    assert storage.get("kept/file") == b"1"
    with pytest.raises(FileNotFoundError):
        storage.get(f"{TEMPORARY}probe")


def test_of_many_that_cannot_be_stored_the_cause_is_told() -> None:
    def put(key: str, data: bytes) -> None:
        raise FileNotFoundError(key) if key != "c" else OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        put_each(put, {"a": b"", "b": b"", "c": b"", "d": b""})
