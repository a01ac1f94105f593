"""Virtual environments of peers, in the user's cache folder: made once, and again where other packages are wanted."""

import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trainyard-benchmarks"
_STAMP = "benchmark-packages"


def place_of(name: str) -> Path:
    """Where the environment of a peer is, or will be."""
    return CACHE / f"{name.lower()}-{sys.version_info.minor}"


def prepared(name: str, packages: Sequence[str]) -> Path:
    """Its folder, with these packages, numpy and the torch of this machine; RuntimeError where they cannot be had."""
    place, wanted = place_of(name), "\n".join(packages)
    stamp = place / _STAMP
    if stamp.exists() and stamp.read_text() == wanted:
        return place
    print(f"Installing {', '.join(packages)} and torch into {place} (0.6 to 1.2 GB).", flush=True)
    if not (place / "bin/pip").exists():
        venv.create(place, with_pip=True)
    torch = told(REPOSITORY / "scripts/torch", place / "bin/python").strip()
    told(place / "bin/pip", "install", "--quiet", "numpy", torch, *packages)
    stamp.write_text(wanted)
    return place


def told(*command: str | Path, environment: Mapping[str, str] | None = None, folder: Path | None = None) -> str:
    """What a command prints; RuntimeError with its last words where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | (environment or {}), cwd=folder)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-500:])
    return done.stdout
