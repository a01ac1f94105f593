"""A random program: callers, workers and the housekeeper in any order, also in the midst of each other's work."""

from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from app.domain.job import Status
from tests.life import promises
from tests.life.client import Client
from tests.life.luck import Died
from tests.life.world import World

# Of a worker that runs while another one waits in the midst of its own report.
DEEPEST = 3
ROUNDS = 12


class Program:
    """`run` it, then `settle`: without faults everything must come to its end."""

    def __init__(self, world: World) -> None:
        self.world, self.random = world, world.random
        self.client = Client(world.services, world.random)
        self.datasets = [world.dataset(), world.dataset()]
        self._owners: list[str] = []
        self._dead: list[str] = []

    def run(self, steps: int) -> None:
        """So many steps."""
        for _ in range(steps):
            self._step(depth=0)
            self._look()

    def _step(self, *, depth: int) -> None:
        client, random = self.client, self.random
        actions = {
            lambda: client.submit(random.choice(self.datasets)): 6,
            self._ask_again: 4,
            client.change: 6,
            client.cancel_sweep: 1,
            client.delete: 1,
            lambda: client.delete_dataset(self.datasets[1]): 0.3,
            lambda: self._work(depth=depth): 6 if depth < DEEPEST else 0,
            self._bury: 2,
            self._expire: 2,
            self._tidy: 3,
            self.world.pass_time: 3,
        }
        [action] = random.choices([*actions], [*actions.values()])
        action()

    def _ask_again(self) -> None:
        if self.client.pending:
            self.client.ask(self.random.choice([*self.client.pending]))

    def _work(self, *, depth: int) -> None:
        """A process of a new name, which may die, fail at its claim, or be asked to stop."""
        owner = f"host:{len(self._owners)}"
        self._owners.append(owner)
        try:
            checkpoint = self.random.choice([0, 30])
            self.world.work(owner, checkpoint=checkpoint, stopping=lambda: self._meanwhile(depth=depth))
        except Died:
            self._dead.append(owner)
        except (DBAPIError, OSError):  # the task fails, and what it claimed waits until its lease runs out
            pass

    def _meanwhile(self, *, depth: int) -> bool:
        chance = self.random.random()
        if chance < 0.2:
            self._step(depth=depth + 1)
        if chance > 0.98:
            raise Died
        return chance > 0.95

    def _bury(self) -> None:
        if self._dead:
            self.world.bury(self._dead.pop())

    def _expire(self) -> None:
        """The lease of any process, of one that works too."""
        if self._owners:
            self.world.expire(self.random.choice(self._owners))

    def _tidy(self) -> None:
        with suppress(DBAPIError):
            self.world.housekeeper.sweep()

    def _look(self) -> None:
        with self.world.database.read() as connection:
            promises.check_parallel(connection)
            promises.check_seats(promises.every_job(connection))

    def settle(self) -> None:
        """Nothing fails any more: every request is answered and every job comes to its end."""
        self.world.fail(0)
        for _ in range(ROUNDS):
            if self._is_over():
                return
            for owner in self._owners:
                self.world.expire(owner)
            self._tidy()
            self.world.pass_time()
            for key in [*self.client.pending]:
                self.client.ask(key)
            for id in self._paused():
                self.client.resume(id)
            self.world.work("host:last", checkpoint=30, stopping=lambda: False)
        raise AssertionError("something never comes to its end")

    def _paused(self) -> list[str]:
        with self.world.database.read() as connection:
            return [job.id for job in promises.every_job(connection) if job.status is Status.PAUSED]

    def _is_over(self) -> bool:
        with self.world.database.read() as connection:
            return not self.client.pending and all(job.status.terminal for job in promises.every_job(connection))
