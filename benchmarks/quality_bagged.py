"""RealMLP-TD bagged by its own package (pytabkit), as a process of its own environment, on the rows that our recipes see."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.environments import REPOSITORY, prepared, told
from benchmarks.quality_sets import Dealt, SetOfRows, deal

METHOD, NAME, PACKAGES = "realmlp_td_bagged", "RealMLP", ("pytabkit==1.7.3",)
_ENVIRONMENT = {
    "PYTHONPATH": str(REPOSITORY),
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
}


def answers(sets: Sequence[SetOfRows], seeds: Sequence[int]) -> Iterator[tuple[Dealt, int, dict[str, Any]]]:
    """What it answers to the test rows of each set and seed; `cpu` are the seconds of its fit."""
    environment = prepared(NAME, PACKAGES)
    for one in sets:
        for seed in seeds:
            rows = deal(one, seed)
            yield rows, seed, _answer(environment, rows, seed)


def _answer(environment: Path, rows: Dealt, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as name:
        folder = Path(name)
        write(rows, folder)
        python, module = environment / "bin/python", "benchmarks.peers.realmlp"
        printed = told(python, "-m", module, folder, str(seed), environment=_ENVIRONMENT, folder=folder)
    return dict(json.loads(printed.splitlines()[-1]))


def write(rows: Dealt, folder: Path) -> None:
    """The 80 % and the 20 %, and what they are."""
    rows.known.write_csv(folder / "known.csv")
    rows.test.write_csv(folder / "test.csv")
    categorical = [name for name, type in rows.known.schema.items() if type == pl.String and name != rows.target]
    (folder / "set.json").write_text(json.dumps({"task": rows.task, "target": rows.target, "categorical": categorical}))


def smallest(sets: Sequence[SetOfRows], count: int) -> list[SetOfRows]:
    """So many with the fewest rows, in the order of the sets."""
    fewest = {one.name for one in sorted(sets, key=lambda one: one.rows.height)[:count]}
    return [one for one in sets if one.name in fewest]
