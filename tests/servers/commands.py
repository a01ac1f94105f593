"""Commands as an operator types them, each in a process of its own that finds loaded what all of them load."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

LOADED = ("trainyard.cli", "app.cli", "app.telling", "app.services.keys", "app.upkeep.supervisor", "psycopg")
LIMIT_SECONDS = 60


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    status: int
    stdout: str
    stderr: str


class Shell:
    """Runs commands one after the other."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, *commands: Sequence[str], **environment: str) -> list[Done]:
        """Words with an `=` before the command are its environment; no other variable of the service comes from outside."""
        return [self._run(words, environment) for words in commands]

    def _run(self, words: Sequence[str], environment: Mapping[str, str]) -> Done:
        first = next(number for number, word in enumerate(words) if "=" not in word)
        variables = {**environment, **dict(word.split("=", 1) for word in words[:first])}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([words[first:], variables]) + "\n")
        self._process.stdin.flush()
        return Done(**json.loads(self._process.stdout.readline()))


@contextmanager
def shell() -> Iterator[Shell]:
    """It ends with the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRAINYARD_")}
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True) as process:
        yield Shell(process)


def _main() -> None:
    for name in LOADED:
        import_module(name)
    for line in sys.stdin:
        print(json.dumps(_done(*json.loads(line))), flush=True)


def _done(words: Sequence[str], environment: Mapping[str, str]) -> dict[str, object]:
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(stdout.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            os.environ.update(environment)
            _become(words)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        stdout.seek(0)
        stderr.seek(0)
        return {"status": status, "stdout": stdout.read(), "stderr": stderr.read()}


def _become(words: Sequence[str]) -> None:
    """What a new interpreter does with the console script."""
    import trainyard.cli

    signal.alarm(LIMIT_SECONDS)
    sys.argv, status = ["trainyard", *words], 0
    try:
        trainyard.cli.main()
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        status = 1
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _main()
