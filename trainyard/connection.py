"""One HTTP connection to a service: sends, tries again where that is safe, turns refusals into exceptions."""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import BinaryIO
from uuid import uuid4

import httpx2

from trainyard.problem import TrainyardProblem

TRIES = 4
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
PAGE = 200
WAIT_SECONDS = 30

Params = dict[str, str | int | list[str]]


class Connection:
    """Sends requests to one service."""

    def __init__(self, url: str, *, key: str | None = None, timeout: float = 60.0) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        # Waiting calls are held up to 60 s by the server.
        limits = httpx2.Timeout(timeout, read=timeout + 60)
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=limits, verify=trusted(url))

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str, *, params: Mapping[str, str | int | list[str]] | None = None) -> httpx2.Response:
        """Read something."""
        return self._send(lambda: self._http.get(path, params=dict(params or {})))

    def listed(self, path: str, params: Params, *, limit: int | None) -> Iterator[object]:
        """The items of a list, page by page; all of them without a limit."""
        return islice(self._pages(path, {**params, "limit": min(limit or PAGE, PAGE)}), limit)

    def waited(self, path: str, *, timeout: float | None) -> dict[str, object]:
        """What stands there once it is terminal; TimeoutError after so many seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = WAIT_SECONDS if end is None else end - time.monotonic()
            found: dict[str, object] = self.get(path, params={"wait": int(max(0, min(left, WAIT_SECONDS)))}).json()
            if found["terminal"]:
                return found
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"{found['id']} is {found['status']} after {timeout} s")

    def _pages(self, path: str, params: Params) -> Iterator[object]:
        more = True
        while more:
            page = self.get(path, params=params).json()
            yield from page["data"]
            more, params = page["has_more"], {**params, "after": page["next"] or ""}

    def put(self, path: str, *, json: object) -> httpx2.Response:
        """Set something; a second try sets the same."""
        return self._send(lambda: self._http.put(path, json=json))

    def delete(self, path: str) -> None:
        """Delete something."""
        self._send(lambda: self._http.delete(path))

    def post(
        self,
        path: str,
        *,
        json: object = None,
        content: BinaryIO | None = None,
        content_type: str | None = None,
        params: Mapping[str, str | list[str]] | None = None,
        accept: str = "*/*",
    ) -> httpx2.Response:
        """Create something: the key makes a second try safe, for the service answers it as it answered the first."""
        headers = {"Idempotency-Key": uuid4().hex, "Accept": accept} | ({"Content-Type": content_type} if content_type else {})

        def attempt() -> httpx2.Response:
            if content is not None:
                content.seek(0)
            return self._http.post(path, json=json, content=content, headers=headers, params=dict(params or {}))

        return self._send(attempt)

    def stream(self, path: str, *, headers: Mapping[str, str], params: Mapping[str, str | int]) -> httpx2.Response:
        """An answer that is read piece by piece; the caller closes it."""
        request = self._http.build_request("GET", path, headers=dict(headers), params=dict(params))
        response = self._http.send(request, stream=True)
        if response.is_error:
            response.read()
            response.close()
            raise TrainyardProblem.of(response)
        return response

    def _send(self, attempt: Callable[[], httpx2.Response]) -> httpx2.Response:
        for number in range(TRIES - 1):
            try:
                response = attempt()
            except httpx2.TransportError:
                time.sleep(FIRST_PAUSE_SECONDS * 2**number)
                continue
            if not _worth_another_try(response):
                return _accepted(response)
            time.sleep(_pause(response))
        return _accepted(attempt())


def trusted(url: str) -> ssl.SSLContext | bool:
    """Whose certificates are believed: nobody's where none is shown, for to read those of all authorities takes 20 ms."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.lower().startswith("http://") else True


def _accepted(response: httpx2.Response) -> httpx2.Response:
    if response.is_error:
        raise TrainyardProblem.of(response)
    return response


def _worth_another_try(response: httpx2.Response) -> bool:
    return "Retry-After" in response.headers and response.headers.get("x-should-retry") != "false"


def _pause(response: httpx2.Response) -> float:
    try:
        return min(float(response.headers["Retry-After"]), LONGEST_PAUSE_SECONDS)
    except ValueError:  # a date: nobody here sends one
        return 1.0
