"""The page about the API names its limits, and what the generator of clients must be told."""

from pathlib import Path

import pytest

from app.api import comparison, history, multipart, queries, widths
from app.api.media import FORMATS
from app.domain import faults, models

PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text()
LIMITS = {
    "items of a page": queries.MOST_ITEMS,
    "seconds of `wait`": queries.LONGEST_WAIT,
    "epochs of a page of a history": history.MOST_EPOCHS,
    "jobs of one comparison": comparison.MOST_JOBS,
    "points of all jobs": comparison.MOST_POINTS,
    "values of a spec": widths.MOST_MEMBERS,
    "parts of an upload's form": multipart.MOST_PARTS,
    "faults told": faults.MOST_FAULTS,
    "aliases of a model": models.MOST_ALIASES,
}


@pytest.mark.parametrize("what", LIMITS)
def test_a_limit_stands_there_as_it_is(what: str) -> None:
    [line] = [line for line in PAGE.splitlines() if line.startswith(f"| {what}")]

    assert line.endswith(f"| {LIMITS[what]:,} |".replace(",", " "))


def test_the_generator_is_told_of_all_types_that_are_bytes() -> None:
    block = PAGE.partition("content_type_overrides:")[2].partition("END")[0]

    assert {line.split(":")[0].strip() for line in block.splitlines()[1:] if line} == set(FORMATS)
