"""Celery's consumer, which cares for its training processes also while it waits for the broker."""

from typing import Any

import structlog
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown

log = structlog.get_logger()


class CaringConsumer(Consumer):  # type: ignore[misc]  # Celery carries no types
    """Named by the setting `worker_consumer`."""

    first_connection_attempt: bool

    def ensure_connected(self, connection: Any) -> Any:
        """Try for ever. Celery's own waits without its event loop, and without that a process that died has no successor."""
        if self.first_connection_attempt:
            self.pool.register_with_event_loop(self.hub)  # as after each connection: else none of its places becomes free
        connected = connection.ensure_connection(_on_error, None, callback=self._care)
        self.first_connection_attempt = False
        return connected

    def _care(self) -> None:
        """Called about every second."""
        maybe_shutdown()
        self.pool.maintain_pool()


def _on_error(error: Exception, interval: float) -> None:
    log.warning("broker.away", error=type(error).__name__, again_in_seconds=interval)
