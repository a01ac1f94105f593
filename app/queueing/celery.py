"""Celery as the doorbell: rung best-effort, from a thread of its own, so that no request ever waits for the broker."""

from queue import SimpleQueue
from threading import Thread

import structlog
from celery import Celery

from app.queueing.names import CPU_QUEUE, TASK, queue_of

log = structlog.get_logger()

WAITING_RINGS = 10_000

# Each line was earned: see docs/adr/0001-the-database-is-the-truth.md.
_TRANSPORT = {
    "socket_timeout": 10,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 5,
}
_SETTINGS = {
    "accept_content": ["json"],
    "task_serializer": "json",
    "task_ignore_result": True,
    "task_acks_late": False,
    "task_default_queue": CPU_QUEUE,
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    # Celery would kill a process whose first word it has not read, and it reads none while the broker is away: we look.
    "worker_proc_alive_timeout": 86400,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": _TRANSPORT,
}


def make_celery(redis_url: str) -> Celery:
    """The Celery app of API and worker alike; connects to nothing yet."""
    app = Celery("trainyard", broker=redis_url)
    app.conf.update(_SETTINGS)
    return app


class Doorbell:
    """Says on the queue that a job is worth a look; a ring that gets lost is rung again by the housekeeper."""

    def __init__(self, redis_url: str) -> None:
        self._celery = make_celery(redis_url)
        # Without this kombu tries to connect for ever, and nothing behind the ring in hand is sent, nor can the thread end.
        self._celery.conf.broker_transport_options = {**_TRANSPORT, "max_retries": 0}
        self._rings: SimpleQueue[tuple[str, str] | None] = SimpleQueue()  # to put into a Queue takes a tenth of a request
        self._thread = Thread(target=self._send_all, name="doorbell", daemon=True)
        self._thread.start()

    def ring(self, job_id: str, device: str) -> None:
        """Return at once; with thousands of rings waiting for a dead broker the new one is dropped."""
        if self._rings.qsize() < WAITING_RINGS:
            self._rings.put((job_id, device))
        else:
            log.warning("doorbell.full", job=job_id)

    def check(self) -> bool:
        """True when the broker answers."""
        try:
            with self._celery.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, timeout=2)
        except Exception:  # whatever kombu makes of a refused, missing or frozen broker
            return False
        return True

    def close(self) -> None:
        """Stop sending; rings still waiting are the housekeeper's."""
        self._rings.put(None)
        self._thread.join(timeout=3)
        self._celery.close()

    def _send_all(self) -> None:
        while (ring := self._rings.get()) is not None:
            job_id, device = ring
            try:
                self._celery.send_task(TASK, args=[job_id], queue=queue_of(device), retry=False, ignore_result=True)
            except Exception as error:  # see check
                log.warning("doorbell.unheard", job=job_id, error=type(error).__name__)
