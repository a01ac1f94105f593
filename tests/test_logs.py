"""The log of a process."""

import subprocess
import sys
from pathlib import Path

CODE = """
import structlog, sys
from app.logs import configure_logs
configure_logs("info")
structlog.get_logger().info("something.happened", size=5)
print("went on", file=sys.stderr)
"""


def test_a_log_on_a_full_disk_ends_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", CODE], stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert done.stderr.startswith("went on")


def test_a_line_has_its_event_and_its_values() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)

    assert "something.happened" in done.stdout
    assert "size=5" in done.stdout
