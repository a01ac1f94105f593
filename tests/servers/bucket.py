"""An S3 server on a loopback port, with one empty bucket."""

import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.processes import free_port, running, wait_until_listening

BUCKET = "trainyard"


@contextmanager
def s3(folder: Path) -> Iterator[dict[str, str]]:
    """Yields the environment in which the bucket is found."""
    port, log = free_port(), folder / "s3.log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, log=log) as process:
        wait_until_listening(process, port, log=log)
        endpoint = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT"), timeout=10) as answer:
            assert answer.status == 200
        yield {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }
