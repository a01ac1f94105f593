"""What must hold of every run, whatever was done to it; each breach is one sentence, and the story of its job."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator

import onnx
import safetensors.numpy

from app.domain.blobs import StoredFile, checkpoint_key, recovery_key
from app.domain.job import HELD, TERMINAL, Status
from app.domain.manifest import MANIFEST, ONNX
from app.persistence.rows import CheckpointRow, JobRow
from app.storage.folder import TEMPORARY, Folder
from tests.faults.recording import Record
from tests.faults.stories import story

Breaches = Iterator[tuple[int | None, str]]

# What may follow upon a status, beside what a claim does.
FOLLOWS = {
    Status.QUEUED: {Status.RUNNING, Status.PAUSED, Status.CANCELLED},
    Status.RUNNING: {Status.QUEUED, Status.PAUSING, Status.CANCELLING, Status.SUCCEEDED, Status.FAILED},
    Status.PAUSING: {Status.PAUSED, Status.CANCELLING, Status.SUCCEEDED, Status.FAILED},
    Status.PAUSED: {Status.QUEUED, Status.CANCELLED},
    Status.CANCELLING: {Status.CANCELLED, Status.SUCCEEDED, Status.FAILED},
}


def no_accepted_job_is_lost(record: Record) -> Breaches:
    """I1: once the API answered, the job is there, exactly once, and comes to an end; so is every trial of a sweep."""
    for id in record.accepted:
        if record.named(id) is None:
            yield None, f"{id} was accepted and is gone"
    for sweep, asked in record.trials.items():
        if (there := sum(job.sweep_id == sweep for job in record.jobs.values())) != asked:
            yield None, f"{sweep} was accepted with {asked} trials and has {there}"
    names = Counter(job.name for job in record.jobs.values() if job.name and job.sweep_id is None)
    for name, count in names.items():
        if count > 1:
            yield None, f"{name} was asked for once and is there {count} times"
    for job in record.jobs.values():
        if not job.status.terminal and job.status is not Status.PAUSED:
            yield job.number, f"it is {job.status} though nothing disturbs it any more"


def every_epoch_is_there_once(record: Record) -> Breaches:
    """I2: the epochs from 1 to the job's last, each once, without a gap."""
    for number, job in record.jobs.items():
        every = job.resolved_spec["record_every"]
        expected = [epoch for epoch in range(1, job.epoch + 1) if epoch == 1 or epoch % every == 0 or epoch == job.epoch]
        found = Counter(record.epochs[number])
        doubled = [epoch for epoch, count in found.items() if count > 1]
        missing = [epoch for epoch in expected if not found[epoch]]
        beyond = [epoch for epoch in found if epoch > job.epoch]
        for epochs, what in ((doubled, "is there twice"), (missing, "is missing"), (beyond, "is beyond the job's last")):
            if epochs:
                yield number, f"epoch {min(epochs)} {what}"


def one_attempt_writes_at_a_time(record: Record) -> Breaches:
    """I3: a job is claimed when nobody holds it; only its holder adds epochs, in their order, from where it was claimed."""
    for number in record.jobs:
        yield from ((number, breach) for breach in _foreign_writes(record, number))


def _foreign_writes(record: Record, number: int) -> Iterator[str]:
    every = record.jobs[number].resolved_spec["record_every"]
    holder, following, wrote = 0, 1, False
    for entry in record.of(number):
        if entry.what == "moved" and entry.attempt != holder:
            if entry.was in HELD:
                yield f"attempt {entry.attempt} was claimed while attempt {holder} held the job"
            holder, following, wrote = entry.attempt, entry.epoch + 1, False
        elif entry.what == "forgot":
            if wrote:
                yield f"epoch {entry.epoch} was taken away while attempt {holder} was writing"
            following = min(following, entry.epoch)
        elif entry.what == "epoch":
            if entry.status not in HELD:
                yield f"epoch {entry.epoch} was written while the job was {entry.status}"
            elif entry.epoch != following and every == 1:
                yield f"epoch {entry.epoch} was written in attempt {holder}, where epoch {following} was next"
            following, wrote = entry.epoch + 1, True


def the_end_is_final(record: Record) -> Breaches:
    """I4: nothing follows upon a terminal status, and every other change is one that there is."""
    for number in record.jobs:
        status = Status.QUEUED
        for entry in record.of(number):
            if status in TERMINAL and (entry.what != "moved" or entry.status != status):
                yield number, f"it was {status}, and then {_told(entry.what, entry.epoch, entry.status)}"
            elif entry.what == "moved" and entry.was != entry.status and entry.status not in FOLLOWS[Status(entry.was)]:
                yield number, f"it went from {entry.was} to {entry.status}"
            status = Status(entry.status)


def _told(what: str, epoch: int, status: str) -> str:
    return {"epoch": f"epoch {epoch} was written", "forgot": f"epoch {epoch} was taken away"}.get(what, f"it was {status}")


def every_file_is_whole(record: Record) -> Breaches:
    """I5: what a row points at is there with its size and hash; what bears a final name is whole, pointed at or not."""
    for row in record.checkpoints:
        for file in row.files:
            stored = StoredFile.model_validate(file)
            if breach := _unlike(record.files, checkpoint_key(row.id, stored), stored.bytes, stored.sha256):
                yield row.job_number, f"the checkpoint of epoch {row.epoch}: {breach}"
    for point in record.points:
        if breach := _unlike(record.files, recovery_key(point.id), point.bytes, point.sha256):
            yield point.job_number, f"the recovery point of epoch {point.epoch}: {breach}"
    for path in sorted(record.files.root.glob("[cr]*/*/*")):
        if not path.name.startswith(TEMPORARY) and not _readable(path.name, path.read_bytes()):
            yield None, f"{path.relative_to(record.files.root)} is torn"


def _unlike(files: Folder, key: str, size: int, sha256: str) -> str | None:
    try:
        data = files.get(key)
    except FileNotFoundError:
        return f"{key} is not there"
    if hashlib.sha256(data).hexdigest() == sha256:
        return None
    return f"{key} has {len(data)} bytes, not those {size} that were written"


def _readable(name: str, data: bytes) -> bool:
    try:
        if name.endswith(MANIFEST):
            json.loads(data)
        elif name.endswith(ONNX):
            onnx.load_from_string(data)
        else:
            safetensors.numpy.load(data)
    except Exception:  # each library has its own
        return False
    return True


def a_disturbed_job_ends_with_the_same_bits(record: Record) -> Breaches:
    """I6: losses and weights are those of the job that nobody disturbed, to the last bit; best and last are there."""
    for id, twin in record.twins.items():
        job, other = record.named(id), record.named(twin)
        if job is None or other is None or job.status is not Status.SUCCEEDED:
            yield (job.number if job else None), f"it should have ended as {twin} did, but is {job.status if job else 'gone'}"
        elif record.losses[job.number] != record.losses[other.number]:
            yield job.number, f"its losses are not those of {twin}"
        else:
            yield from ((job.number, breach) for breach in _unlike_weights(record, job, other))


def _unlike_weights(record: Record, job: JobRow, other: JobRow) -> Iterator[str]:
    mine, theirs = _weights(record, job), _weights(record, other)
    for kind in ("best", "last"):
        if mine.get(kind) is None:
            yield f"its {kind} checkpoint is not there"
        elif mine[kind] != theirs.get(kind):
            yield f"its {kind} weights are not those of {other.id}"


def _weights(record: Record, job: JobRow) -> dict[str, tuple[int, str]]:
    mine = [row for row in record.checkpoints if row.job_number == job.number]
    return {kind: (row.epoch, _hash(row)) for row in mine for kind in row.kinds}


def _hash(row: CheckpointRow) -> str:
    return next(str(file["sha256"]) for file in row.files if file["name"] == "weights.safetensors")


def no_message_changes_a_job(record: Record) -> Breaches:
    """I7: what a job is was said when it was created; there is no job that nobody asked for."""
    for entry in record.entries:
        if entry.what == "rewritten":
            yield entry.job, "its spec was changed"
    for job in record.jobs.values():
        if record.accepted and job.name is None and job.sweep_id not in record.trials:
            yield job.number, "nobody asked for it"


INVARIANTS: dict[str, Callable[[Record], Breaches]] = {
    "I1": no_accepted_job_is_lost,
    "I2": every_epoch_is_there_once,
    "I3": one_attempt_writes_at_a_time,
    "I4": the_end_is_final,
    "I5": every_file_is_whole,
    "I6": a_disturbed_job_ends_with_the_same_bits,
    "I7": no_message_changes_a_job,
}


# What tells of a cause before what tells of its consequences.
_CAUSES_FIRST = ("I3", "I4", "I7", "I5", "I1", "I2", "I6")


def breaches(record: Record) -> list[str]:
    """Every breach as a sentence, with the story of its job; the first explains the others."""
    return [
        f"{name}: {breach}" if number is None else f"{name}: {record.jobs[number].id}: {breach}\n    {story(record, number)}"
        for name in _CAUSES_FIRST
        for number, breach in INVARIANTS[name](record)
    ]


def check(record: Record) -> None:
    """Fail with the first breach and how many more there are."""
    found = breaches(record)
    more = f"\n({len(found) - 1} more)" if len(found) > 1 else ""
    assert not found, found[0] + more
