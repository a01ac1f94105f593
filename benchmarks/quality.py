"""How good the recipes are: data and a target over HTTP against published defaults, on real data sets.

    python -m benchmarks.quality FOLDER [--recipe strong fast] [--seeds 0 1] [--sets NAME …]
                                 [--own-validation | --beside | --bagged]

FOLDER has one CSV a set, `manifest.json` (name, task, target of each) and `reference.jsonl` (set, seed, method: test error,
log-loss, CPU seconds of other methods, measured by the same protocol). The script starts a service, uploads 80 % of the rows,
trains with the recipe and nothing else but the task, and predicts the 20 %. Errors are class errors, or the RMSE in standard
deviations of the test targets; they are compared by the geometric mean of (error + 0.01) over sets and seeds, log-loss and
CPU by that of their ratios. A single RealMLP-TD of the reference was fitted on 60 % of the rows and chose its epoch by 20 %,
a recipe has both together (with --own-validation it is told the same 60 and 20 %). CPU is that of the training processes, and
the reference's is of another machine, which says little: with --beside RealMLP-TD is fitted here, too, as the reference was,
on one thread, in an environment of its own, on each split just before ours. With --bagged it is, on the four smallest sets,
the bagging of its own package instead (five folds of the same 80 %).
"""

import argparse
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, nan
from pathlib import Path
from statistics import fmean
from typing import Any

import httpx2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.api_history import cpu_seconds
from benchmarks.quality_rivals import BAGGED, SINGLE, Rival, smallest
from benchmarks.quality_sets import Dealt, SetOfRows, deal, sets_of
from benchmarks.service import Service, process_tree, running_service

REFERENCE = "realmlp_td"
PART, PARTS = "part_of_the_split", ("train", "validation")
GOALS = {
    ("strong", REFERENCE): "error <= 0.93, log-loss <= 0.70",
    ("fast", REFERENCE): "error <= 0.97",
    ("strong, own validation", REFERENCE): "error <= 1.00",
    ("strong", SINGLE.method): "error <= 0.93, log-loss <= 0.70, CPU <= 0.35",
    ("fast", SINGLE.method): "error <= 0.97, CPU <= 0.13",
    ("strong", BAGGED.method): "error <= 1.00, CPU <= 0.15",
}
BAGGED_SETS = 4


@dataclass(frozen=True)
class Score:
    """What a method made of the test rows of a set."""

    error: float
    log_loss: float
    cpu: float


Known = Mapping[tuple[str, int, str], Score]


def train(service: Service, client: httpx2.Client, rows: Dealt, spec: Mapping[str, object]) -> tuple[str, float]:
    """A job on the 80 %: its id, and the CPU seconds of the training processes."""
    known = rows.known
    if spec.get("split"):
        known = known.with_columns(pl.Series(PART, np.array(PARTS)[rows.validation.astype(int)]))
    upload = {"Content-Type": "text/csv"}
    answer = client.post("/v1/datasets", content=known.write_csv().encode(), headers=upload).raise_for_status().json()
    asked = {"dataset": answer["id"], "target": rows.target, "task": rows.task, **spec}
    before = training_seconds(service)
    job = client.post("/v1/jobs", json=asked).raise_for_status().json()
    while not job["terminal"]:
        job = client.get(f"/v1/jobs/{job['id']}", params={"wait": 60}).raise_for_status().json()
    if job["status"] != "succeeded":
        raise RuntimeError(f"{rows.name}: {job['error']}")
    return job["id"], training_seconds(service) - before


def training_seconds(service: Service) -> float:
    """CPU seconds of all training processes so far."""
    return sum(cpu_seconds(pid) for pid, command in process_tree(service.process.pid).items() if "worker" in command)


def predicted(client: httpx2.Client, job: str, rows: Dealt) -> dict[str, Any]:
    """The answer to the test rows, asked in one request."""
    features = rows.test.drop(rows.target)
    return dict(
        client.post(f"/v1/jobs/{job}/predict", json={"columns": features.to_dict(as_series=False)}).raise_for_status().json()
    )


def score(answer: Mapping[str, Any], rows: Dealt, cpu: float) -> Score:
    """Of the test rows."""
    truth = rows.test[rows.target]
    if rows.task == "regression":
        y, found = truth.to_numpy().astype(np.float64), np.array(answer["predictions"], dtype=np.float64)
        return Score(float(np.sqrt(((found - y) ** 2).mean()) / y.std()), nan, cpu)
    labels = [str(label) for label in answer["predictions"]]
    wrong = fmean(label != str(right) for label, right in zip(labels, truth, strict=True))
    return Score(wrong, _log_loss(answer, truth), cpu)


def _log_loss(answer: Mapping[str, Any], truth: pl.Series) -> float:
    places = {str(label): place for place, label in enumerate(answer["classes"])}
    p: NDArray[np.float64] = np.array(answer["probabilities"], dtype=np.float64)
    chosen = p[np.arange(len(truth)), [places[str(right)] for right in truth]]
    return float(-np.log(chosen.clip(1e-15, 1)).mean())


def references(folder: Path) -> dict[tuple[str, int, str], Score]:
    """By set, seed and method."""
    lines = [json.loads(line) for line in (folder / "reference.jsonl").read_text().splitlines()]
    return {
        (line["set"], line["seed"], line["method"]): Score(line["err"], line.get("logloss") or nan, line["cpu"])
        for line in lines
    }


def ratios(found: Mapping[tuple[str, int], Score], known: Known, method: str) -> dict[str, float]:
    """Ours to a method's, as geometric means over what both have."""
    pairs = [(one, known[(*key, method)]) for key, one in found.items() if (*key, method) in known]
    named: dict[str, list[float]] = {"error": [], "log-loss": [], "CPU": []}
    for ours, theirs in pairs:
        named["error"].append(log((ours.error + 0.01) / (theirs.error + 0.01)))
        named["CPU"].append(log(ours.cpu / theirs.cpu) if ours.cpu > 0 < theirs.cpu else nan)
        named["log-loss"].append(log(ours.log_loss / theirs.log_loss) if ours.log_loss > 0 < theirs.log_loss else nan)
    return {name: _mean([value for value in values if value == value]) for name, values in named.items()}


def _mean(logarithms: Sequence[float]) -> float:
    return exp(fmean(logarithms)) if logarithms else nan


def measured(
    service: Service, splits: Sequence[tuple[SetOfRows, int]], recipes: Mapping[str, Mapping[str, object]], rival: Rival | None
) -> Iterator[tuple[tuple[str, int, str], Score]]:
    """By set, seed and method, printed as found. On each split the rival comes just before the recipes."""
    with service.client() as client:
        for one, seed in splits:
            rows = deal(one, seed)
            if rival:
                answer = rival.answer(rows, seed)
                yield _told((one.name, seed, rival.method), score(answer, rows, answer["cpu"]))
            for name, spec in recipes.items():
                job, cpu = train(service, client, rows, spec)
                yield _told((one.name, seed, name), score(predicted(client, job, rows), rows, cpu))


def _told(key: tuple[str, int, str], found: Score) -> tuple[tuple[str, int, str], Score]:
    name, seed, method = key
    numbers = f"error {found.error:.4f}, log-loss {found.log_loss:.4f}, CPU {found.cpu:.1f} s"
    print(f"  {name:12} seed {seed}, {method}: {numbers}", flush=True)
    return key, found


def report(name: str, found: Known, known: Known) -> None:
    """The aggregates of a recipe against every other method."""
    out = io.StringIO()
    ours = {(one, seed): score for (one, seed, method), score in found.items() if method == name}
    for method in sorted({method for *_, method in known}):
        compared = ratios(ours, known, method)
        text = ", ".join(f"{what} {value:.3f}" for what, value in compared.items())
        goal = f"; goal {GOALS[name, method]}" if (name, method) in GOALS else ""
        out.write(f"{name} / {method}: {text}{goal}\n")
    print(out.getvalue(), end="", flush=True)


def command_line() -> argparse.Namespace:
    """What is to be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recipe", nargs="+", default=["strong", "fast"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--sets", nargs="+")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--own-validation", action="store_true")
    kind.add_argument("--beside", action="store_const", dest="rival", const=SINGLE)
    kind.add_argument("--bagged", action="store_const", dest="rival", const=BAGGED)
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    arguments = command_line()
    sets, known = sets_of(arguments.folder, only=arguments.sets), references(arguments.folder)
    if arguments.rival is BAGGED:
        sets = smallest(sets, BAGGED_SETS)
    recipes: dict[str, dict[str, object]] = {recipe: {"recipe": recipe} for recipe in arguments.recipe}
    if arguments.own_validation:
        split = {"method": "column", "column": PART}
        recipes = {f"{recipe}, own validation": {**spec, "split": split} for recipe, spec in recipes.items()}
    with running_service(TRAINYARD_SLOTS="1") as service:
        splits = [(one, seed) for one in sets for seed in arguments.seeds]
        found = dict(measured(service, splits, recipes, arguments.rival))
    known |= {key: score for key, score in found.items() if key[2] not in recipes}
    for name in recipes:
        report(name, found, known)
    if arguments.rival is SINGLE:  # how far its fits are from those that were stored
        report(SINGLE.method, found, {key: score for key, score in known.items() if key[2] == REFERENCE})


if __name__ == "__main__":
    main()
