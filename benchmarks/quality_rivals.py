"""RealMLP-TD of its own package (pytabkit), fitted here in turn with our recipes, as a process of its own environment.

Single it is fitted as the reference was, on 60 % of the rows, and chooses its epoch by 20 %; bagged it is given the same 80 %
as our recipes and makes five folds of them.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.environments import REPOSITORY, prepared, told
from benchmarks.quality_sets import Dealt, SetOfRows

NAME, PACKAGES = "RealMLP", ("pytabkit==1.7.3",)
_ENVIRONMENT = {
    "PYTHONPATH": str(REPOSITORY),
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
}


@dataclass(frozen=True)
class Rival:
    """A method by its name in the tables; `folds` are those of its own bagging, None where it is single."""

    method: str
    folds: int | None

    def answer(self, rows: Dealt, seed: int) -> dict[str, Any]:
        """To the test rows; `cpu` are the seconds of its fit."""
        environment = prepared(NAME, PACKAGES)
        with tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as name:
            folder = Path(name)
            write(rows, folder, folds=self.folds)
            python, module = environment / "bin/python", "benchmarks.peers.realmlp"
            printed = told(python, "-m", module, folder, str(seed), environment=_ENVIRONMENT, folder=folder)
        return dict(json.loads(printed.splitlines()[-1]))


SINGLE, BAGGED = Rival("realmlp_td here", None), Rival("realmlp_td bagged", 5)


def write(rows: Dealt, folder: Path, *, folds: int | None) -> None:
    """The 80 % and the 20 %, what they are, and how they are to be fitted: by folds, or with these rows for validation."""
    rows.known.write_csv(folder / "known.csv")
    rows.test.write_csv(folder / "test.csv")
    categorical = [name for name, type in rows.known.schema.items() if type == pl.String and name != rows.target]
    described = {
        "task": rows.task,
        "target": rows.target,
        "categorical": categorical,
        "folds": folds,
        "validation": None if folds else np.flatnonzero(rows.validation).tolist(),
    }
    (folder / "set.json").write_text(json.dumps(described))


def smallest(sets: Sequence[SetOfRows], count: int) -> list[SetOfRows]:
    """So many with the fewest rows, in the order of the sets."""
    fewest = {one.name for one in sorted(sets, key=lambda one: one.rows.height)[:count]}
    return [one for one in sets if one.name in fewest]
