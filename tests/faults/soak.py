"""All faults at random over hundreds of jobs: `scripts/soak MINUTES [--database sqlite|postgresql] [--calm]`."""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import httpx2
import redis

from tests.faults.database import database
from tests.faults.figures import Figures
from tests.faults.invariants import breaches
from tests.faults.subject import SLOW, SPEC, Subject, kill, kill_group, subject
from trainyard import Client, TrainyardProblem

LIVE = 8
DEFAULT_PERIODS = {"TRAINYARD_STALL_SECONDS": "20"}  # an endless step is met within a soak; everything else is as it comes
KINDS: dict[str, dict[str, object]] = {
    "quick": {**SPEC, "epochs": 300},
    "slow": {**SLOW, "epochs": 60},
    "long": {**SLOW, "epochs": 300, "batch_size": 4},
    "packed": {**SPEC, "epochs": 300, "pack": True},
    "sweep": {**SPEC, "epochs": 200, "pack": True},
    "suicidal": {**SLOW, "loss": {"name": "custom:suicidal"}},
    "greedy": {**SLOW, "loss": {"name": "custom:greedy"}},
    "diverging": {**SLOW, "loss": {"name": "custom:diverging"}},
}
WEIGHTS = {"quick": 40, "slow": 25, "long": 6, "packed": 20, "sweep": 4, "suicidal": 1, "greedy": 2, "diverging": 3}
CALM = {"tiny": 1}
KINDS["tiny"] = {**SPEC, "epochs": 20}
REFERENCES = ("quick", "slow", "long")


class Soak:
    """Submits without end in one thread, and does harm in another."""

    def __init__(self, served: Subject, restart_database: Callable[[], None] | None, draw: random.Random) -> None:
        self.served, self.figures = served, Figures()
        self._restart_database, self._draw, self._over = restart_database, draw, Event()
        self._dark, self._weights = Event(), WEIGHTS
        with Client(served.url) as client:
            self._iris = client.sample("iris")["id"]
            ids = {kind: served.submit(client, KINDS[kind] | {"dataset": self._iris}) for kind in REFERENCES}
            served.settle(client, list(ids.values()), seconds=300)
        self._twins = ids

    def run(self, seconds: float, *, calm: bool) -> None:
        """Both threads for so long; then nothing is done any more, and everything comes to its end."""
        self._weights = CALM if calm else WEIGHTS
        submitter = Thread(target=self._submit_all, daemon=True)
        submitter.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._over.wait(self._draw.uniform(3, 9))
            if not calm:
                self._harm()
            self.served.revive()  # as whatever watches over processes does
            self.figures.sample(self.served)
        self._over.set()
        submitter.join()
        with suppress(AssertionError):  # what is not whole in the end is told by the record
            self.served.heal()

    def _submit_all(self) -> None:
        with Client(self.served.url, timeout=10) as client:
            while not self._over.is_set():
                with suppress(httpx2.TransportError, TrainyardProblem):
                    if sum(1 for _ in client.jobs(status=("queued", "running"), limit=LIVE)) >= LIVE:
                        self._over.wait(0.2)
                        continue
                    self._submit(client)

    def _submit(self, client: Client) -> None:
        [kind] = self._draw.choices(list(self._weights), [*self._weights.values()])
        if kind == "sweep":
            self.served.submit_sweep(client, KINDS[kind] | {"dataset": self._iris}, trials=4)
            return
        before = time.monotonic()
        self.served.submit(client, KINDS[kind] | {"dataset": self._iris}, like=self._twins.get(kind))
        self.figures.submitted(time.monotonic() - before, dark=self._dark.is_set())

    def _harm(self) -> None:
        faults: list[Callable[[], None]] = [
            *[self.kill_process] * 4,
            *[self.kill_worker] * 2,
            *[self.stop_worker] * 2,
            *[self.cancel] * 3,
            self.sleep,
            self.wipe_broker,
            self.darken_broker,
            self.forge,
            self.kill_api,
            *([self.stop_database] if self._restart_database else []),
        ]
        with suppress(httpx2.TransportError, TrainyardProblem):
            self._draw.choice(faults)()

    def _victim(self) -> str | None:
        """A job that is being trained and has not crashed twice already: the third time would end it, and rightly."""
        found = self.served.running(most_crashes=1)
        return self._draw.choice(found) if found else None

    def kill_process(self) -> None:
        """SIGKILL of a training process."""
        if (job := self._victim()) and (pid := self.served.trainer_of(job)):
            self.served.did("SIGKILL of the process", job=job)
            kill(pid)
            self.figures.kills += 1

    def kill_worker(self) -> None:
        """SIGKILL of a worker with all that it started."""
        job = self._victim()
        worker = self.served.training().get(self.served.trainer_of(job) or 0) if job else None
        if worker:
            self.served.did("SIGKILL of the worker", job=job)
            kill_group(self.served.parts.parts[worker])
            self.figures.kills += 1
            self.served.start_worker(worker)

    def stop_worker(self) -> None:
        """SIGTERM of a worker."""
        worker = self._draw.choice(list(self.served.workers))
        process, before = self.served.parts.parts[worker], time.monotonic()
        self.served.did(f"SIGTERM of {worker}")
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        self.figures.stops.append(time.monotonic() - before)
        self.served.start_worker(worker)

    def sleep(self) -> None:
        """SIGSTOP beyond the lease, then SIGCONT."""
        if (job := self._victim()) and (pid := self.served.trainer_of(job)):
            self.served.did("SIGSTOP", job=job)
            kill(pid, signal.SIGSTOP)
            self._over.wait(33)
            self.served.did("SIGCONT", job=job)
            kill(pid, signal.SIGCONT)

    def cancel(self) -> None:
        """Cancel a job that is being trained."""
        if job := self._victim():
            self.served.twins.pop(job, None)
            alive = self.served.trainer_of(job) in self.served.training()
            self.served.did("cancel" if alive else "cancel of a job whose process is dead", job=job)
            with Client(self.served.url, timeout=10) as client:
                client.cancel(job)

    def wipe_broker(self) -> None:
        """The broker dies and comes back empty."""
        self.served.did("the broker is wiped")
        kill_group(self.served.parts.parts["broker"])
        self.served.start_broker()

    def darken_broker(self) -> None:
        """The broker is frozen for some seconds."""
        self.served.did("the broker goes dark")
        self._dark.set()
        self.served.proxy.go_dark()
        self._over.wait(8)
        self._dark.clear()
        self.served.proxy.come_back()

    def forge(self) -> None:
        """Messages that nobody sent."""
        self.served.did("forged messages")
        forged(self.served)

    def kill_api(self) -> None:
        """SIGKILL of the API."""
        self.served.did("SIGKILL of the API")
        kill_group(self.served.parts.parts["api"])
        self.served.start_api()

    def stop_database(self) -> None:
        """PostgreSQL's `immediate` stop."""
        if self._restart_database:
            self.served.did("the database is stopped")
            self._restart_database()


def forged(served: Subject) -> None:
    """What anyone who reaches the broker could send: garbage, an unknown task, our task with an unknown id and with none."""
    with redis.Redis(port=served.broker_port) as client:
        client.lpush("cpu", "garbage")
    from app.queueing.celery import make_celery

    celery = make_celery(f"redis://127.0.0.1:{served.broker_port}/0")
    for task, arguments in (("trainyard.train", ["job_none"]), ("trainyard.train", []), ("no.such.task", [1])):
        celery.send_task(task, args=arguments, queue="cpu", retry=False, ignore_result=True)
    celery.close()


def main() -> int:
    """0 where every invariant held."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--calm", action="store_true", help="jobs without faults, to see whether memory stays flat")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="trainyard-soak-"))
    with (
        database(asked.database, folder) as (url, restart),
        subject(url, folder, periods={}, environment=DEFAULT_PERIODS) as served,
    ):
        soak = Soak(served, restart, random.Random(asked.seed))
        soak.run(asked.minutes * 60, calm=asked.calm)
        record = served.record()
        found = breaches(record)
        print(f"database: {asked.database}, {asked.minutes:g} minutes, seed {asked.seed}, logs in {folder}")
        print(soak.figures.lines(record))
        print(f"breaches: {len(found)}", *found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
