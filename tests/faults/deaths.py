"""Jobs on a database, each trained by processes that die where they are told to, and what becomes of them."""

from pathlib import Path

from sqlalchemy import update

from app.persistence import leases
from app.persistence.tables import jobs
from tests.faults import recording
from tests.faults.points import Nursery, Outcome, Trial
from tests.faults.recording import Record
from tests.worker.yard import Yard

Point = tuple[tuple[str, int], int]


class Deaths:
    """Jobs on a database, each with a process of its own that dies at a point of its own."""

    def __init__(self, yard: Yard, born: Nursery, folder: Path) -> None:
        self.yard, self._born, self._files = yard, born, str(folder / "files")
        self._owners: list[str] = []
        self._twins: dict[str, str] = {}
        self._undisturbed: list[str] = []
        self._url = yard.database.engine.url.render_as_string(hide_password=False)
        recording.install(yard.database)

    def undisturbed(self, spec: dict[str, object], *, members: int = 1) -> Outcome:
        """Train as nothing disturbs it; the lines that it takes."""
        self._undisturbed = self._submit(spec, members)
        return self.run(None)

    def submit(self, spec: dict[str, object], *, members: int = 1) -> list[str]:
        """Jobs that must end as the undisturbed ones did."""
        ids = self._submit(spec, members)
        self._twins |= dict(zip(ids, self._undisturbed, strict=True))
        return ids

    def die_at(self, point: Point, spec: dict[str, object], *, members: int = 1) -> list[str]:
        """The same, with a process that is killed at a point."""
        ids = self.submit(spec, members=members)
        outcome = self.run(point)
        assert outcome.status == -9, f"the process came to its end before {point}"
        if any(self.yard.job(id).status == "queued" for id in ids):
            self.run(None)  # it died before the claim, and the next jobs should be no part of this pack
        return ids

    def run(self, point: Point | None, *, file_bytes: int | None = None) -> Outcome:
        """A process that works off what is due."""
        self._owners.append(f"test:{len(self._owners)}")
        at, occurrence = point or (None, 1)
        return self._born.run(
            Trial(
                database_url=self._url,
                files=self._files,
                owner=self._owners[-1],
                at=at,
                occurrence=occurrence,
                file_bytes=file_bytes,
            )
        )

    def bury_all(self) -> None:
        """What the parents of the dead do; and whoever waits has waited long enough."""
        with self.yard.database.write() as connection:
            for owner in self._owners:
                leases.crashed(connection, owner=owner, max_crashes=3, back_off_seconds=0)
            connection.execute(update(jobs).values(claimable_at=0))

    def record(self) -> Record:
        """What happened."""
        accepted = [*self._undisturbed, *self._twins]
        return recording.read(self.yard.database, Path(self._files), accepted=accepted, twins=self._twins)

    def _submit(self, spec: dict[str, object], members: int) -> list[str]:
        number = len(self._owners)
        rates = [{"name": "adam", "learning_rate": 0.01 * (place + 1)} for place in range(members)]
        return [self.yard.submit(**spec, name=f"{number}.{place}", optimizer=rate).id for place, rate in enumerate(rates)]
