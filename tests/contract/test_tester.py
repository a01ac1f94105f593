"""A property-based tester walks through every operation of the document, against a running service, and finds nothing."""

import re
import subprocess
import sys
from pathlib import Path

from tests.contract.document import OPERATIONS
from tests.contract.world import KEY, World

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
PHASES = "examples,coverage,fuzzing,stateful"
# What takes longer than the longest wait is a failure.
OPTIONS = ("--checks", "all", "--phases", PHASES, "--continue-on-failure", "--request-timeout", "90", "--no-color")
# What waits or is worked on is met by luck alone, and so is a job whose dataset was not deleted before.
BY_LUCK = {"pause_job", "resume_job", "get_job_code", "pause_batch_prediction", "resume_batch_prediction"}


def run(subject: World, folder: Path, *, seed: int, examples: int) -> subprocess.CompletedProcess[str]:
    program = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIGURATION), "run"]
    key = ("--header", f"Authorization: Bearer {KEY}")
    drawn = ("--seed", str(seed), "--max-examples", str(examples))
    command = [*program, f"{subject.url}/openapi.json", *OPTIONS, *key, *drawn]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=900)


def answered(subject: World) -> set[tuple[str, str]]:
    """Methods and paths that were answered as asked at least once."""
    text = subject.client.get("/metrics").text
    return set(re.findall(r'requests_total{method="(\w+)",route="([^"]+)",status="2\d\d"}', text))


def test_a_property_based_tester_finds_nothing(subject: World, tmp_path: Path) -> None:
    done = run(subject, tmp_path, seed=1, examples=6)

    assert done.returncode == 0, done.stdout[-20_000:]
    wanted = {(one.method, one.path) for one in OPERATIONS if one.described["operationId"] not in BY_LUCK}
    assert wanted - answered(subject) == set()
