"""What `POST /v1/jobs` is measured against: an endpoint that inserts one row and sends one Celery message, by hand."""

import os
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from celery import Celery
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import JSON, Column, DateTime, MetaData, String, Table, insert

from app.persistence.database import connect

metadata = MetaData()
jobs = Table("jobs", metadata, Column("id", String, primary_key=True), Column("spec", JSON), Column("created_at", DateTime))


class Spec(BaseModel):
    """The fields that the benchmark sends."""

    dataset: str
    target: str
    network: dict[str, Any]
    optimizer: dict[str, Any]
    epochs: int
    batch_size: int | str


class Job(BaseModel):
    """What is answered."""

    id: str
    status: str
    spec: Spec
    created_at: datetime


def create_app() -> FastAPI:
    """The application; `BARE_DATABASE` and `BARE_BROKER` say where it keeps and sends."""
    engine = connect(os.environ["BARE_DATABASE"])  # the same driver, journal and locks as the service has
    metadata.create_all(engine)
    celery = Celery("bare", broker=os.environ["BARE_BROKER"])
    app = FastAPI()

    @app.post("/jobs", status_code=201)
    def create(spec: Spec) -> Job:
        job = Job(id=str(uuid4()), status="queued", spec=spec, created_at=datetime.now(UTC))
        with engine.begin() as connection:
            connection.execute(insert(jobs).values(id=job.id, spec=spec.model_dump(), created_at=job.created_at))
        celery.send_task("train", args=[job.id], ignore_result=True)
        return job

    return app
