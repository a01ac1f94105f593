"""`trainyard keys`: straight at the database, for the first key and for those of every project."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.domain.caller import Caller
from app.domain.escaping import escaped
from app.domain.keys import SCOPES, Scope
from app.domain.mistakes import Mistake
from app.settings import Settings

if TYPE_CHECKING:
    from app.services.keys import Keys, KeyView

commands = typer.Typer(no_args_is_help=True)

AT_A_TIME = 200
OPERATOR = Caller()

Data = Annotated[Path | None, typer.Option(help="Folder of everything the service keeps [TRAINYARD_DATA, ./data]")]
Name = Annotated[str | None, typer.Option(help="What it is for")]
Project = Annotated[str | None, typer.Option(help="Whose it is; made if it is not there [default]")]
Scopes = Annotated[list[str] | None, typer.Option(help="read, write or admin; given once for each [read and write]")]
Days = Annotated[float | None, typer.Option(min=0, max=36500, help="How long it is good [for ever]")]


@commands.command("create")
def create(name: Name = None, project: Project = None, scope: Scopes = None, days: Days = None, data: Data = None) -> None:
    """Make a key and print its secret, which is stored nowhere."""
    from app.services.keys import Wish

    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    wish = Wish(name=name, project=project, scopes=_scopes(scope or ["read", "write"]), expires_at=expires_at)
    with _keys(data) as keys:
        made = keys.create(OPERATOR, wish)
    typer.echo(f"{made.row.id} of the project {made.project}; its secret is shown this once:", err=True)
    typer.echo(made.secret)


@commands.command("list")
def list_keys(data: Data = None) -> None:
    """Show every project's keys, oldest first, with when each was used last."""
    with _keys(data) as keys:
        for view in _every(keys):
            typer.echo(_line(view))


@commands.command("revoke")
def revoke(id: str, data: Data = None) -> None:
    """Revoke a key by its id: from now on no request is answered with it."""
    with _keys(data) as keys:
        keys.revoke(OPERATOR, id)


def _scopes(words: Sequence[str]) -> list[Scope]:
    if wrong := [word for word in words if word not in SCOPES]:
        raise Mistake(f"There is no scope {wrong[0]!r}: it is one of {', '.join(SCOPES)}.")
    return [scope for scope in SCOPES if scope in words]


def _every(keys: "Keys") -> Iterator["KeyView"]:
    from app.persistence.paging import Page

    page = Page(limit=AT_A_TIME, order="asc")
    while views := keys.page(OPERATOR, page)[:AT_A_TIME]:
        yield from views
        page = Page(limit=AT_A_TIME, order="asc", after=views[-1].row.id)


def _line(view: "KeyView") -> str:
    row = view.row
    ends = f"until {row.expires_at:%Y-%m-%d %H:%M}" if row.expires_at else "for ever"
    used = f"used {row.last_used_at:%Y-%m-%d %H:%M}" if row.last_used_at else "never used"
    return "\t".join([row.id, view.project, ",".join(row.scopes), ends, used, escaped(row.name or "")])


@contextmanager
def _keys(data: Path | None) -> Iterator["Keys"]:
    from app.persistence.database import Database
    from app.persistence.migrate import require_current
    from app.services.keys import Keys

    settings = Settings() if data is None else Settings(data=data)
    database = Database(settings.resolved_database_url)
    try:
        require_current(database.engine)
        yield Keys(database)
    finally:
        database.close()
