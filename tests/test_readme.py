"""The README's session, as it stands."""

import os
import re
import subprocess
from pathlib import Path

from tests.servers.service import Service

README = Path(__file__).parents[1] / "README.md"


def test_the_five_calls_of_the_readme_work_as_they_stand(service: Service, tmp_path: Path) -> None:
    session = re.findall(r"^## Five calls$.*?^```sh\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)[0]
    environment = {**os.environ, "URL": service.url}

    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", session],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Epoch [2000/2000], Loss: " in done.stdout
    assert '"epoch":[1,2,3]' in done.stdout
    assert '"predictions":["setosa"]' in done.stdout
