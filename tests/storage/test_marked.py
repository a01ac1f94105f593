"""A storage that is away is neither empty nor new: bytes that cannot be found there are not gone, and nothing is written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.storage.folder import Folder
from app.storage.marked import MARK, Marked
from app.storage.opening import open_storage
from app.storage.storage import StorageFailed
from tests.servers.bucket import BUCKET

KEY = "datasets/ds_1/data.parquet"
CALLS: dict[str, Callable[[Marked, Path], object]] = {
    "put": lambda storage, spare: storage.put("datasets/ds_2/data.parquet", b"2"),
    "put_all": lambda storage, spare: storage.put_all({f"datasets/ds_{number}/data.parquet": b"1" for number in range(2, 5)}),
    "put_file": lambda storage, spare: storage.put_file("datasets/ds_2/data.parquet", spare),
    "get": lambda storage, spare: storage.get(KEY),
    "stream": lambda storage, spare: storage.stream(KEY),
    "fetch": lambda storage, spare: storage.fetch(KEY, spare.with_name("copy")),
    "check": lambda storage, spare: storage.check(),
}


def knows_nothing() -> list[str]:
    """A new database."""
    return []


def knows_the_key() -> list[str]:
    """A database with a dataset."""
    return [KEY]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "share" / "files"


@pytest.fixture
def spare(tmp_path: Path) -> Path:
    """A file that may be moved into the storage."""
    file = tmp_path / "spare"
    file.write_bytes(b"2")
    return file


@pytest.fixture
def storage(root: Path) -> Marked:
    """A folder with one key."""
    opened = open_storage(str(root), oldest=knows_the_key)
    Folder(root).make()
    Folder(root).put(KEY, b"1")
    opened.open()
    return opened


def nothing(place: Path) -> None:
    """The folder was renamed."""


def mount_point(place: Path) -> None:
    """The share is not mounted: what is seen is the folder that it is mounted on."""
    place.mkdir()


def strayed(place: Path) -> None:
    """And before there were marks somebody wrote into that."""
    Folder(place).make()
    Folder(place).put("datasets/ds_9/data.parquet", b"9")


@contextmanager
def away(root: Path, left: Callable[[Path], None]) -> Iterator[None]:
    root.rename(root.with_name("elsewhere"))
    left(root)
    before = sorted(root.parent.rglob("*"))
    yield
    assert sorted(root.parent.rglob("*")) == before
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    root.rmdir() if root.exists() else None
    root.with_name("elsewhere").rename(root)


@pytest.mark.parametrize("left", [nothing, mount_point, strayed])
@pytest.mark.parametrize("call", CALLS)
def test_while_a_folder_is_away_nothing_is_gone_and_nothing_is_written(
    storage: Marked, root: Path, spare: Path, call: str, left: Callable[[Path], None]
) -> None:
    with away(root, left), pytest.raises(StorageFailed, match="is away"):
        CALLS[call](storage, spare)

    CALLS[call](storage, spare)
    assert storage.get(KEY) == b"1"


@pytest.mark.parametrize("left", [nothing, mount_point, strayed])
def test_a_process_that_begins_while_a_folder_is_away_waits_for_it(
    storage: Marked, root: Path, left: Callable[[Path], None]
) -> None:
    with away(root, left):
        begun = open_storage(str(root), oldest=knows_the_key)
        with pytest.raises(StorageFailed, match="is away"):
            begun.open()

    assert begun.get(KEY) == b"1"


def test_a_new_storage_is_made_and_marked_once(root: Path) -> None:
    open_storage(str(root), oldest=knows_nothing).open()

    assert [path.name for path in root.iterdir()] == [MARK]


def test_what_an_earlier_version_stored_is_recognized_and_marked(root: Path) -> None:
    Folder(root).make()
    Folder(root).put(KEY, b"1")

    open_storage(str(root), oldest=lambda: ["checkpoints/gone", KEY]).put("a", b"")

    assert (root / MARK).is_file()


def test_bytes_that_are_gone_from_a_storage_that_is_here_are_gone(storage: Marked, root: Path, spare: Path) -> None:
    (root / KEY).unlink()

    for call in ("get", "stream", "fetch"):
        with pytest.raises(FileNotFoundError):
            CALLS[call](storage, spare)


@pytest.mark.parametrize("url", ["s3://no-such-bucket/x", f"s3://{BUCKET}/no-such-prefix"])
@pytest.mark.parametrize("call", CALLS)
def test_a_bucket_that_is_missing_or_another_one_is_away(in_bucket: None, spare: Path, url: str, call: str) -> None:
    with pytest.raises(StorageFailed):
        CALLS[call](open_storage(url, oldest=knows_the_key), spare)


@pytest.mark.parametrize("call", CALLS)
def test_a_new_storage_waits_for_its_bucket(in_bucket: None, spare: Path, call: str) -> None:
    with pytest.raises(StorageFailed):
        CALLS[call](open_storage("s3://no-such-bucket/x", oldest=knows_nothing), spare)
