"""The main job before your eyes: a small network learns to tell irises apart, through HTTP from start to end."""

import gzip
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from csv import DictReader
from importlib.resources import files
from pathlib import Path
from types import FrameType

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from trainyard.answers import Checkpoint, Job, Prediction
from trainyard.client import Client
from trainyard.curve import draw
from trainyard.screen import follow_on_screen, shown
from trainyard.service import own_service

FLOWERS = (3, 57, 70, 133, 148)
"""Rows of the file, some of them between two species."""


def run(folder: Path, *, epochs: int) -> Job:
    """Start a service of its own, train, draw, predict, and stop all of it, also when interrupted."""
    console = Console(highlight=False, soft_wrap=True)
    folder.mkdir(parents=True, exist_ok=True)
    console.print(f"[bold]Trainyard[/]: a network 4 → 10 → 3 learns Iris, {epochs:,} epochs, over HTTP\n")
    console.print("Starting the service: API, worker, Valkey, SQLite …")
    with terminable(), own_service(folder / "data") as url, Client(url) as client:
        console.print(f"Service      {url}")
        return _main_job(client, folder, epochs=epochs, console=console)


def _main_job(client: Client, folder: Path, *, epochs: int, console: Console) -> Job:
    file = write_iris(folder / "iris.csv")
    dataset = client.upload(file, name="iris")
    console.print(f"Dataset      {dataset['id']}: {file}, {dataset['rows']} rows, {len(dataset['columns'])} columns")
    job = client.submit(spec(dataset["id"], epochs=epochs))
    console.print(f"Job          {job['id']}: ReLU, SGD with learning rate 0.01, cross-entropy, full batch, 80/20 split\n")
    job = follow_on_screen(client, job, console=console)
    console.print(f"\n{outcome(job)}")
    picture = draw(client.history(job["id"]), job["best"], title="Iris, 4 → 10 → 3: loss by epoch", path=folder / "loss.png")
    console.print(f"Loss curve   {picture}\n")
    console.print(_checkpoint_table(client.checkpoints(job["id"])))
    flowers = _flowers(file)
    console.print(_prediction_table(flowers, client.predict(job["id"], [_measures(flower) for flower in flowers])))
    console.print("Stopping the service. To keep one running: scripts/up")
    return job


def spec(dataset: str, *, epochs: int) -> dict[str, object]:
    """The textbook training of a small classifier, with nothing left to a default that matters."""
    return {
        "name": "iris by hand",
        "dataset": dataset,
        "target": "species",
        "task": "multiclass",
        "split": {"validation": 0.2},
        "network": {"hidden_layers": [10], "activation": "relu"},
        "loss": {"name": "cross_entropy"},
        "optimizer": {"name": "sgd", "learning_rate": 0.01},
        "batch_size": "full",
        "epochs": epochs,
        "early_stopping": None,
    }


def write_iris(path: Path) -> Path:
    """The sample as a file of one's own."""
    path.write_bytes(gzip.decompress(files("app").joinpath("tabular/samples/iris.csv.gz").read_bytes()))
    return path


def _flowers(file: Path) -> list[dict[str, str]]:
    rows = list(DictReader(file.read_text().splitlines()))
    return [rows[index] for index in FLOWERS]


def _measures(flower: dict[str, str]) -> dict[str, float]:
    return {name: float(cell) for name, cell in flower.items() if name != "species"}


def outcome(job: Job) -> str:
    """How a job ended, in a line."""
    if job["error"]:
        return f"The job {job['status']}: {job['error']['message']}"
    best, progress = job["best"], job["progress"]
    speed = f", {progress['epochs_per_second']:,.0f} a second" if progress["epochs_per_second"] else ""
    where = f"; best epoch {best['epoch']:,} with validation loss {shown(best['val_loss'])}" if best else ""
    return f"Result       {job['status']} after {progress['epoch']:,} epochs{speed}{where}"


def _checkpoint_table(checkpoints: list[Checkpoint]) -> Table:
    found = table("Checkpoints, each as " + ", ".join(file["name"] for file in checkpoints[0]["files"]))
    found.add_column("checkpoint", no_wrap=True)
    found.add_column("kinds")
    for column in ("epoch", "train loss", "val loss"):
        found.add_column(column, justify="right")
    for checkpoint in checkpoints:
        losses = (shown(checkpoint["train_loss"]), shown(checkpoint["val_loss"]))
        found.add_row(checkpoint["id"], ", ".join(checkpoint["kinds"]), f"{checkpoint['epoch']:,}", *losses)
    return found


def _prediction_table(flowers: list[dict[str, str]], prediction: Prediction) -> Table:
    found = table("Predictions with the best checkpoint, and the probability of each species")
    for column in ("sepal, petal (cm)", "species", "predicted"):
        found.add_column(column)
    for label in prediction["classes"] or []:
        found.add_column(str(label), justify="right")
    for flower, predicted, chances in zip(flowers, prediction["predictions"], prediction["probabilities"] or [], strict=True):
        *measures, species = flower.values()
        found.add_row(" ".join(measures), species, f"[bold]{predicted}[/]", *(f"{chance:.3f}" for chance in chances))
    return found


def table(title: str) -> Table:
    """An empty table as the demo shows them."""
    return Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM unwinds as Ctrl-C does, so that the service is stopped on the way out."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
