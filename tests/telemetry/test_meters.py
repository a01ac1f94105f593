"""The meters of several processes: nothing is lost, nothing counts twice, whatever dies when."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.telemetry.meter import RECORD, RECORDS, Meter
from app.telemetry.meters import Meters

OTHER = """
import sys
from pathlib import Path
from app.telemetry.meters import Meters
meters = Meters(Path(sys.argv[1]))
meters.own.add([(("a",), 5), (("b", "GET"), 7)])
print("counted", flush=True)
sys.stdin.read()
"""
SMALL_FILES = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
"""


@contextmanager
def another(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has counted 5 a and 7 b, and is killed at the end."""
    command = [sys.executable, "-c", OTHER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "counted\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def meters(tmp_path: Path) -> Iterator[Meters]:
    """Of this process, which has counted one a."""
    opened = Meters(tmp_path / "meters")
    opened.own.add([(("a",), 1)])
    yield opened
    opened.close()


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.meter")}


def test_the_numbers_of_living_processes_are_summed_as_they_are_now(meters: Meters, tmp_path: Path) -> None:
    with another(tmp_path / "meters"):
        meters.own.add([(("a",), 10)])
        reading = meters.read()

    assert (reading.processes, reading.numbers) == (2, {("a",): 16, ("b", "GET"): 7})


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_numbers_of_a_dead_process_stay_and_count_once(meters: Meters, tmp_path: Path, how: signal.Signals) -> None:
    for times in (1, 2):
        with another(tmp_path / "meters") as process:
            process.send_signal(how)
            process.wait()
        for _ in range(3):
            reading = meters.read()
            assert (reading.processes, reading.numbers) == (1, {("a",): 1 + 5 * times, ("b", "GET"): 7 * times})

    assert len(files(tmp_path / "meters")) == 1


def test_the_numbers_outlive_all_processes(meters: Meters, tmp_path: Path) -> None:
    meters.close()
    with another(tmp_path / "meters"):
        pass

    successor = Meters(tmp_path / "meters")

    assert successor.read().numbers == {("a",): 6, ("b", "GET"): 7}
    successor.close()


def test_a_death_between_folding_and_removing_a_meter_has_nothing_count_twice(meters: Meters, tmp_path: Path) -> None:
    folder = tmp_path / "meters"
    own = files(folder)
    with another(folder):
        [name] = files(folder) - own
        shutil.copy(folder / name, tmp_path / "kept")
    before = meters.read()
    shutil.copy(tmp_path / "kept", folder / name)

    assert meters.read().numbers == before.numbers == {("a",): 6, ("b", "GET"): 7}
    assert name not in files(folder)


def test_what_a_power_failure_damaged_hides_nothing_else(meters: Meters, tmp_path: Path) -> None:
    folder = tmp_path / "meters"
    (folder / "ended.json").write_text('{"numbers": [[["a"')
    (folder / "torn.meter").write_bytes(b"\1" * 100)
    (folder / "garbage.meter").write_bytes(bytes(8) + b'["a' + bytes(RECORD - 11))

    assert meters.read().numbers == {("a",): 1}
    assert len(files(folder)) == 1


def test_where_no_file_can_be_a_process_counts_alone(tmp_path: Path) -> None:
    (tmp_path / "meters").write_text("no folder")

    alone = Meters(tmp_path / "meters")
    alone.own.add([(("a",), 1)])

    assert (alone.read().processes, alone.read().numbers) == (1, {("a",): 1})
    alone.close()


def test_a_full_disk_at_the_start_ends_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SMALL_FILES + OTHER, str(tmp_path / "meters")],
        input="",
        text=True,
        capture_output=True,
        check=True,
    )

    assert "counted" in done.stdout
    assert files(tmp_path / "meters") == set()


def test_threads_lose_no_count() -> None:
    meter = Meter.unshared()

    def count(_: int) -> None:
        for _ in range(5_000):
            meter.add([(("a",), 1), (("b",), 2)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))

    assert meter.read() == {("a",): 40_000, ("b",): 80_000}


def test_keys_for_which_there_is_no_room_are_left_out() -> None:
    meter = Meter.unshared()

    meter.add([((str(number),), 1) for number in range(RECORDS + 10)])
    meter.add([(("x" * RECORD,), 1), (("0",), 1)])

    assert len(meter.read()) == RECORDS
    assert meter.read()["0",] == 2


def test_starts_leave_no_files_also_where_nobody_reads(tmp_path: Path) -> None:
    for _ in range(5):
        opened = Meters(tmp_path)
        opened.own.add([(("a",), 1)])
        opened.close()

    last = Meters(tmp_path)

    assert (len(files(tmp_path)), last.read().numbers[("a",)]) == (1, 5)
    last.close()
