"""The life of a job in one line, as short as it can be told: `claimed 1 at 0 · epochs 1–12 · SIGKILL · queued · …`."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from tests.faults.recording import Record

LONGEST = 24


@dataclass(frozen=True)
class _Moment:
    at: int
    kind: str
    text: str
    epoch: int = 0


def story(record: Record, number: int) -> str:
    """What the database told of a job and what was done meanwhile; a long story keeps its end."""
    parts = list(_told(sorted(_moments(record, number), key=lambda moment: moment.at)))
    return " · ".join(parts if len(parts) <= LONGEST else ["…", *parts[-LONGEST:]])


def _moments(record: Record, number: int) -> Iterator[_Moment]:
    job, entries = record.jobs[number], record.of(number)
    for entry in entries:
        if entry.what in ("epoch", "forgot"):
            yield _Moment(entry.at, entry.what, "", entry.epoch)
        elif entry.what == "moved" and entry.status == "running":
            yield _Moment(entry.at, "moved", f"claimed {entry.attempt} at {entry.epoch}")
        else:
            yield _Moment(entry.at, entry.what, entry.status if entry.what == "moved" else entry.what)
    for deed in record.deeds:
        if deed.job == job.id or (deed.job is None and entries and entries[0].at <= deed.at <= entries[-1].at):
            yield _Moment(deed.at, "deed", deed.text)


def _told(moments: list[_Moment]) -> Iterator[str]:
    for (kind, _), group in groupby(enumerate(moments), key=lambda pair: _run(*pair)):
        run = [moment for _, moment in group]
        if kind in ("epoch", "forgot"):
            first, last = min(moment.epoch for moment in run), max(moment.epoch for moment in run)
            yield f"{'epochs' if kind == 'epoch' else 'forgot'} {first}" + (f"–{last}" if last > first else "")
        else:
            yield run[0].text


def _run(place: int, moment: _Moment) -> tuple[str, int]:
    """Epochs that follow upon each other are told together, anything else by itself."""
    return ("epoch", moment.epoch - place) if moment.kind == "epoch" else (moment.kind, 0 if moment.kind == "forgot" else place)
