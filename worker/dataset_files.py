"""The stored datasets of a run: each fetched once and read once, however many of its jobs train on it."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from app.domain.blobs import dataset_key
from app.domain.errors import InvalidData
from app.storage.storage import Storage
from app.tabular.loading import read_columns

COPIES = "trainyard-rows-"
_LEFT_SECONDS = 86400


class DatasetFiles:
    """Local files of datasets, and the columns that were read of them."""

    def __init__(self, storage: Storage, folder: Path, *, alive: Callable[[], None]) -> None:
        self._storage, self._folder, self._alive = storage, folder, alive
        self.path, self.read = cache(self._fetch), cache(read_columns)

    def _fetch(self, id: str) -> Path:
        """Raises InvalidData: the bytes are gone."""
        try:
            path = self._storage.fetch(dataset_key(id), self._folder / f"{id}.parquet", between=self._alive)
        except FileNotFoundError:
            raise InvalidData(f"The bytes of the dataset {id} are gone from the storage: upload it again.") from None
        self._alive()
        return path


@contextmanager
def dataset_files(storage: Storage, *, alive: Callable[[], None]) -> Iterator[DatasetFiles]:
    """Datasets that are here as long as the block runs; `alive` is called after each piece that was fetched."""
    with tempfile.TemporaryDirectory(prefix=COPIES) as folder:
        files = DatasetFiles(storage, Path(folder), alive=alive)
        try:
            yield files
        finally:  # a cache of a method keeps itself alive, and with it all that was read
            files.path.cache_clear()
            files.read.cache_clear()


def remove_left_copies() -> None:
    """Copies of datasets from a bucket that a killed process left on this machine's disk."""
    for folder in Path(tempfile.gettempdir()).glob(f"{COPIES}*"):
        with suppress(OSError):  # another process was quicker, or it is another user's
            if time.time() - folder.stat().st_mtime > _LEFT_SECONDS:
                shutil.rmtree(folder)
