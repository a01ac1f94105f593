"""The built-in sample datasets: small, well known, with readable column names."""

from pathlib import Path

SAMPLES = ("iris", "wine", "breast_cancer", "digits", "diabetes")


def sample_path(name: str) -> Path:
    """The gzipped CSV file of a sample; `name` is one of `SAMPLES`, else KeyError."""
    if name not in SAMPLES:
        raise KeyError(name)
    return Path(__file__).parent / f"{name}.csv.gz"
