"""A TCP proxy that can go dark: connections stay open and are accepted, and nothing comes through."""

import socket
from contextlib import suppress
from threading import Event, Thread


class Proxy:
    """Forwards a loopback port of its own to another one."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._light = Event()
        self._light.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._pumps: list[Thread] = []
        self._thread = Thread(target=self._accept, name="proxy", daemon=True)
        self._thread.start()

    def go_dark(self) -> None:
        """From now on nothing comes through."""
        self._light.clear()

    def come_back(self) -> None:
        """What waited goes on its way."""
        self._light.set()

    def close(self) -> None:
        """Take no more connections; those that are open end."""
        self.come_back()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for a connection
        self._thread.join()
        self._listener.close()
        for pump in self._pumps:
            pump.join(timeout=5)

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                self._pumps.append(Thread(target=self._forward, args=(near,), daemon=True))
                self._pumps[-1].start()

    def _forward(self, near: socket.socket) -> None:
        self._light.wait()
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", self._target), timeout=5) as far:
            far.settimeout(None)
            back = Thread(target=self._pump, args=(far, near), daemon=True)
            back.start()
            self._pump(near, far)
            back.join()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._light.wait()
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
