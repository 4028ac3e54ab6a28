"""What is installed and packaged: `make install` in a folder, the Debian package, and that package in chroots."""

import os
import pathlib
import subprocess
import sys

import pytest

# What systems of their own are made of.
RELEASE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
LINTIAN = ("lintian", "--pedantic", "--display-info", "--allow-root", "--fail-on", "error,warning,info,pedantic")
ROOT = pathlib.Path(__file__).resolve().parents[2]
# The scenario tests' bench.
sys.path.insert(0, str(ROOT / "tests/it"))


def run(*argv, check=True, environment=None, **more):
    """A program's end, with its output as text; what it said on standard error is in the report when it fails."""
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                          env=os.environ | {"LC_ALL": "C.UTF-8"} | (environment or {}), **more)
    assert not check or done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done


@pytest.fixture(name="program", scope="session")
def program_fixture():
    """The program that was built; its folder is src/cmd of the build folder."""
    path = pathlib.Path(os.environ["KEYFERRY"]).resolve()
    assert os.access(path, os.X_OK), path
    return path


@pytest.fixture(scope="session")
def version():
    """The project's, of which all others are copies."""
    return next(line.split("'")[1] for line in (ROOT / "meson.build").read_text().splitlines() if line.strip().startswith("version:"))
