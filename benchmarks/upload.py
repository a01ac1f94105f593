"""What a large upload costs the API process in memory.

python -m benchmarks.upload [--rows 500000] [--columns 20]
"""

import argparse
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

import numpy as np

from benchmarks.service import process_tree, resident_bytes, running_service

MIB = 2**20


def write_csv(path: Path, *, rows: int, columns: int) -> None:
    """A CSV of random numbers with two decimals, and a label."""
    draw = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(",".join(f"x{place}" for place in range(columns - 1)) + ",label\n")
        for begin in range(0, rows, 10_000):
            block = draw.normal(size=(min(10_000, rows - begin), columns - 1)).round(2)
            file.writelines(",".join(map(str, row)) + f",{'abc'[place % 3]}\n" for place, row in enumerate(block.tolist()))


class Watch(Thread):
    """Samples the largest resident size of some processes until stopped."""

    def __init__(self, processes: list[int]) -> None:
        super().__init__(daemon=True)
        self._processes = processes
        self._over = Event()
        self.highest = 0

    def run(self) -> None:
        """Look every few milliseconds."""
        while not self._over.wait(0.005):
            self.highest = max(self.highest, *(resident_bytes(process) for process in self._processes))

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self.join()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--columns", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_service() as service, service.client() as client:
        path = Path(folder) / "large.csv"
        write_csv(path, rows=arguments.rows, columns=arguments.columns)
        client.post("/v1/datasets", json={"sample": "iris"}).raise_for_status()
        api = [process for process, line in process_tree(service.process.pid).items() if "app.main" in line]
        assert api, process_tree(service.process.pid)
        before = max(resident_bytes(process) for process in api)
        watch = Watch(api)
        watch.start()
        begin = time.perf_counter()
        with path.open("rb") as body:
            answer = client.post("/v1/datasets", content=body, headers={"Content-Type": "text/csv"}).raise_for_status().json()
        seconds = time.perf_counter() - begin
        watch.stop()
    assert answer["rows"] == arguments.rows, answer
    print(f"{arguments.rows} rows x {arguments.columns} columns, {answer['bytes'] / MIB:.0f} MiB of CSV in {seconds:.1f} s")
    grown = (watch.highest - before) / 1e6
    print(f"API process: {before / 1e6:.0f} MB before, grew by at most {grown:.0f} MB, goal <= 200 MB")


if __name__ == "__main__":
    main()
