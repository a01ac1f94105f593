import os
from pathlib import Path

import pytest

from app.upkeep.claim import FolderInUse, claimed


def test_a_second_service_on_a_folder_is_told_who_holds_it(tmp_path: Path) -> None:
    with (
        claimed(tmp_path),
        pytest.raises(FolderInUse, match=rf"already runs on .*process {os.getpid()}.*TRAINYARD_DATA"),
        claimed(tmp_path),
    ):
        pass


def test_a_folder_that_was_given_back_can_be_claimed_again(tmp_path: Path) -> None:
    with claimed(tmp_path / "new"):
        pass

    with claimed(tmp_path / "new"):
        assert (tmp_path / "new" / "lock").read_text() == str(os.getpid())
