"""A job whose training process is killed again and again, and the same job undisturbed: what they leave, bit by bit."""

import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from trainyard.answers import History, Job
from trainyard.client import Client
from trainyard.demo import outcome, spec, table, terminable, write_iris
from trainyard.screen import follow_on_screen
from trainyard.service import own_service

SERVICE = {"TRAINYARD_CHECKPOINT_SECONDS": "0.5", "TRAINYARD_MAX_CRASHES": "10"}
"""A recovery point every half second instead of every 30 s, for a demo has no time to lose."""


@dataclass
class Killer:
    """Kills the process that trains a job at each of some epochs, while its epochs are followed."""

    client: Client
    job: Job
    console: Console
    marks: list[int]
    killed: list[int] = field(default_factory=list)
    """The processes."""

    def following(self) -> Iterator[History]:
        """The epochs; on the way a kill wherever a mark is passed, and a line when the next process goes on."""
        attempt = 1
        for page in self.client.follow(self.job["id"]):
            if len(self.killed) >= attempt:
                attempt = self._tell_of_the_next()
            yield page
            if self.marks and page["epoch"][-1] >= self.marks[0]:
                self._kill(page["epoch"][-1])

    def _kill(self, epoch: int) -> None:
        process = self._process()
        if process is None:  # between two attempts, or it is over already
            return
        self.marks.pop(0)
        os.kill(process, signal.SIGKILL)
        self.killed.append(process)
        self.console.print(f"[red]✗ kill {len(self.killed)}[/]     SIGKILL to training process {process} at epoch {epoch:,}")

    def _process(self) -> int | None:
        for worker in self.client.system()["workers"]:
            host, _, process = worker["id"].rpartition(":")
            if worker["job"] == self.job["id"] and host == socket.gethostname() and int(process) not in self.killed:
                return int(process)
        return None

    def _tell_of_the_next(self) -> int:
        started = [event["data"] for event in self.client.log(self.job["id"]) if event["type"] == "job.started"]
        attempt, epoch = int(str(started[-1]["attempt"])), int(str(started[-1]["epoch"]))
        where = f"from its recovery point at epoch {epoch:,}" if epoch else "from the start"
        self.console.print(f"[green]→ attempt {attempt}[/]  goes on {where}")
        return attempt


def run(folder: Path, *, epochs: int, kills: int) -> bool:
    """Train twice with a service of its own, once killing; True where both left the same."""
    console = Console(highlight=False, soft_wrap=True)
    folder.mkdir(parents=True, exist_ok=True)
    console.print(f"[bold]Trainyard[/]: {epochs:,} epochs on Iris, while its training process is killed {kills} times\n")
    console.print("Starting the service: API, worker, Valkey, SQLite …")
    with terminable(), own_service(folder / "data", environment=SERVICE) as url, Client(url) as client:
        console.print(f"Service      {url}, a recovery point every half second")
        dataset = client.upload(write_iris(folder / "iris.csv"), name="iris")["id"]
        marks = [epochs * mark // (kills + 1) for mark in range(1, kills + 1)]
        killed, kills = _killed(client, dataset, epochs=epochs, marks=marks, console=console)
        undisturbed = _undisturbed(client, dataset, epochs=epochs, console=console)
        same = _compare(client, killed, undisturbed, kills=kills, console=console)
        console.print("Stopping the service. To keep one running: scripts/up")
        return same


def _spec(dataset: str, *, epochs: int) -> dict[str, object]:
    """With all that is drawn at random on the way: the order of the rows, and dropout."""
    network = {"hidden_layers": [10], "activation": "relu", "dropout": 0.1}
    return {**spec(dataset, epochs=epochs), "network": network, "optimizer": {"name": "adam"}, "batch_size": 16, "pack": False}


def _killed(client: Client, dataset: str, *, epochs: int, marks: list[int], console: Console) -> tuple[Job, int]:
    job = client.submit(_spec(dataset, epochs=epochs) | {"name": "killed"})
    console.print(f"Job          {job['id']}: to be killed\n")
    killer = Killer(client, job, console, marks)
    job = follow_on_screen(client, job, console=console, pages=killer.following())
    console.print(f"\n{outcome(job)}")
    return job, len(killer.killed)


def _undisturbed(client: Client, dataset: str, *, epochs: int, console: Console) -> Job:
    job = client.submit(_spec(dataset, epochs=epochs) | {"name": "undisturbed"})
    console.print(f"Job          {job['id']}: the same spec, left alone\n")
    job = follow_on_screen(client, job, console=console)
    console.print(f"\n{outcome(job)}\n")
    return job


def _compare(client: Client, killed: Job, undisturbed: Job, *, kills: int, console: Console) -> bool:
    mine, other = client.history(killed["id"]), client.history(undisturbed["id"])
    weights, expected = _weights(client, killed), _weights(client, undisturbed)
    checks = {
        f"training processes killed: {kills}, attempts: {killed['attempt']}": 0 < kills < killed["attempt"],
        f"both succeeded, after {undisturbed['progress']['epoch']:,} epochs": killed["status"]
        == undisturbed["status"]
        == "succeeded",
        "every epoch is stored exactly once": mine["epoch"] == other["epoch"] == list(range(1, len(other["epoch"]) + 1)),
        "every loss and metric of every epoch is equal": _numbers(mine) == _numbers(other),
        **{
            f"{kind} weights are equal: SHA-256 {expected[kind][:16]}…": weights.get(kind) == expected[kind]
            for kind in expected
        },
    }
    found = table("The killed run beside the undisturbed one")
    found.show_header = False
    found.add_column()
    found.add_column()
    for what, holds in checks.items():
        found.add_row(what, "[green]yes[/]" if holds else "[bold red]NO[/]")
    console.print(found)
    same = all(checks.values())
    console.print("[bold green]Verdict      the same, to the last bit[/]" if same else "[bold red]Verdict      they differ[/]")
    return same


def _numbers(history: History) -> tuple[object, ...]:
    """All but the seconds; JSON carries a float64 exactly."""
    return history["train_loss"], history["val_loss"], history["learning_rate"], history["metrics"]


def _weights(client: Client, job: Job) -> dict[str, str]:
    """The SHA-256 of the weights by kind of checkpoint."""
    return {
        kind: file["sha256"]
        for checkpoint in client.checkpoints(job["id"])
        for kind in checkpoint["kinds"]
        for file in checkpoint["files"]
        if file["name"] == "weights.safetensors"
    }
