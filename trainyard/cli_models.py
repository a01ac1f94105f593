"""`trainyard models`: the registry from the command line."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from trainyard.arguments import ID_WIDTH, Key, RowsFile, To, Url, fail, given
from trainyard.client import DEFAULT_URL, Client

commands = typer.Typer(no_args_is_help=True, help="Name checkpoints, move aliases, predict by a name.")

Name = Annotated[str, typer.Argument(help="The model's name")]
AliasName = Annotated[str, typer.Argument(help="The alias")]
Source = Annotated[str, typer.Argument(help="A checkpoint's id, or a job's, of which the best is taken")]
Described = Annotated[str | None, typer.Option(help="What it is for")]


@commands.command("create")
def create(name: Name, description: Described = None, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Register a name."""
    with Client(url, key=key) as client:
        typer.echo(client.models.create(name, description=description)["name"])


@commands.command("register")
def register(name: Name, source: Source, description: Described = None, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Register a checkpoint as a model's next version; prints its number. The first one becomes the alias `default`."""
    with Client(url, key=key) as client:
        checkpoint = _best(client, source) if source.startswith("job_") else source
        typer.echo(client.models.register(name, checkpoint, description=description)["version"])


@commands.command("list")
def list_models(limit: int = 20, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Show the newest models, and where their aliases point."""
    table = Table("name", "latest", "aliases", "description", box=None)
    with Client(url, key=key) as client:
        for model in client.models.list(limit=limit):
            pointing = ", ".join(f"{alias} → {version}" for alias, version in model["aliases"].items())
            table.add_row(model["name"], str(model["latest_version"] or "–"), pointing, model["description"] or "")
    Console().print(table)


@commands.command("show")
def show(name: Name, limit: int = 20, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Show a model's newest versions."""
    table = Table("version", Column("checkpoint", no_wrap=True, min_width=ID_WIDTH), "aliases", "created", box=None)
    with Client(url, key=key) as client:
        for version in client.models.versions(name, limit=limit):
            about = (version["checkpoint"], ", ".join(version["aliases"]), version["created_at"])
            table.add_row(str(version["version"]), *about)
    Console().print(table)


@commands.command("move")
def move(name: Name, alias: AliasName, version: int, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Let an alias, a new one too, point at a version: a switch or a rollback without a failed request."""
    with Client(url, key=key) as client:
        typer.echo(f"{alias} → {client.models.move(name, alias, version)['version']}")


@commands.command("history")
def history(name: Name, alias: AliasName, limit: int = 20, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Show who moved an alias, the newest first."""
    table = Table("when", "from", "to", "key", box=None)
    with Client(url, key=key) as client:
        for one in client.models.history(name, alias, limit=limit):
            table.add_row(one["created_at"], str(one["from"] or "–"), str(one["to"] or "–"), one["prefix"] or "operator")
    Console().print(table)


@commands.command("predict")
def predict(
    name: Name,
    rows: RowsFile,
    version: Annotated[str | None, typer.Option(help="A number or an alias instead of `default`")] = None,
    to: To = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Predict for rows, in JSON each an object or a list; prints the answer as JSON."""
    with Client(url, key=key) as client:
        if to is not None:
            client.models.predict_to(to, name, given(rows), version=version)
        else:
            typer.echo(json.dumps(client.models.predict(name, given(rows), version=version), indent=2))


@commands.command("delete")
def delete(
    name: Name,
    version: Annotated[int | None, typer.Option(help="Only this version")] = None,
    alias: Annotated[str | None, typer.Option(help="Only this alias")] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Delete a model, or one of its versions or aliases; what an alias points at is refused."""
    if version is not None and alias is not None:
        fail("Name a version or an alias, not both.")
    with Client(url, key=key) as client:
        if version is not None:
            client.models.delete_version(name, version)
        elif alias is not None:
            client.models.delete_alias(name, alias)
        else:
            client.models.delete(name)


def _best(client: Client, job: str) -> str:
    found = [checkpoint["id"] for checkpoint in client.checkpoints(job) if "best" in checkpoint["kinds"]]
    return found[0] if found else fail(f"{job} has no best checkpoint yet.")
