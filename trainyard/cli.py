"""`trainyard`: the client's commands, and the server's where the server is installed."""

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Literal

import httpx2
import typer
from rich.console import Console
from rich.table import Column, Table

from trainyard import cli_batch, cli_models
from trainyard.arguments import ID_WIDTH, File, Key, RowsFile, To, Url, fail, given, parsed
from trainyard.client import DEFAULT_URL, Client
from trainyard.evaluations import json_of
from trainyard.problem import TrainyardProblem
from trainyard.screen import follow_on_screen, shown
from trainyard.suffixes import UPLOADED, Unfit

app = typer.Typer(
    no_args_is_help=True,
    help="Train multilayer perceptrons on tabular data.",
    pretty_exceptions_enable=False,
    add_completion=False,
)
datasets = typer.Typer(no_args_is_help=True, help="Upload data.")
jobs = typer.Typer(no_args_is_help=True, help="Submit and follow jobs.")
sweeps = typer.Typer(no_args_is_help=True, help="Submit and compare many jobs from one spec.")
app.add_typer(datasets, name="datasets")
app.add_typer(jobs, name="jobs")
app.add_typer(sweeps, name="sweeps")
app.add_typer(cli_models.commands, name="models")
app.add_typer(cli_batch.commands, name="batch")

Checkpoint = Annotated[str | None, typer.Option(help="`last` or a checkpoint's id instead of the best")]
Values = Annotated[
    list[str] | None,
    typer.Option(help="PATH=VALUE: a dotted path into the spec, and a value in JSON; may be given more than once"),
]
Data = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="Its suffix says what it is")]
Type = Literal["csv", "tsv", "jsonl", "parquet", "arrow", "npz"]


@datasets.command("upload")
def upload(
    file: Data,
    name: str | None = None,
    type: Annotated[Type | None, typer.Option(help="What it is, whatever its suffix")] = None,
    schema: Annotated[typer.FileText | None, typer.Option(help="A JSON file: column to kind, missing markers")] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Store a CSV, TSV, JSON Lines, Parquet, Arrow or NumPy file; prints the dataset's id."""
    known, content_type = parsed(schema, dict) if schema else None, UPLOADED[f".{type}"] if type else None
    with Client(url, key=key) as client:
        typer.echo(client.upload(file, name=name, content_type=content_type, schema=known)["id"])


@datasets.command("sample")
def sample(name: str, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Store a built-in sample such as iris; prints the dataset's id."""
    with Client(url, key=key) as client:
        typer.echo(client.sample(name)["id"])


@jobs.command("submit")
def submit(spec: File, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Queue a job from a spec; prints the job's id."""
    with Client(url, key=key) as client:
        typer.echo(client.submit(parsed(spec, dict))["id"])


@jobs.command("clone")
def clone(
    id: str,
    set: Values = None,
    from_checkpoint: Annotated[str | None, typer.Option(help="Start from this checkpoint's weights")] = None,
    continues: Annotated[bool, typer.Option("--continue", help="Go on from where its training stood")] = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Queue a new job from another one's spec; prints the new job's id."""
    with Client(url, key=key) as client:
        values = dict(map(_setting, set or ()))
        typer.echo(client.clone(id, set=values, from_checkpoint=from_checkpoint, continues=continues)["id"])


@jobs.command("plan")
def plan(spec: File, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Show as JSON what a job of this spec would be; the exit status is 1 where it would be refused."""
    with Client(url, key=key) as client:
        found = client.plan(parsed(spec, dict))
    typer.echo(json.dumps(found, indent=2))
    raise typer.Exit(1 if found["would_be_refused"] else 0)


@jobs.command("evaluate")
def evaluate(id: str, dataset: str, checkpoint: Checkpoint = None, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Evaluate a job's best checkpoint on a dataset; prints loss and metrics as JSON."""
    with Client(url, key=key) as client:
        typer.echo(json.dumps(json_of(client.evaluate(id, dataset, checkpoint=checkpoint)), indent=2))


@jobs.command("follow")
def follow(id: str, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Show a job's losses until it is over; the exit status says whether it succeeded."""
    with Client(url, key=key) as client:
        job = follow_on_screen(client, client.job(id), console=Console(highlight=False))
    typer.echo(f"{job['status']} ({job['stop_reason']})" + (f": {job['error']['message']}" if job["error"] else ""))
    raise typer.Exit(0 if job["status"] == "succeeded" else 1)


@jobs.command("list")
def list_jobs(limit: int = 20, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Show the newest jobs."""
    table = Table(Column("id", no_wrap=True, min_width=ID_WIDTH), "name", "status", "epoch", "train loss", "val loss", box=None)
    with Client(url, key=key) as client:
        for job in client.jobs(limit=limit):
            losses = job["latest"]
            cells = (shown(losses["train_loss"]), shown(losses["val_loss"])) if losses else ("–", "–")
            table.add_row(job["id"], job["name"] or "", job["status"], str(job["progress"]["epoch"]), *cells)
    Console().print(table)


@app.command("code")
def code(job: str, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Print a job as a plain torch script that reads the dataset as CSV and prints the same losses."""
    with Client(url, key=key) as client:
        typer.echo(client.code(job), nl=False)


@sweeps.command("submit")
def submit_sweep(sweep: File, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Queue the trials of a sweep; prints the sweep's id."""
    with Client(url, key=key) as client:
        typer.echo(client.submit_sweep(parsed(sweep, dict))["id"])


@sweeps.command("show")
def show_sweep(id: str, limit: int = 10, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Show how far a sweep is, and its best trials."""
    with Client(url, key=key) as client:
        sweep, best = client.sweep(id), list(client.leaderboard(id, limit=limit))
    progress = sweep["progress"]
    over = progress["succeeded"] + progress["failed"] + progress["cancelled"]
    typer.echo(f"{sweep['status']}: {over} of {progress['trials']} trials are over, {progress['failed']} of them failed")
    table = Table(Column("job", no_wrap=True, min_width=ID_WIDTH), "status", sweep["metric"], *sweep["search"], box=None)
    for trial in best:
        values = [json.dumps(trial["parameters"][path]) for path in sweep["search"]]
        table.add_row(trial["id"], trial["status"], shown(trial["value"]), *values)
    Console().print(table)


@sweeps.command("cancel")
def cancel_sweep(id: str, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Stop every live trial of a sweep; prints the sweep's status."""
    with Client(url, key=key) as client:
        typer.echo(client.cancel_sweep(id)["status"])


@app.command("predict")
def predict(
    job: str,
    rows: RowsFile,
    checkpoint: Checkpoint = None,
    to: To = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Predict for rows, in JSON each an object or a list; prints the answer as JSON."""
    with Client(url, key=key) as client:
        if to is not None:
            client.predict_to(to, job, given(rows), checkpoint=checkpoint)
        else:
            typer.echo(json.dumps(client.predict(job, given(rows), checkpoint=checkpoint), indent=2))


@app.command("demo")
def demo(
    output: Annotated[Path, typer.Option(help="Folder for what it writes")] = Path("demo-output"),
    epochs: Annotated[int, typer.Option(help="How long to train")] = 20_000,
    kill: Annotated[bool, typer.Option("--kill", help="Kill the training process on the way; the result is compared")] = False,
    kills: Annotated[int, typer.Option(min=1, help="How many times --kill does")] = 4,
) -> None:
    """Train a small network on Iris with a service of its own."""
    from trainyard import demo, killing
    from trainyard.service import ServiceFailed

    try:
        good = (
            killing.run(output, epochs=epochs, kills=kills)
            if kill
            else demo.run(output, epochs=epochs)["status"] == "succeeded"
        )
    except ServiceFailed as error:
        fail(str(error))
    raise typer.Exit(0 if good else 1)


def _setting(text: str) -> tuple[str, object]:
    """`path=value` with the value in JSON, or as a text where it is none."""
    path, sign, value = text.partition("=")
    if not sign:
        fail(f"{text} sets nothing: write PATH=VALUE.")
    try:
        return path, json.loads(value)
    except ValueError:
        return path, value


def _mount_server() -> AbstractContextManager[None]:
    """The server's commands, unless only the client is installed; answers what tells their mistakes."""
    try:
        from app.cli import commands
        from app.telling import telling
    except ModuleNotFoundError:
        return nullcontext()
    app.add_typer(commands)
    return telling()


def main() -> None:
    """The console script."""
    with _mount_server():
        try:
            app()
        except (TrainyardProblem, Unfit) as refusal:
            fail(str(refusal))
        except httpx2.TransportError as error:
            fail(f"The service does not answer: {error}")
