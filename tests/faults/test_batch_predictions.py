"""Batch predictions whose processes die: what they leave is what one that nothing disturbed leaves."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.persistence.batch_rows import BatchPredictionRow
from app.persistence.database import Database
from app.persistence.tables import batch_predictions as table
from tests.faults.points import Nursery, Outcome, Trial
from tests.faults.subject import Subject, kill, kill_group
from tests.servers.processes import wait_until
from tests.worker.batches import Batches
from tests.worker.yard import OWNER, Yard
from trainyard import Client

ROWS = 20_000


class Deaths:
    """Batch predictions on a fresh database, each worked off by processes that die where they are told to."""

    def __init__(self, yard: Yard, born: Nursery, folder: Path) -> None:
        self.batches, self._born = Batches.trained(yard), born
        self._url = yard.database.engine.url.render_as_string(hide_password=False)
        self._files = str(folder / "files")

    def run(self, at: tuple[str, int] | None = None, occurrence: int = 1) -> Outcome:
        """A process that works off what is due, and what becomes of its dead body."""
        trial = Trial(database_url=self._url, files=self._files, owner=OWNER, at=at, occurrence=occurrence)
        outcome = self._born.run(trial)
        self.batches.bury()
        return outcome


def at_some_lines(deaths: Deaths, *, every: int) -> None:
    dataset = deaths.batches.yard.dataset
    undisturbed = deaths.batches.ask(dataset)
    outcome = deaths.run()
    assert outcome.status == 0
    points = [(line, count) for line, most in outcome.lines.items() for count in {1, most}][::every]

    for line, occurrence in points:
        asked = deaths.batches.ask(dataset)
        assert deaths.run(line, occurrence).status == -9, f"the process came to its end before {line}"
        assert deaths.run().status == 0
        assert deaths.batches.content(asked) == deaths.batches.content(undisturbed), line


@pytest.fixture
def doomed(database: Database, born: Nursery, tmp_path: Path) -> Deaths:
    return Deaths(Yard(database, tmp_path), born, tmp_path)


def test_a_kill_at_some_lines_changes_nothing(doomed: Deaths) -> None:
    at_some_lines(doomed, every=90)


@pytest.mark.faults
def test_a_kill_at_every_third_line_changes_nothing(doomed: Deaths) -> None:
    at_some_lines(doomed, every=3)


def row_of(served: Subject, id: str) -> BatchPredictionRow:
    with served.database.read() as connection:
        query = select(*BatchPredictionRow.selected(table)).where(table.c.id == id)
        return BatchPredictionRow.of(connection.execute(query).one())


def ask(client: Client, **source: Any) -> str:
    return client.batch_predictions.create(**source)["id"]


def kill_beyond(served: Subject, id: str, part: int, *, whole_worker: bool) -> None:
    """Once so many parts are durable."""
    wait_until(lambda: row_of(served, id).parts > part, seconds=60, what="a part")
    owner = row_of(served, id).lease_owner
    if owner is None:  # it was too quick for us
        return
    pid = int(owner.rpartition(":")[2])
    worker = served.training()[pid]
    kill_group(served.parts.parts[worker]) if whole_worker else kill(pid)
    wait_until(lambda: row_of(served, id).lease_owner != owner, seconds=60, what="the loss to be seen")


def test_one_whose_process_and_worker_are_killed_ends_with_the_same_bytes(
    served: Subject, client: Client, iris: str, tmp_path: Path
) -> None:
    job = served.submit(client, {"dataset": iris, "target": "species", "epochs": 2})
    served.settle(client, [job])
    names = ("sepal_length", "sepal_width", "petal_length", "petal_width")
    rows = "\n".join(",".join(str(row % (17 + column) / 4) for column in range(4)) for row in range(ROWS))
    dataset = client.upload(f"{','.join(names)}\n{rows}\n".encode())["id"]
    undisturbed = ask(client, dataset=dataset, job=job)
    client.batch_predictions.wait(undisturbed, timeout=60)
    asked = ask(client, dataset=dataset, job=job)

    for part, whole_worker in ((1, False), (20, True)):
        kill_beyond(served, asked, part, whole_worker=whole_worker)

    ended = client.batch_predictions.wait(asked, timeout=120)
    assert (ended["status"], ended["progress"]["predicted"]) == ("succeeded", ROWS)
    assert ended["attempt"] >= 2
    contents = [client.batch_predictions.download(id, tmp_path / id).read_bytes() for id in (undisturbed, asked)]
    assert contents[0] == contents[1]
