"""The server's commands: `up` for one machine; `api`, `worker` and `migrate` for a cluster; `keys`."""

import os
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from app import cli_keys
from app.domain.mistakes import Mistake
from app.settings import Settings

if TYPE_CHECKING:
    from app.upkeep.supervisor import Plan

commands = typer.Typer(no_args_is_help=True)
commands.add_typer(cli_keys.commands, name="keys", help="Make, list and revoke keys, at the database.")

WORKER_SILENCE_SECONDS = 60

Data = Annotated[Path | None, typer.Option(help="Folder of everything the service keeps [TRAINYARD_DATA, ./data]")]
Host = Annotated[str | None, typer.Option(help="Address to listen on [TRAINYARD_HOST, 127.0.0.1]")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on, 0 for a free one [TRAINYARD_PORT, 8000]")]
Slots = Annotated[int | None, typer.Option(min=0, help="Jobs to train at once [TRAINYARD_SLOTS, one per GPU or per two cores]")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Logs go to the terminal instead of the folder `logs`")]
Check = Annotated[bool, typer.Option("--check", help="Start nothing: exit with 0 if the one on this machine is ready, else 1")]
Parent = Annotated[int | None, typer.Option(help="Stop when this process, which started us, ends", hidden=True)]


@commands.command()
def up(
    data: Data = None,
    host: Host = None,
    port: Port = None,
    slots: Slots = None,
    verbose: Verbose = False,
    parent: Parent = None,
) -> None:
    """Run the whole service on this machine, in the foreground; Ctrl-C stops it."""
    from app.upkeep.commands import DESCRIPTORS
    from app.upkeep.machine import allow_descriptors
    from app.upkeep.parent import ending_with
    from app.upkeep.supervisor import Supervisor

    if parent is not None:
        ending_with(parent)()
    settings = _settings(data=data, host=host, port=port, slots=slots)
    _require_key_beyond_loopback(settings)
    os.environ.update(_environment(settings), TRAINYARD_EXPECT_WORKER="true")
    allow_descriptors(DESCRIPTORS)
    Supervisor(_plan(settings, logs_on_terminal=verbose)).run()


@commands.command()
def api(host: Host = None, port: Port = None, check: Check = False) -> None:
    """Run the API alone, against the database, broker and storage that the environment names."""
    from app.upkeep.address import is_ready, url_of
    from app.upkeep.commands import DESCRIPTORS, api_command
    from app.upkeep.machine import allow_descriptors

    settings = _settings(host=host, port=port)
    if check:
        raise typer.Exit(0 if is_ready(url_of(settings.host, settings.port)) else 1)
    _require_key_beyond_loopback(settings)
    _require_database_and_storage(settings)
    os.environ.update(_environment(settings))
    allow_descriptors(DESCRIPTORS)
    _become(api_command(workers=settings.api_workers, bind=("--host", settings.host, "--port", str(settings.port))))


@commands.command()
def worker(slots: Slots = None, check: Check = False) -> None:
    """Run a worker alone, against the database, broker and storage that the environment names."""
    from app.upkeep.commands import worker_command
    from app.upkeep.machine import gpus

    settings = _settings(slots=slots)
    if check:
        raise typer.Exit(0 if _is_training_here(settings) else 1)
    _require_database_and_storage(settings)
    os.environ.update(_environment(settings))
    _become(worker_command(slots=_slots(settings), queues="cpu,gpu" if gpus() else "cpu"))


@commands.command()
def migrate() -> None:
    """Bring the database's schema up to date."""
    from app.persistence.database import Database
    from app.persistence.migrate import migrate as bring_up_to_date
    from app.upkeep.claim import make

    settings = _settings()
    database = Database(settings.resolved_database_url)
    if database.file is not None and database.file.is_relative_to(settings.folder):
        make(settings.folder)  # SQLite makes its file, but not the folder that the file is in
    bring_up_to_date(database.engine)
    database.close()


def _settings(**chosen: object) -> Settings:
    """The environment's settings, with what the command line says instead."""
    return Settings(**{name: value for name, value in chosen.items() if value is not None})  # type: ignore[arg-type]


def _environment(settings: Settings) -> dict[str, str]:
    """What children and successors must know of the command line."""
    chosen = {"data": settings.folder, "host": settings.host, "port": settings.port, "slots": settings.slots}
    return {f"TRAINYARD_{name.upper()}": str(value) for name, value in chosen.items()}


def _plan(settings: Settings, *, logs_on_terminal: bool) -> "Plan":
    from app.upkeep.supervisor import Plan

    return Plan(
        folder=settings.folder,
        host=settings.host,
        port=settings.port,
        database_url=settings.resolved_database_url,
        storage_url=settings.resolved_storage_url,
        socket=None if settings.redis_url else settings.socket,
        api_workers=settings.api_workers,
        slots=_slots(settings),
        logs_on_terminal=logs_on_terminal,
    )


def _slots(settings: Settings) -> int:
    from app.upkeep.machine import default_slots

    return settings.slots or default_slots()


def _require_key_beyond_loopback(settings: Settings) -> None:
    if not settings.api_key and not _is_loopback(settings.host) and not _has_keys(settings):
        where = f"Without a key the service listens on loopback only, not on {settings.host}"
        raise Mistake(f"{where}: set TRAINYARD_API_KEY, or make one with `trainyard keys create`.")


def _has_keys(settings: Settings) -> bool:
    """True where a key was made; in a database that is not there, or is older than keys, there is none."""
    from sqlalchemy.exc import SQLAlchemyError

    from app.persistence.database import Database
    from app.persistence.keys import any_made

    database = Database(settings.resolved_database_url)
    try:
        with database.read() as connection:
            return any_made(connection)
    except SQLAlchemyError:
        return False
    finally:
        database.close()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_database_and_storage(settings: Settings) -> None:
    """Here a mistake is a sentence; in the server it would be a traceback in the log."""
    from app.persistence.database import Database
    from app.persistence.migrate import require_current
    from app.storage.opening import require_usable

    database = Database(settings.resolved_database_url)
    try:
        require_current(database.engine)
    finally:
        database.close()
    require_usable(settings.resolved_storage_url)


def _is_training_here(settings: Settings) -> bool:
    """True when a training process of this machine has been heard of lately."""
    from app.persistence.database import Database
    from app.upkeep.warm import warm_processes

    database = Database(settings.resolved_database_url)
    try:
        return bool(warm_processes(database, seconds=WORKER_SILENCE_SECONDS))
    finally:
        database.close()


def _become(command: tuple[str, ...]) -> NoReturn:
    """Replace this process, so that signals reach the server itself."""
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606 - the command is our own
