"""A random life of jobs: callers, workers' hands and the housekeeper over the real services, beside the model."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select, update

from app.api import datasets as datasets_api
from app.api import jobs as jobs_api
from app.api import sweeps as sweeps_api
from app.domain.errors import Conflict, KeyReused, NotFound
from app.domain.job import StopReason
from app.domain.spec import JobSpec
from app.domain.sweep import SweepSpec
from app.persistence import claims, leases
from app.persistence.database import now
from app.persistence.leases import Fence, LeaseLost
from app.persistence.tables import checkpoints, jobs, recovery_points
from tests.life import promises
from tests.life.client import ME, NETWORK
from tests.life.hand import Hand
from tests.life.model import CANCELLED, PAUSED, RESUMED, Model, ModelJob, Seat
from tests.life.world import FOREVER, MOST_CRASHES, World

OWNERS = ("host:1", "host:2", "host:3")
KEYS = ("a", "b")
DEVICES = ("auto", "cpu")
DAY = 86_400_000_000
pick = st.integers(0, 11)
endings = st.sampled_from([StopReason.MAX_EPOCHS, StopReason.NON_FINITE_LOSS, StopReason.CANCELLED])
kinds = st.sampled_from([{"periodic"}, {"best", "last"}, {"last"}]).map(frozenset)


class Life(RuleBasedStateMachine):
    """Each rule does one thing in the world and in the model, and compares the answers; the invariant compares all the rest."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.model = world, Model()
        self.hands: list[Hand] = []
        self.kept: dict[str, tuple[int, str]] = {}
        self.world.begin(0)
        self.dataset = self.world.dataset()

    def job(self, number: int) -> ModelJob:
        """One of the jobs that there are."""
        return [*self.model.jobs.values()][number % len(self.model.jobs)]

    def spec(self, *, priority: int, packs: bool) -> dict[str, Any]:
        about = {"target": "size", "network": NETWORK, "epochs": 100, "batch_size": 40}
        return {"dataset": self.dataset, **about, "priority": priority, "pack": packs}

    @rule(priority=st.integers(0, 2), packs=st.booleans(), key=st.sampled_from([None, *KEYS]))
    def submit(self, priority: int, packs: bool, key: str | None) -> None:
        spec = JobSpec.model_validate(self.spec(priority=priority, packs=packs))
        fingerprint = hash((priority, packs))
        if key in self.kept and self.kept[key][0] != fingerprint:
            expect(KeyReused, lambda: jobs_api.create(spec, ME, self.world.services, key))
            return
        answer = json.loads(bytes(jobs_api.create(spec, ME, self.world.services, key).body))
        if key in self.kept:
            assert answer["id"] == self.kept[key][1]
            return
        if key:
            self.kept[key] = (fingerprint, answer["id"])
        assert answer["queue_position"] == 1 + sum(job.priority >= priority for job in self.model.due())
        self._added(priority=priority, packs=packs, sweep=None)

    @rule(trials=st.integers(1, 4), parallel=st.sampled_from([None, 1, 2]), packs=st.booleans())
    def sweep(self, trials: int, parallel: int | None, packs: bool) -> None:
        search = {"seed": {"range": [0, trials]}}
        body = {"spec": self.spec(priority=1, packs=packs), "search": search, "method": "grid", "parallel": parallel}
        answer = sweeps_api.create(SweepSpec.model_validate(body), ME, self.world.services, None)
        sweep = json.loads(bytes(answer.body))["id"]
        self.model.parallel[sweep] = parallel
        assert self._added(priority=1, packs=packs, sweep=sweep) == trials

    def _added(self, *, priority: int, packs: bool, sweep: str | None) -> int:
        """Jobs that the database has beyond the model; how many."""
        newest = max((job.number for job in self.model.jobs.values()), default=0)
        with self.world.database.read() as connection:
            rows = [row for row in promises.every_job(connection) if row.id not in self.model.jobs]
        for row in rows:
            assert row.number > newest
            self.model.jobs[row.id] = ModelJob(row.id, row.number, priority, packs, sweep)
        return len(rows)

    @rule(owner=st.sampled_from(OWNERS))
    def claim(self, owner: str) -> None:
        """The due job comes first; with it come only jobs that are due too, as far as their sweeps have room."""
        due = self.model.due()
        with self.world.database.write() as connection:
            pack = claims.claim(connection, owner=owner, devices=DEVICES, lease_seconds=FOREVER)
        assert [job.id for job in pack[:1]] == [job.id for job in due[:1]]
        assert {job.id for job in pack} <= {job.id for job in due}
        for row in pack:
            assert row.stack_leader is not None
            assert row.stack_size is not None
            assert row.stack_position is not None
            job, seat = self.model.jobs[row.id], Seat(row.stack_leader, row.stack_size, row.stack_position)
            assert job.seat in (None, seat)
            assert job.packs or seat.size == len(pack) == 1
            job.claim(owner, seat)
            self.hands.append(Hand(self.world.database, self.world.storage, row.id, Fence(row.number, row.attempt)))
        for sweep, most in self.model.parallel.items():
            assert most is None or self.model.trained(sweep) <= most

    def held_by(self, number: int) -> tuple[Hand, ModelJob | None]:
        """An attempt, of now or of once; its job where it may still write."""
        hand = self.hands[-1 - number % len(self.hands)]
        job = self.model.jobs.get(hand.job_id)
        return hand, job if job and job.held and job.attempt == hand.fence.attempt else None

    @precondition(lambda self: self.hands)
    @rule(number=pick, more=st.integers(0, 3))
    def report(self, number: int, more: int) -> None:
        hand, job = self.held_by(number)
        if job is None:
            expect(LeaseLost, lambda: hand.report(1, 2))
            return
        assert hand.report(job.epoch + 1, job.epoch + more) == job.status
        job.epoch, job.expired = job.epoch + more, False

    @precondition(lambda self: self.hands)
    @rule(number=pick, more=st.integers(0, 2))
    def save(self, number: int, more: int) -> None:
        hand, job = self.held_by(number)
        if job is None:
            expect(LeaseLost, lambda: hand.save(1))
            return
        self.report(number, more)
        hand.save(job.epoch)
        job.save()

    @precondition(lambda self: self.hands)
    @rule(number=pick, more=st.integers(0, 2), kinds=kinds)
    def publish(self, number: int, more: int, kinds: frozenset[str]) -> None:
        hand, job = self.held_by(number)
        if job is None:
            expect(LeaseLost, lambda: hand.publish(1, kinds))
            return
        self.report(number, more)
        hand.publish(job.epoch, kinds)
        job.publish(kinds)

    @precondition(lambda self: self.hands)
    @rule(number=pick, reason=endings)
    def finish(self, number: int, reason: StopReason) -> None:
        hand, job = self.held_by(number)
        if job is None:
            expect(LeaseLost, lambda: hand.finish(1, reason))
            return
        hand.finish(job.epoch, reason)
        job.publish(frozenset({"best", "last"}))
        job.end(reason.status, reason)

    @precondition(lambda self: self.hands)
    @rule(number=pick)
    def give_back(self, number: int) -> None:
        hand, job = self.held_by(number)
        if job is None:
            expect(LeaseLost, hand.give_back)
            return
        hand.give_back()
        job.give_back()

    @precondition(lambda self: self.hands)
    @rule(number=pick)
    def unpack(self, number: int) -> None:
        hand, job = self.held_by(number)
        if job is None:
            expect(LeaseLost, hand.unpack)
            return
        hand.unpack()
        job.seat, job.packs = None, False
        job.give_back()

    @precondition(lambda self: self.hands)
    @rule(number=pick)
    def renew(self, number: int) -> None:
        hand, job = self.held_by(number)
        assert hand.renew() == (job is not None)
        if job:
            job.expired = False

    @precondition(lambda self: self.hands)
    @rule(owner=st.sampled_from(OWNERS), noticed=st.booleans())
    def expire(self, owner: str, noticed: bool) -> None:
        """The leases of a process run out, whether it is dead or sleeps."""
        self.world.expire(owner)
        for job in self.model.jobs.values():
            job.expired |= job.held and job.owner == owner
        if noticed:
            self.tidy()

    @rule()
    def tidy(self) -> None:
        """The housekeeper looks for leases that ran out."""
        self.world.housekeeper.sweep()
        self._crash([job for job in self.model.jobs.values() if job.held and job.expired])

    @rule(owner=st.sampled_from(OWNERS))
    def bury(self, owner: str) -> None:
        """A parent sees its process die."""
        with self.world.database.write() as connection:
            leases.crashed(connection, owner=owner, max_crashes=MOST_CRASHES)
        self._crash([job for job in self.model.jobs.values() if job.held and job.owner == owner])

    def _crash(self, lost: list[ModelJob]) -> None:
        """Who rests after a crash does so for a second or more: here until `rest`, however slow the machine is."""
        self.model.crash(lost)
        resting = [job.number for job in lost if job.resting and job.status == "queued"]
        with self.world.database.write() as connection:
            connection.execute(update(jobs).where(jobs.c.number.in_(resting)).values(claimable_at=now() + DAY))

    @rule()
    def rest(self) -> None:
        """Time passes."""
        self.world.pass_time()
        for job in self.model.jobs.values():
            job.resting = False

    @precondition(lambda self: self.model.jobs)
    @rule(number=pick)
    def cancel(self, number: int) -> None:
        job = self.job(number)
        if not job.terminal:
            job.move(CANCELLED[job.status])
        assert jobs_api.cancel(job.id, ME, self.world.services).status == job.status

    @precondition(lambda self: self.model.jobs)
    @rule(number=pick)
    def pause(self, number: int) -> None:
        self._change(self.job(number), PAUSED, jobs_api.pause)

    @precondition(lambda self: self.model.jobs)
    @rule(number=pick)
    def resume(self, number: int) -> None:
        self._change(self.job(number), RESUMED, jobs_api.resume)

    def _change(self, job: ModelJob, changes: dict[str, str], call: Callable[..., Any]) -> None:
        if job.status not in changes:
            expect(Conflict, lambda: call(job.id, ME, self.world.services))
            return
        job.move(changes[job.status])
        assert call(job.id, ME, self.world.services).status == job.status

    @precondition(lambda self: self.model.parallel)
    @rule(number=pick)
    def cancel_sweep(self, number: int) -> None:
        sweep = [*self.model.parallel][number % len(self.model.parallel)]
        sweeps_api.cancel(sweep, ME, self.world.services)
        for job in self.model.jobs.values():
            if job.sweep == sweep and not job.terminal:
                job.move(CANCELLED[job.status])

    @precondition(lambda self: self.model.jobs)
    @rule(number=pick)
    def delete(self, number: int) -> None:
        job = self.job(number)
        if not job.terminal:
            expect(Conflict, lambda: jobs_api.delete(job.id, ME, self.world.services))
            return
        jobs_api.delete(job.id, ME, self.world.services)
        del self.model.jobs[job.id]
        expect(NotFound, lambda: jobs_api.cancel(job.id, ME, self.world.services))

    @rule()
    def delete_dataset(self) -> None:
        if any(not job.terminal for job in self.model.jobs.values()):
            expect(Conflict, lambda: datasets_api.delete(self.dataset, ME, self.world.services))
            return
        datasets_api.delete(self.dataset, ME, self.world.services)
        expect(NotFound, lambda: datasets_api.get(self.dataset, ME, self.world.services))
        self.dataset = self.world.dataset()
        self.kept = {key: (0, id) for key, (_, id) in self.kept.items()}

    @invariant()
    def the_database_agrees(self) -> None:
        with self.world.database.read() as connection:
            rows = promises.every_job(connection)
            kept = connection.execute(select(checkpoints)).all()
            points = connection.execute(select(recovery_points.c.job_number, recovery_points.c.epoch)).all()
            for row in rows:
                promises.check_epochs(connection, row)
        assert [row.id for row in rows] == [*self.model.jobs]
        for row in rows:
            job = self.model.jobs[row.id]
            stored = (row.status, row.stop_reason, row.attempt, row.epoch, row.lease_owner, row.crashes, row.pack_crashes)
            assert stored == (
                job.status, job.stop_reason, job.attempt, job.epoch, job.owner, job.crashes, job.pack_crashes
            )  # fmt: skip
            assert sorted((epoch for number, epoch in points if number == row.number), reverse=True) == job.points
            there = {one.epoch: names(one) for one in kept if one.job_number == row.number}
            assert there == job.checkpoints

    def teardown(self) -> None:
        """The logs and the files, which no step should have to read."""
        with self.world.database.read() as connection:
            for job in promises.every_job(connection):
                promises.check_attempts(connection, job)
                promises.check_files(connection, self.world.storage, job)
            promises.check_datasets(connection, self.world.storage)


def names(checkpoint: Any) -> frozenset[str]:
    """The kinds of a checkpoint's row."""
    return frozenset(kind for kind in ("best", "last", "periodic") if getattr(checkpoint, f"is_{kind}"))


def expect(error: type[Exception], call: Callable[[], object]) -> None:
    """The call must be refused so."""
    try:
        call()
    except error:
        return
    raise AssertionError(f"{error.__name__} was expected")
