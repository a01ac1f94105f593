"""A Python process that runs one script after the other, so that torch is imported once."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_MAIN = """
import contextlib, io, json, runpy, sys, traceback
import numpy, torch
torch.set_num_threads(1)
for line in sys.stdin:
    sys.argv = json.loads(line)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            runpy.run_path(sys.argv[0], run_name="__main__")
        answer = [0, printed.getvalue()]
    except BaseException:
        answer = [1, traceback.format_exc()]
    print(json.dumps(answer), flush=True)
"""


@dataclass(frozen=True)
class Interpreter:
    """A started process."""

    process: subprocess.Popen[str]

    def run(self, script: Path, *arguments: Path) -> str:
        """What a script prints; an assertion with its traceback where it fails."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(script), *map(str, arguments)]) + "\n")
        self.process.stdin.flush()
        failed, printed = json.loads(self.process.stdout.readline())
        assert not failed, f"{printed}\n{script.read_text()}"
        return str(printed)


@contextmanager
def interpreter(*site: Path) -> Iterator[Interpreter]:
    """A process that ends with the block; `site`: folders with what is installed there besides."""
    path = os.pathsep.join([*map(str, site), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _MAIN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    ) as process:
        yield Interpreter(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)
