"""Jobs that are trained, and their scripts run beside them: rows of every kind, and what the curve must be."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import update

from app.domain.spec import Window
from app.persistence.tables import jobs
from app.settings import Settings
from app.storage.folder import Folder
from tests.api.service import Service
from tests.code.interpreter import Interpreter
from worker.pulse import Periods
from worker.trainer import Trainer

ROWS = 46
SPEC: dict[str, Any] = {
    "target": "label",
    "features": ["number", "gap", "city", "flag", "same", "code"],
    "network": {"hidden_layers": [5, 4], "activation": "tanh"},
    "optimizer": {"name": "sgd", "learning_rate": 0.05},
    "batch_size": 8,
    "epochs": 24,
    "precision": "fp64",
    "seed": 7,
}


def cells() -> list[dict[str, object]]:
    """Numbers, gaps, text that CSV must quote, flags, a constant, integers as categories, targets of every task."""
    draw = np.random.default_rng(1)
    rows: list[dict[str, object]] = []
    for i in range(ROWS):
        number = float(draw.normal())
        rows.append(
            {
                "number": number,
                "gap": "" if i % 7 == 0 else round(float(draw.normal()), 1),
                "city": ["Ulm", 'Köln, "am Rhein"', "Bonn", ""][int(draw.integers(4))],
                "flag": ["true", "false", "true", ""][int(draw.integers(4))],
                "same": 0.1,
                "code": int(draw.integers(9, 12)),
                "level": float(draw.integers(9, 12)),
                "weight": 0.0 if i % 9 == 0 else float(draw.uniform(0.2, 2.0)),
                "label": ["no", "maybe", "yes", "yes"][int(draw.integers(4))],
                "pair": bool(draw.integers(2)),
                "value": "" if i % 11 == 0 else 3 * number + float(draw.normal()),
                "count": int(draw.poisson(2.0)),
            }
        )
    return rows


def named(block: str, *values: dict[str, Any], **others: Any) -> list[dict[str, Any]]:
    return [{block: value, **others} for value in values]


def word(case: dict[str, Any]) -> str:
    return ",".join(f"{name}={word(value) if isinstance(value, dict) else value}" for name, value in case.items())


def upload(service: Service, rows: Sequence[dict[str, object]]) -> str:
    """A dataset's id."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    id: str = service.upload(text.getvalue().replace("True", "true").replace("False", "false").encode())["id"]
    return id


def train(service: Service, *, window: Window | None = None, **spec: object) -> str:
    """A job that was trained to its end: its id. With `window` it was streamed, as if its rows did not fit into memory."""
    basis = SPEC if "recipe" not in spec else {name: SPEC[name] for name in ("precision", "seed")}
    id: str = service.post("/v1/jobs", {**basis, **spec}, status=201)["id"]
    if window is not None:
        _stream(service, id, window)
    settings: Settings = service.settings
    trainer = Trainer(
        database=service.database,
        storage=Folder(Path(settings.resolved_storage_url)),
        name="test:1",
        device="cpu",
        threads=1,
        periods=Periods(lease=30, heartbeat=5, stall=60, checkpoint=30, report=0.25),
        stopping=lambda: False,
    )
    trainer.work_off(hint=id)
    assert service.get(f"/v1/jobs/{id}")["status"] == "succeeded"
    return id


def _stream(service: Service, id: str, window: Window) -> None:
    resolved = service.get(f"/v1/jobs/{id}")["resolved_spec"] | {"streaming": True, "window": window.model_dump()}
    with service.database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.id == id).values(resolved_spec=resolved))


def files(service: Service, job: str, folder: Path) -> list[Path]:
    """The job's script and the datasets that it reads, as the API answers them."""
    answer = service.client.get(f"/v1/jobs/{job}/code")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/x-python; charset=utf-8"), answer.text
    contents, spec = {"job.py": answer.content}, service.get(f"/v1/jobs/{job}")["resolved_spec"]
    for name in ("dataset", "validation_dataset"):
        if spec[name]:
            content = service.client.get(f"/v1/datasets/{spec[name]}/content", headers={"Accept": "text/csv"}).content
            contents[f"{name}.csv"] = content
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def assert_same_curve(service: Service, job: str, printed: str, *, tolerance: float, epochs: int | None = None) -> None:
    """The printed lines, the first `epochs` of them, are the history's."""
    history, lines = service.get(f"/v1/jobs/{job}/history", limit=10_000), list(csv.DictReader(io.StringIO(printed)))
    assert [int(line["epoch"]) for line in lines] == history["epoch"]
    for name in ("train_loss", "val_loss"):
        found = [float(line[name] or "nan") for line in lines]
        stored = [math.nan if loss is None else loss for loss in history[name]]
        np.testing.assert_allclose(found[:epochs], stored[:epochs], rtol=tolerance)


def check(
    service: Service,
    python: Interpreter,
    folder: Path,
    *,
    stop_reason: str | None = "max_epochs",
    window: Window | None = None,
    **spec: object,
) -> str:
    """Train, run the script and compare, unless `stop_reason` is None also why it ended; the script."""
    job = train(service, window=window, **spec)
    script, *data = files(service, job, folder)
    assert_same_curve(service, job, python.run(script, *data), tolerance=1e-9)
    assert stop_reason in (None, service.get(f"/v1/jobs/{job}")["stop_reason"])
    return script.read_text()
