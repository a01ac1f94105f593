"""The parts of a cluster as processes: the same commands with the same variables as in the containers."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.processes import running, wait_until

PROGRAMS = Path(sys.executable).parent


@dataclass
class Cluster:
    """Starts parts in one environment; they end with the block that made it."""

    environment: Mapping[str, str]
    folder: Path
    stack: ExitStack
    parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self, command: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
        """A command that ends by itself."""
        variables = {**self._variables(), **environment}
        return subprocess.run(
            [PROGRAMS / command[0], *command[1:]], env=variables, capture_output=True, text=True, timeout=120, check=False
        )

    def start(self, name: str, command: Sequence[str], **environment: str) -> subprocess.Popen[bytes]:
        """A command that stays."""
        variables = {**self._variables(), **environment}
        full = [str(PROGRAMS / command[0]), *command[1:]]
        self.parts[name] = self.stack.enter_context(running(full, log=self.log(name), environment=variables, inherit=False))
        return self.parts[name]

    def wait_until_healthy(self, name: str, check: Sequence[str], **environment: str) -> None:
        """Return once a part's health check passes; fail with its log when it ends instead."""

        def healthy() -> bool:
            assert self.parts[name].poll() is None, self.log(name).read_text()[-4000:]
            return self.run(check, **environment).returncode == 0

        wait_until(healthy, seconds=90, what=f"{name} to be healthy, see {self.log(name)}")

    def log(self, name: str) -> Path:
        """Where a part's output goes."""
        return self.folder / f"{name}.log"

    def _variables(self) -> dict[str, str]:
        return {"PATH": f"{PROGRAMS}:/usr/local/bin:/usr/bin:/bin", "HOME": str(self.folder), **self.environment}


@contextmanager
def cluster(environment: Mapping[str, str], folder: Path) -> Iterator[Cluster]:
    """No part yet; all that are started end with the block, the last first."""
    with ExitStack() as stack:
        yield Cluster(environment, folder, stack)
