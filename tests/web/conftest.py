"""The console's tests: a real daemon, real servers (the scenario tests' bench), a headless Chromium."""

import importlib.util
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests/it"), str(HERE)]

import browser as browser_module  # noqa: E402  pylint: disable=wrong-import-position
from bench.daemon import Daemon  # noqa: E402  pylint: disable=wrong-import-position

# The scenario tests' fixtures, and their servers' logs in the report of a failure.
_spec = importlib.util.spec_from_file_location("scenario_conftest", ROOT / "tests/it/conftest.py")
_scenarios = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_scenarios)
bench, make_authority, pytest_runtest_makereport = _scenarios.bench, _scenarios.make_authority, _scenarios.pytest_runtest_makereport


@pytest.fixture
def browser(bench):
    """A browser of its own for each test: nothing is remembered. Whatever the page complains about fails the test."""
    if not browser_module.program():
        pytest.skip("no Chromium: install Debian's chromium-headless-shell")
    made = browser_module.Browser(bench.folder)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def axe():
    """The text of axe-core, which looks for what keeps people out."""
    return (HERE / "vendor/axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def daemon(bench):
    """`keyferry serve` on a loopback address: nobody is asked for a token."""
    return Daemon(bench).start()
