"""Which jobs are claimed together, and with which seats, on both databases."""

from collections.abc import Sequence

import pytest
from sqlalchemy import update

from app.domain.job import StopReason, devices_taken
from app.domain.memory import estimate, host_estimate
from app.domain.packing import most_members, pack_key
from app.domain.spec import Embedding, Periodic
from app.persistence import claims, leases, line, recovery, workers
from app.persistence.database import Database, now
from app.persistence.leases import SECOND, Ending, Fence
from app.persistence.rows import JobRow, RecoveryRow
from app.persistence.tables import jobs as jobs_table
from tests.persistence.jobs import RESOLVED, queued

OWNER = "host:1"


def claim(database: Database, owner: str = OWNER, devices: Sequence[str] = ("auto", "cpu")) -> list[JobRow]:
    with database.write() as connection:
        return claims.claim(connection, owner=owner, devices=devices, lease_seconds=30)


def seats(pack: list[JobRow]) -> list[tuple[str, int | None, int | None]]:
    return [(job.id, job.stack_size, job.stack_position) for job in pack]


def packable(database: Database, count: int) -> list[JobRow]:
    return [queued(database, pack=True) for _ in range(count)]


def crash(database: Database, owner: str = OWNER) -> list[JobRow]:
    with database.write() as connection:
        return leases.crashed(connection, owner=owner, max_crashes=3, back_off_seconds=0)


def save(database: Database, job: JobRow, epoch: int) -> None:
    id = f"rec_{job.number}_{epoch}"
    point = RecoveryRow(id=id, job_number=job.number, attempt=1, epoch=epoch, batch=0, bytes=1, sha256="0")
    with database.write() as connection:
        recovery.add(connection, point)


def test_jobs_that_fit_are_claimed_together_and_keep_their_order(database: Database) -> None:
    first, second, third = packable(database, 3)

    assert seats(claim(database)) == [(first.id, 3, 0), (second.id, 3, 1), (third.id, 3, 2)]
    assert claim(database) == []


def test_a_job_that_wants_to_be_alone_is(database: Database) -> None:
    alone, *others = [queued(database), *packable(database, 2)]

    assert seats(claim(database)) == [(alone.id, 1, 0)]
    assert [job.id for job in claim(database)] == [job.id for job in others]


@pytest.mark.parametrize(
    "other",
    [
        {"batch_size": 9},
        {"train_rows": 79},
        {"target": ["species", "size"]},
        {"test_dataset": "ds_2"},
        {"embeddings": [Embedding(column="a", levels=9, width=5)]},
    ],
    ids=lambda other: next(iter(other)),
)
def test_jobs_of_another_shape_do_not_come_along(database: Database, other: dict[str, object]) -> None:
    one = queued(database, pack=True)
    queued(database, pack=True, other=other)

    assert seats(claim(database)) == [(one.id, 1, 0)]


def test_a_pack_is_small_while_jobs_wait_that_do_not_fit(database: Database) -> None:
    packable(database, 20)
    next_in_line = queued(database)

    assert len(claim(database)) == claims.FEW
    packed = [len(claim(database)), len(claim(database))]
    assert packed == [claims.FEW, 4]
    assert seats(claim(database)) == [(next_in_line.id, 1, 0)]


def test_a_pack_is_no_larger_than_what_fits_into_its_processs_memory(database: Database) -> None:
    memory = estimate(RESOLVED.model_copy(update={"pack": True, "train_rows": 100_000}), members=5).total
    with database.write() as connection:
        workers.register(connection, OWNER, device="cpu", threads=1, torch="2", memory=memory)
    for _ in range(10):
        queued(database, pack=True, other={"train_rows": 100_000})

    assert len(claim(database)) == 5


def test_on_a_gpu_s_process_a_job_for_the_cpu_is_packed_as_on_any_cpu(database: Database) -> None:
    with database.write() as connection:
        workers.register(connection, OWNER, device="cuda", threads=1, torch="2", memory=10**11)
    wide = {"layers": [100, 256, 128, 2], "parameters": 59_010, "batch_size": 256, "train_rows": 1000}
    for device in ("cuda", "cpu") * 6:
        queued(database, pack=True, device=device, other=wide | {"device": device})

    with database.write() as connection:
        packs = [claims.claim(connection, owner=OWNER, devices=devices_taken("cuda"), lease_seconds=30) for _ in range(2)]

    assert [(pack[0].device, len(pack)) for pack in packs] == [("cuda", 6), ("cpu", 1)]


@pytest.mark.parametrize(("members_on_gpu", "members_beside", "packed"), [(20, 5, 5), (5, 20, 5), (20, 20, 10), (20, None, 10)])
def test_a_pack_on_a_gpu_is_no_larger_than_what_fits_into_both_memories(
    database: Database, members_on_gpu: int, members_beside: int | None, packed: int
) -> None:
    spec = RESOLVED.model_copy(update={"pack": True, "train_rows": 100_000})
    memory = estimate(spec, members=members_on_gpu, gpu=True).total
    host = host_estimate(spec, members=members_beside).total if members_beside else None
    with database.write() as connection:
        workers.register(connection, OWNER, device="cuda", threads=1, torch="2", memory=memory, host_memory=host)
    for _ in range(10):
        queued(database, pack=True, other={"train_rows": 100_000})

    assert len(claim(database, devices=devices_taken("cuda"))) == packed


def test_on_a_gpu_s_process_a_pack_for_the_cpu_fits_into_the_host_s_memory(database: Database) -> None:
    host = estimate(RESOLVED.model_copy(update={"pack": True, "train_rows": 100_000}), members=5).total
    with database.write() as connection:
        workers.register(connection, OWNER, device="cuda", threads=1, torch="2", memory=1, host_memory=host)
    for _ in range(10):
        queued(database, pack=True, device="cpu", other={"train_rows": 100_000, "device": "cpu"})

    assert len(claim(database, devices=devices_taken("cuda"))) == 5


def test_the_most_that_a_job_may_use_is_told_by_device_and_beside_a_gpu(database: Database) -> None:
    with database.write() as connection:
        workers.register(connection, "old:1", device="cuda", threads=1, torch="2", memory=40)
        before = workers.memory(connection)
        for name, host in (("gpu:1", 20), ("gpu:2", 10)):
            workers.register(connection, name, device="cuda", threads=1, torch="2", memory=30, host_memory=host)
        gpus = workers.memory(connection)
        workers.register(connection, "host:1", device="cpu", threads=1, torch="2", memory=25)

        assert (before, gpus) == ({"cuda": 40}, {"cuda": 40, "host": 20})
        assert workers.memory(connection) == {"cuda": 40, "host": 20, "cpu": 25}


def test_a_pack_leaves_a_share_to_idle_processes(database: Database) -> None:
    with database.write() as connection:
        for name in (OWNER, "host:2", "host:3"):
            workers.register(connection, name, device="cpu", threads=1, torch="2")
    packable(database, 10)

    assert len(claim(database)) == 4


def test_the_due_job_leads_whatever_fits_with_it(database: Database) -> None:
    packable(database, 2)
    urgent = queued(database, pack=True, priority=9)

    assert claim(database)[0].id == urgent.id


def test_a_crashed_pack_goes_on_together_in_its_old_seats(database: Database) -> None:
    packable(database, 3)
    pack = claim(database)
    for job in pack:
        save(database, job, 7)
    crash(database)
    queued(database, pack=True)

    again = claim(database)

    assert seats(again) == seats(pack)
    assert [(job.epoch, job.crashes, job.pack_crashes) for job in again] == [(7, 0, 1)] * 3


def test_a_pack_whose_leases_run_out_one_after_the_other_crashes_as_one(database: Database) -> None:
    packable(database, 3)
    first, *_ = pack = claim(database)
    with database.write() as connection:
        soon = update(jobs_table).values(lease_expires_at=now() + SECOND // 2)
        connection.execute(soon)
        connection.execute(soon.values(lease_expires_at=now()).where(jobs_table.c.number == first.number))
        crashed = leases.crashed(connection, expired=True, max_crashes=3)

    assert {(job.id, job.crashes, job.pack_crashes) for job in crashed} == {(job.id, 0, 1) for job in pack}


def test_members_that_stand_elsewhere_go_on_by_themselves_in_their_old_seats(database: Database) -> None:
    packable(database, 3)
    first, second, third = claim(database)
    save(database, second, 4)
    crash(database)

    assert seats(claim(database)) == [(first.id, 3, 0), (third.id, 3, 2)]
    assert seats(claim(database)) == [(second.id, 3, 1)]


def test_after_two_crashes_of_a_pack_its_members_are_tried_alone_and_one_cannot_fail_its_neighbours(database: Database) -> None:
    packable(database, 2)
    for _ in range(claims.TOGETHER):
        pack = claim(database)
        crash(database)

    assert seats(claim(database)) == seats(pack[:1])
    for _ in range(2):
        crash(database)
        claim(database)
    [ended] = crash(database)

    assert ended.stop_reason == "worker_lost"
    assert "3 times" in str(ended.error_message)
    assert seats(claim(database)) == seats(pack[1:])


def test_a_job_that_is_unpacked_trains_among_fewer(database: Database) -> None:
    packable(database, 4)
    pack = claim(database)
    with database.write() as connection:
        for job in pack:
            leases.unpack(connection, Fence(job.number, job.attempt), limit=2)

    assert [len(claim(database)) for _ in range(3)] == [2, 2, 0]


def test_a_member_that_ended_leaves_its_seat_empty(database: Database) -> None:
    packable(database, 3)
    first, second, third = claim(database)
    with database.write() as connection:
        leases.finish(connection, Fence(second.number, second.attempt), Ending(reason=StopReason.MAX_EPOCHS))
    crash(database)

    assert seats(claim(database)) == [(first.id, 3, 0), (third.id, 3, 2)]


def test_members_of_any_project_share_a_stack_but_never_a_key_of_another_dataset() -> None:
    packable = RESOLVED.model_copy(update={"pack": True, "seed": 1})
    other_seed = packable.model_copy(update={"seed": 2, "epochs": 3, "early_stopping": None})

    assert pack_key(packable, dataset_sha256="0") == pack_key(other_seed, dataset_sha256="0")
    assert pack_key(packable, dataset_sha256="0") != pack_key(packable, dataset_sha256="1")
    own = packable.model_copy(update={"calibration": "temperature", "clip_predictions": True})
    assert pack_key(own, dataset_sha256="0") == pack_key(packable, dataset_sha256="0")
    shared = packable.model_copy(update={"regularization_schedule": "flat_cosine"})
    assert pack_key(shared, dataset_sha256="0") != pack_key(packable, dataset_sha256="0")
    assert pack_key(RESOLVED, dataset_sha256="0") is None


def test_networks_with_another_front_share_no_stack_and_those_with_other_rates_do() -> None:
    packable = RESOLVED.model_copy(update={"pack": True})

    def key(**network: object) -> str | None:
        changed = packable.network.model_copy(update=network)
        return pack_key(packable.model_copy(update={"network": changed}), dataset_sha256="0")

    assert key(input_scaling=True) != key()
    assert key(numeric_features=Periodic(kind="periodic")) != key(numeric_features=Periodic(kind="periodic", width=4)) != key()
    assert key(parametrization="ntk") == key() == key(initialization="data_driven")


def test_packing_stops_where_it_does_not_pay() -> None:
    large = RESOLVED.model_copy(
        update={"layers": [100, 256, 128, 2], "parameters": 59_010, "batch_size": 256, "train_rows": 1000}
    )

    assert most_members(RESOLVED, gpu=False) > 16
    assert most_members(large, gpu=False) == 1


def test_the_line_that_callers_see_is_the_order_of_the_packs_leaders(database: Database) -> None:
    waiting = [queued(database), *packable(database, 2)]
    with database.read() as connection:
        found = line.queue_positions(connection, waiting)
    positions = [found[job.number] for job in waiting]

    assert positions == [1, 2, 3]
