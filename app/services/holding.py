"""The datasets that new jobs need: kept from being deleted while the jobs are created."""

from collections.abc import Mapping

from sqlalchemy import Connection

from app.domain.errors import Invalid
from app.domain.spec import JobSpec
from app.persistence import datasets

PLACES = ("test_dataset", "validation_dataset", "dataset")


def datasets_of(spec: JobSpec) -> dict[str, str]:
    """The ids of a job's datasets, and where its spec names them; `dataset` where one stands in several places."""
    return {id: f"/{place}" for place in PLACES if (id := getattr(spec, place)) is not None}


def hold(connection: Connection, places: Mapping[str, str]) -> None:
    """Lock datasets until the transaction ends, in one order, so that no two creations wait for each other.

    Raises Invalid: at its place, where one is gone.
    """
    for id in sorted(places):
        if not datasets.hold(connection, id):
            raise no_dataset(places[id])


def no_dataset(place: str) -> Invalid:
    """The fault of a spec that names a dataset which is not there."""
    return Invalid.at(place, "There is no such dataset.", code="not_found")
