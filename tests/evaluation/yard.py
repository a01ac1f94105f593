"""A running API and a training process in the same hands: what is submitted over HTTP is trained at once, and truly."""

import math
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import polars as pl
import torch

from app.domain.blobs import dataset_key
from app.domain.caller import DEFAULT_PROJECT
from app.domain.ids import new_id
from app.persistence import datasets
from app.persistence.datasets import NewDataset
from app.storage.folder import Folder
from app.tabular.ingest import ingest
from app.tabular.limits import Limits
from app.tabular.request import IngestRequest
from tests.api.service import Service
from worker.pulse import Periods
from worker.trainer import Trainer

CITIES = ("Bonn", "Köln", "Ulm", "Aachen")
PERIODS = Periods(lease=60, heartbeat=30, stall=600, checkpoint=3600, report=0, retry=3600, patience=3600)


def frame(rows: int, *, seed: int = 0) -> pl.DataFrame:
    """Features of every kind with gaps, targets of every kind, and weights; the targets follow the features, with noise."""
    drawn = np.random.default_rng(seed)
    x, z = drawn.normal(size=(2, rows))
    city = drawn.integers(0, 4, rows)
    score = x - 0.5 * z + 0.7 * city + drawn.normal(scale=0.8, size=rows)
    return pl.DataFrame(
        {
            "x": [None if i % 11 == 3 else value for i, value in enumerate(x.tolist())],
            "z": z,
            "flag": [bool(value) for value in drawn.integers(0, 2, rows)],
            "city": [None if i % 13 == 5 else CITIES[code] for i, code in enumerate(city.tolist())],
            "level": pl.Series(np.digitize(score, [0.2, 1.2, 2.2]), dtype=pl.Int64),
            "grade": [("low", "high")[value] for value in (score > 1).tolist()],
            "price": 1000 + 50 * score,
            "mass": 0.01 * (x - z) + 3,
            "visits": pl.Series(drawn.poisson(np.exp(0.4 * score)), dtype=pl.Int64),
            "ripe": score > 0.5,
            "large": x + z > 0.3,
            "w": drawn.uniform(0.2, 3.0, rows).round(2),
        }
    )


def with_gaps(rows: pl.DataFrame) -> pl.DataFrame:
    """The same with targets missing here and there, and a city that nobody has seen."""
    number = pl.int_range(pl.len())
    gaps = {"level": 2, "grade": 3, "price": 4, "mass": 5, "visits": 6, "ripe": 7, "large": 8}
    cells = [pl.when(number % 17 != place).then(pl.col(name)).alias(name) for name, place in gaps.items()]
    city = pl.when(number % 19 == 1).then(pl.lit("Oslo")).otherwise(pl.col("city")).alias("city")
    return rows.with_columns(*cells, city)


@dataclass
class Yard:
    """A service and its worker."""

    service: Service

    @property
    def storage(self) -> Folder:
        """Where the service keeps its bytes."""
        return Folder(Path(self.service.settings.resolved_storage_url))

    def upload(self, rows: pl.DataFrame) -> str:
        """The id of a dataset, read in this process: one of its own for each takes half a second."""
        id, source, stored = new_id("ds"), *(self.service.settings.folder / name for name in ("source", "stored"))
        rows.write_parquet(source)
        found = ingest(IngestRequest(source=source, format="parquet", destination=stored, limits=Limits()))
        self.storage.put_file(dataset_key(id), stored)
        new = NewDataset(
            id=id,
            project_id=DEFAULT_PROJECT,
            name=None,
            rows=found.rows,
            bytes=1,
            sha256=id,
            stored_bytes=1,
            columns=[column.model_dump(mode="json") for column in found.columns],
            statistics=[],
        )
        with self.service.database.write() as connection:
            datasets.add(connection, new)
        return id

    def train(self, **spec: Any) -> dict[str, Any]:
        """A job that was trained to its end."""
        usual = {"features": ["x", "z", "flag", "city"], "network": {"hidden_layers": [5]}, "epochs": 4, "batch_size": 16}
        id = self.service.post("/v1/jobs", usual | spec, status=201)["id"]
        self.work()
        return self.service.get(f"/v1/jobs/{id}")

    def work(self, *, reports: float = math.inf) -> None:
        """Train what is due; after so many reports what is left is saved and given back."""
        told = count()
        torch.set_num_threads(1)
        trainer = Trainer(
            database=self.service.database,
            storage=self.storage,
            name="test:1",
            device="cpu",
            threads=1,
            periods=PERIODS,
            stopping=lambda: next(told) > reports,
            interrupted=lambda: False,
        )
        trainer.work_off(hint="job_none")

    def ask(self, job: str, dataset: str, **params: str) -> httpx2.Response:
        """The answer to an evaluation."""
        return self.service.client.post(f"/v1/jobs/{job}/evaluate", json={"dataset": dataset}, params=params)

    def evaluate(self, job: str, dataset: str, **params: str) -> dict[str, Any]:
        """One that must succeed."""
        answer = self.ask(job, dataset, **params)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found
