"""`make demo`, with fewer keys: what README tells a newcomer to run first."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_demo():
    done = subprocess.run([ROOT / "tools/demo", "--once", "--keys", "3000", "--rate", "2000"], env=os.environ, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0 and "==> EQUAL" in done.stdout, done.stdout + done.stderr
