"""While code is loaded nobody looks for garbage in it, afterwards as ever; torch is told what it may not do."""

import gc
import subprocess
import sys

import pytest
from torch._native.common_utils import check_native_jit_disabled

from app.loading import collector_at_rest

# In a process of its own: what the collector leaves out in this one is no test's to change.
PROGRAM = """
import gc
from app.loading import collector_at_rest

before = gc.get_freeze_count()
with collector_at_rest():
    resting = not gc.isenabled()
    made = [[] for _ in range(1000)]
print(resting, gc.isenabled(), gc.get_freeze_count() - before > 1000)
"""


def test_the_collector_rests_and_then_leaves_out_what_was_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True", "True", "True"]


def test_torch_compiles_no_kernels_of_its_own() -> None:
    assert check_native_jit_disabled()


def test_it_is_back_after_an_import_that_failed() -> None:
    with pytest.raises(ImportError), collector_at_rest():
        raise ImportError

    assert gc.isenabled()
