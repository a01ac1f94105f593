"""What the documentation must not forget."""

from pathlib import Path

import pytest

from app.api import http_errors
from app.domain import errors
from app.domain.job import StopReason
from app.settings import Settings
from app.telemetry.exposition import Exposition, Known
from app.telemetry.meters import Reading

NOTHING_KNOWN = Known(
    jobs={}, longest_waits={}, workers={}, finished={}, attempts_lost={}, epochs=0, leases_lost=0, batches={}, batch_rows=0
)
ROOT = Path(__file__).parents[1]
ALARMS = (
    *("storage.failed", "database.failed", "database.unavailable", "doorbell.unheard", "rates.uncounted", "broker.away"),
    *("process.died", "process.silent", "process.spoiled", "worker.silent", "lease.expired", "lease.lost", "training.stalled"),
    *("recovery_point.damaged", "checkpoint.damaged", "checkpoint.unreadable", "trainer.cold", "upkeep.failed", "pulse.failed"),
    "gpu.missing",
    *("job.storage_failed", "job.storage_recovered", "job.worker_lost", "job.recovery_point_damaged"),
)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented(name: str) -> None:
    assert f"| `TRAINYARD_{name.upper()}` |" in (ROOT / "docs/settings.md").read_text()


def _codes() -> set[str]:
    found, left = {http_errors.HttpError.code}, [errors.TrainyardError]
    while left:
        error = left.pop()
        found.add(error.code)
        left.extend(error.__subclasses__())
    return found


@pytest.mark.parametrize("code", sorted(_codes()))
def test_every_error_code_is_documented(code: str) -> None:
    assert f"| `{code}` |" in (ROOT / "docs/errors.md").read_text()


@pytest.mark.parametrize("reason", StopReason)
def test_every_stop_reason_is_documented(reason: StopReason) -> None:
    assert f"`{reason}`" in (ROOT / "docs/errors.md").read_text()


@pytest.mark.parametrize("alarm", ALARMS)
def test_every_alarm_has_its_place_in_the_code_and_in_the_operators_page(alarm: str) -> None:
    assert f"`{alarm}`" in (ROOT / "docs/operations.md").read_text()
    code = [path for part in ("app", "worker") for path in (ROOT / part).rglob("*.py") if f'"{alarm}"' in path.read_text()]
    assert code


METRICS = [metric.name for metric in Exposition(version="", reading=Reading(0, {}), known=NOTHING_KNOWN).collect()]


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_in_the_operators_page(name: str) -> None:
    page = (ROOT / "docs/operations.md").read_text()
    assert f"| `{name}` |" in page or f"| `{name}_total` |" in page


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
