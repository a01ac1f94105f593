"""Reads `/metrics` as Prometheus does."""

import httpx2
from prometheus_client.parser import text_string_to_metric_families

Sample = tuple[str, tuple[tuple[str, str], ...]]


def samples(answer: httpx2.Response) -> dict[Sample, float]:
    """Every sample of an answer by its name, without our prefix, and labels."""
    assert answer.status_code == 200, answer.text
    families = list(text_string_to_metric_families(answer.text))
    found = [sample for family in families for sample in family.samples]
    read = {(sample.name.removeprefix("trainyard_"), tuple(sorted(sample.labels.items()))): sample.value for sample in found}
    assert len(read) == len(found), "a sample stands there twice"
    assert all(family.documentation for family in families)
    return read


def value(read: dict[Sample, float], name: str, **labels: str) -> float:
    """One sample; 0 where it is not there."""
    return read.get((name, tuple(sorted(labels.items()))), 0)


def labels_of(read: dict[Sample, float], name: str) -> dict[str, set[str]]:
    """What each label of a metric takes."""
    found: dict[str, set[str]] = {}
    for sample, labels in read:
        for label, text in labels if sample.startswith(name) else ():
            found.setdefault(label, set()).add(text)
    return found
