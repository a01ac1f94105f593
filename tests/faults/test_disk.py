"""A disk that is full, lies, or is written to as a process dies: what is pointed at is whole, and the bits are the same."""

from pathlib import Path

import pytest

from app.domain.blobs import recovery_key
from app.domain.job import Status
from app.persistence import events, recovery
from tests.faults.deaths import Deaths
from tests.faults.invariants import check
from tests.faults.points import ROOT

SPEC: dict[str, object] = {"epochs": 6}
LARGE: dict[str, object] = {"epochs": 4, "network": {"hidden_layers": [512, 512]}}
ROOM = 2_500_000  # less than a recovery point of the large network takes, more than anything else does
FOLDER = "app/storage/folder.py"


def line_of(file: str, words: str) -> tuple[str, int]:
    """The first line of a file that has these words."""
    lines = (ROOT / file).read_text().splitlines()
    return file, next(number for number, line in enumerate(lines, 1) if words in line)


def flip(path: Path) -> None:
    """One bit, in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damaged", [1, 2], ids=["the newest", "both"])
def test_a_flipped_bit_in_a_recovery_point_costs_time_and_nothing_else(deaths: Deaths, damaged: int) -> None:
    deaths.undisturbed(SPEC)
    third_report = (line_of("worker/bookkeeper.py", "held = record_all("), 4)
    [job] = deaths.die_at(third_report, SPEC)
    number = deaths.yard.job(job).number
    with deaths.yard.database.read() as connection:
        points = recovery.every(connection, number)
    flipped = [deaths.yard.storage.root / recovery_key(point.id) for point in points[:damaged]]
    for path in flipped:
        flip(path)

    deaths.bury_all()
    deaths.run(None)

    with deaths.yard.database.read() as connection:
        told = [event.type for event in events.after(connection, number)]
    assert (len(points), told.count("job.recovery_point_damaged")) == (2, damaged)
    for path in flipped:
        path.unlink()  # nothing points at it; what is torn here was torn by us
    check(deaths.record())


def test_a_full_disk_tears_nothing_and_the_job_ends_alike_once_there_is_room(deaths: Deaths) -> None:
    deaths.undisturbed(LARGE)
    [job] = deaths.submit(LARGE)

    outcome = deaths.run(None, file_bytes=ROOM)
    assert outcome.status == 0
    assert deaths.yard.job(job).status is not Status.SUCCEEDED

    deaths.bury_all()
    deaths.run(None)
    check(deaths.record())


@pytest.mark.parametrize("words", ["file.write(data)", "temporary.rename(path)", "_sync_folder(path.parent)"])
@pytest.mark.faults
def test_a_kill_while_a_file_is_written_leaves_none_that_is_torn_twenty_times(deaths: Deaths, words: str) -> None:
    deaths.undisturbed(SPEC)

    for write in range(1, 21):
        deaths.die_at((line_of(FOLDER, words), write), SPEC)

    deaths.bury_all()
    deaths.run(None)
    check(deaths.record())
