"""A commit whose answer is lost: whether it happened or not, a dataset has its bytes or is not there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from app.domain.caller import Caller
from app.domain.quota import Quota
from app.persistence.database import Database
from app.persistence.paging import Page
from app.services.datasets import Datasets, Origin
from app.services.quotas import Quotas
from app.storage.folder import Folder
from app.tabular.limits import Limits


class LosesAnswers(Database):
    """Its writing transactions end with an error, before the commit or after it."""

    committed = True

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """See Database.write."""
        with super().write() as connection:
            yield connection
            if not self.committed:
                raise OperationalError("COMMIT", None, ConnectionError())
        raise OperationalError("COMMIT", None, ConnectionError())


@pytest.mark.parametrize("committed", [True, False])
def test_a_dataset_whose_commit_was_not_answered_is_whole_or_the_janitor_s(
    sqlite_url: str, tmp_path: Path, committed: bool
) -> None:
    database, storage = LosesAnswers(sqlite_url), Folder(tmp_path / "files")
    database.committed = committed
    storage.make()
    datasets = Datasets(database, storage, folder=tmp_path / "tmp", limits=Limits(), quotas=Quotas(Quota()))

    with pytest.raises(OperationalError):
        datasets.store_rows(
            Caller(), rows=[{"a": 1}], columns=None, origin=Origin(bytes=1, sha256="0"), before_commit=lambda *_: None
        )

    listed = datasets.page(Caller(), Page())
    kept = [path for path in storage.root.rglob("*") if path.is_file()]
    assert (len(listed), len(kept)) == ((1, 1) if committed else (0, 1))  # it might be under way: the janitor's
    assert all(b"".join(datasets.stream(row, start=0, end=row.stored_bytes)) for row in listed)
    database.close()
