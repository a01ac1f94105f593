"""What an operator writes, and how it is installed: a module beside a folder that names its entry points."""

import shutil
from collections.abc import Mapping
from pathlib import Path

GROUP = "trainyard.losses"
MODULE = "an_operators_losses"
LOSSES = {
    "huber": "Huber",
    "focal": "Focal",
    "broken": "Broken",
    "strict": "Strict",
    "squared": "Squared",
    "trained": "Trained",
    "unmade": "Unmade",
}


SOURCE = Path(__file__).with_name("losses.py")


def install(folder: Path, losses: Mapping[str, str] = LOSSES, *, source: Path = SOURCE) -> Path:
    """A distribution with these losses, name → class, as an installer leaves it; its folder belongs on Python's path."""
    about = folder / "an_operators_losses-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: an-operators-losses\nVersion: 1.0\n")
    entries = [f"{name} = {MODULE}:{attribute}" for name, attribute in losses.items()]
    (about / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *entries, ""]))
    shutil.copy(source, folder / f"{MODULE}.py")
    return folder
