"""The life of jobs against its model, on both databases."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.life.machine import Life
from tests.life.world import World

STEPS = 40


def test_the_life_of_jobs_is_as_the_model_says(world: World, pytestconfig: pytest.Config) -> None:
    seeds = pytestconfig.getoption("seeds")
    chosen = settings(
        max_examples=seeds,
        stateful_step_count=STEPS,
        phases=[Phase.generate],  # a life of forty steps can be read as it is; making it shorter takes minutes
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Life(world), settings=chosen)  # type: ignore[arg-type]  # any factory will do
