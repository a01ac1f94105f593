"""Where the service listens: the socket, its URL, and whether it is ready."""

import http.client
import json
import socket
from urllib.parse import urlsplit

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; OSError where it cannot be had."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    # A server that gets it as a number does not know that it is TCP. Without this each answer on a kept connection waits
    # 40 ms for the caller's acknowledgement between its headers and its body. Accepted sockets inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(host: str, port: int) -> str:
    """The URL that a caller on this machine uses."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def is_ready(url: str) -> bool:
    """True when `/readyz` answers 200."""
    return lacking(url) == []


def lacking(url: str) -> list[str] | None:
    """Which parts `/readyz` waits for, none when it answers 200; None where there is no such answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        told: dict[str, str] = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    if answer.status == http.client.OK:
        return []
    return [name for name, status in told.items() if status in ("down", "starting")] or None
