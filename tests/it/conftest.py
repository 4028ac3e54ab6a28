"""Fixtures of the scenario tests: `bench` makes real servers and ends them, `wait_for` waits for conditions.

KEYFERRY_KEEP   a folder: of each test that fails, the folders of its servers and of keyferry are copied there, with the last /status"""

import functools
import os
import shutil
import tempfile

import pytest

from bench import versions, waiting
from bench.factory import Bench
from bench.tls import Authority


@pytest.fixture(scope="session")
def make_authority(tmp_path_factory):
    """A function that makes the session's certificates at its first call."""
    return functools.cache(lambda: Authority(tmp_path_factory.mktemp("tls")))


@pytest.fixture
def bench(request, make_authority):
    """A factory.Bench; its servers end with the test."""
    # Not pytest's tmp_path: the path of a unix socket may have 107 bytes only.
    folder = tempfile.mkdtemp(prefix="keyferry-it-")
    made = Bench(folder, make_authority)
    request.node.bench = made
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(name="wait_for")
def wait_for_fixture():
    """waiting.wait_for: the only way for a test to let time pass."""
    return waiting.wait_for


@pytest.fixture(params=versions.parameters())
def version(request):
    """Every server version in turn."""
    return request.param


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Adds the servers' logs to the report of a test that failed."""
    outcome = yield
    report = outcome.get_result()
    made = getattr(item, "bench", None)
    if report.failed and made is not None and made.servers:
        report.sections.append(("server logs", made.logs()))
        if os.environ.get("KEYFERRY_KEEP"):
            made.keep(os.path.join(os.environ["KEYFERRY_KEEP"], item.name.replace("/", "_")))
