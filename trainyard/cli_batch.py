"""`trainyard batch`: batch predictions from the command line."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from trainyard.arguments import ID_WIDTH, Key, Url
from trainyard.batch_predictions import BatchPrediction
from trainyard.client import DEFAULT_URL, Client
from trainyard.suffixes import refuse_other_format

commands = typer.Typer(no_args_is_help=True, help="Predict whole datasets on the workers.")


@commands.command("submit")
def submit(
    dataset: str,
    job: Annotated[str | None, typer.Option(help="Predict with this job's best checkpoint")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="`last` or a checkpoint's id instead of the job's best")] = None,
    model: Annotated[str | None, typer.Option(help="Predict with this model instead of a job")] = None,
    version: Annotated[str | None, typer.Option(help="A number or an alias of the model instead of `default`")] = None,
    format: Annotated[str, typer.Option(help="`parquet` or `csv`")] = "parquet",
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Queue a batch prediction; prints its id."""
    with Client(url, key=key) as client:
        asked = client.batch_predictions.create(
            dataset, job=job, checkpoint=checkpoint, model=model, version=version, format=format
        )
        typer.echo(asked["id"])


@commands.command("list")
def list_batches(limit: int = 20, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Show the newest batch predictions."""
    table = Table(Column("id", no_wrap=True, min_width=ID_WIDTH), "status", "predicted", "of", "with", box=None)
    with Client(url, key=key) as client:
        for one in client.batch_predictions.list(limit=limit):
            source = f"{one['model']} {one['version']}" if one["model"] else one["job"]
            progress = one["progress"]
            table.add_row(one["id"], one["status"], str(progress["predicted"]), str(progress["rows"]), source)
    Console().print(table)


@commands.command("show")
def show(id: str, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Print a batch prediction as JSON: status, progress, what it warns of."""
    with Client(url, key=key) as client:
        typer.echo(json.dumps(client.batch_predictions.get(id), indent=2))


@commands.command("download")
def download(id: str, file: Path, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Wait until a batch prediction is over and write what it predicted to a file; the exit status says whether it did."""
    with Client(url, key=key) as client:
        refuse_other_format(file, client.batch_predictions.get(id)["format"])
        ended = client.batch_predictions.wait(id)
        if ended["status"] == "succeeded":
            client.batch_predictions.download(id, file)
    typer.echo(_sentence(ended))
    raise typer.Exit(0 if ended["status"] == "succeeded" else 1)


@commands.command("cancel")
def cancel(id: str, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Stop a batch prediction; prints its status."""
    with Client(url, key=key) as client:
        typer.echo(client.batch_predictions.cancel(id)["status"])


def _sentence(ended: BatchPrediction) -> str:
    warned = sum(warning["count"] for warning in ended["warnings"])
    told = f"{ended['status']}: {ended['progress']['predicted']} rows, {warned} warnings"
    return told + (f"; {ended['error']['message']}" if ended["error"] else "")
