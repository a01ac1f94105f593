"""Every data-access call may fail or be the last one of its process: afterwards nothing is lost, doubled or damaged."""

from collections import Counter

import pytest
from sqlalchemy import Connection

from app.api import jobs as api
from app.domain.spec import JobSpec
from app.persistence import checkpoints, epochs
from app.persistence.rows import JobRow
from tests.life import promises
from tests.life.client import ME, MOST_EPOCHS, NETWORK, SEEDS, Client
from tests.life.program import Program
from tests.life.world import World

STEPS = 12
ODDS = (0.002, 0.01, 0.03)
ENDS = {"max_epochs", "cancelled", "worker_lost"}


@pytest.fixture(scope="module")
def undisturbed(world: World) -> dict[int, tuple[list[float | None], dict[int, str]]]:
    """Losses, and the hash of the weights after each epoch, of a job that nothing happened to, by its seed."""
    world.begin(0)
    dataset = world.dataset()
    for seed in SEEDS:
        spec = {"dataset": dataset, "target": "size", "network": NETWORK, "epochs": MOST_EPOCHS, "batch_size": 40}
        spec |= {"seed": seed, "pack": False, "checkpoints": {"every": 1, "keep": 100}}
        api.create(JobSpec.model_validate(spec), ME, world.services, None)
    world.work("host:1", checkpoint=30, stopping=lambda: False)
    with world.database.read() as connection:
        return {job.spec["seed"]: (losses(connection, job), weights(connection, job)) for job in promises.every_job(connection)}


def losses(connection: Connection, job: JobRow) -> list[float | None]:
    return epochs.read(connection, job.number, limit=1000).train_loss


def weights(connection: Connection, job: JobRow) -> dict[int, str]:
    hashes = {
        row.epoch: {file["name"]: file["sha256"] for file in row.files} for row in checkpoints.of_job(connection, job.number)
    }
    return {epoch: files["weights.safetensors"] for epoch, files in hashes.items()}


def test_whatever_call_fails_nothing_is_lost_or_doubled(
    world: World, seed: int, undisturbed: dict[int, tuple[list[float | None], dict[int, str]]]
) -> None:
    world.begin(seed, odds=ODDS[seed % len(ODDS)])
    program = Program(world)

    program.run(STEPS)
    program.settle()

    with world.database.read() as connection:
        jobs = promises.every_job(connection)
        for job in jobs:
            promises.check_epochs(connection, job)
            promises.check_attempts(connection, job)
            promises.check_files(connection, world.storage, job)
            promises.check_end(connection, job)
            assert job.stop_reason in ENDS, job.error_message
            if not job.spec["pack"]:
                expected, hashes = undisturbed[job.spec["seed"]]
                assert losses(connection, job) == expected[: job.epoch]
                assert weights(connection, job).items() <= hashes.items()
        promises.check_datasets(connection, world.storage)
        check_answers(connection, program.client, jobs)


def check_answers(connection: Connection, client: Client, jobs: list[JobRow]) -> None:
    """What the caller was told is so: each key made one thing, nothing accepted is gone, nothing ended has changed."""
    standing = {job.id: job for job in jobs}
    assert client.accepted.keys() - client.deleted <= standing.keys()
    keys = Counter(job.name for job in jobs if job.sweep_id is None)
    assert {key for key, count in keys.items() if count > 1} == set()
    assert keys.keys() <= set(client.accepted.values())
    assert {id: promises.trials_of(connection, id) for id in client.swept} == {id: n for id, (_, n) in client.swept.items()}
    for id in client.ended.keys() - client.deleted:
        job, told = standing[id], client.ended[id]
        assert (job.status, job.stop_reason, job.epoch) == (told.status, told.stop_reason, told.epoch)
