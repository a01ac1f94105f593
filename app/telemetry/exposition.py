"""The numbers as Prometheus reads them: every metric's name, help and labels stand here and nowhere else."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder

from app.telemetry.instruments import BUCKETS, DURATIONS, REQUESTS, ROWS, SECONDS
from app.telemetry.meters import Reading

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

Labels = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the database knows; None where it does not answer."""

    jobs: Mapping[Labels, float]
    """By status."""
    longest_waits: Mapping[Labels, float]
    """In seconds, by device."""
    workers: Mapping[Labels, float]
    """By device and status."""
    finished: Mapping[Labels, float]
    """By status and stop reason."""
    attempts_lost: Mapping[Labels, float]
    """By cause."""
    epochs: float
    leases_lost: float
    batches: Mapping[Labels, float]
    """By status."""
    batch_rows: float


@dataclass(frozen=True, kw_only=True)
class Exposition:
    """What the library calls a registry: it can be collected."""

    version: str
    reading: Reading
    known: Known | None

    def write(self, accept: str) -> tuple[bytes, str]:
        """The text and its content type: OpenMetrics for those who read it, else Prometheus' own format."""
        # The library fails over an `Accept` with a version that is no number.
        encode, content_type = choose_encoder(OPENMETRICS if OPENMETRICS.partition(";")[0] in accept else "")
        return encode(self), content_type

    def collect(self) -> Iterator[Metric]:
        """Every metric."""
        yield _gauge("build_info", "The version of the API.", {(self.version,): 1}, ["version"])
        yield _gauge("api_processes", "API processes on this data folder.", {(): self.reading.processes})
        yield _gauge(
            "database_up",
            "1 if the database answered this scrape; without it its metrics are missing.",
            {(): self.known is not None},
        )
        yield from _of_requests(self.reading.numbers)
        if self.known:
            yield from _of_database(self.known)


def _of_requests(numbers: Mapping[Labels, int]) -> Iterator[Metric]:
    requests = {key[1:]: number for key, number in numbers.items() if key[0] == REQUESTS}
    yield _counter("requests", "Answered requests.", requests, ["method", "route", "status"])
    yield _histogram(numbers)
    yield _counter("predicted_rows", "Rows answered with a prediction.", {(): numbers.get((ROWS,), 0)})


def _histogram(numbers: Mapping[Labels, int]) -> Metric:
    family = HistogramMetricFamily(
        "trainyard_request_seconds", "How long requests took, to the end of the answer.", labels=["method", "route"]
    )
    bounds = [*map(str, BUCKETS), "+Inf"]
    for name, *labels in sorted(numbers):
        if name == SECONDS:
            counts = accumulate(numbers.get((DURATIONS, *labels, bound), 0) for bound in bounds)
            family.add_metric(labels, list(zip(bounds, counts, strict=True)), numbers[name, *labels] / 1_000_000)
    return family


def _of_database(known: Known) -> Iterator[Metric]:
    yield _gauge("jobs", "Stored jobs.", known.jobs, ["status"])
    waiting = "How long the oldest job that could be claimed has waited, by the device that it asks for."
    yield _gauge("queue_oldest_seconds", waiting, known.longest_waits, ["device"])
    yield _gauge("batch_predictions", "Stored batch predictions.", known.batches, ["status"])
    yield _counter("batch_predicted_rows", "Rows of batch predictions that are durable.", {(): known.batch_rows})
    yield _gauge("workers", "Training processes.", known.workers, ["device", "status"])
    yield _counter("epochs", "Epochs that workers trained and reported.", {(): known.epochs})
    yield _counter("jobs_finished", "Jobs that ended.", known.finished, ["status", "stop_reason"])
    lost = "Attempts whose training process died, or was not heard of until the lease ran out (silent)."
    yield _counter("attempts_lost", lost, known.attempts_lost, ["cause"])
    yield _counter("leases_lost", "Attempts that found what they worked on taken over.", {(): known.leases_lost})


def _gauge(name: str, about: str, values: Mapping[Labels, float], labels: Iterable[str] = ()) -> Metric:
    return _filled(GaugeMetricFamily(f"trainyard_{name}", about, labels=list(labels)), values)


def _counter(name: str, about: str, values: Mapping[Labels, float], labels: Iterable[str] = ()) -> Metric:
    return _filled(CounterMetricFamily(f"trainyard_{name}", about, labels=list(labels)), values)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[Labels, float]) -> Metric:
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family
