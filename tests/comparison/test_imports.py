"""Comparing and evaluating costs no import of a heavy library until it is needed."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("room", ["comparison", "evaluation"])
def test_importing_a_room_touches_no_heavy_library(room):
    code = (
        f"import sys, gmtools.{room}; "
        "print([m for m in ('scipy', 'sklearn', 'matplotlib', 'ot') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
