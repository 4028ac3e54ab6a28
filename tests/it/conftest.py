"""Fixtures of the scenario tests: `bench` makes real servers and ends them, `wait_for` waits for conditions."""

import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

# pylint: disable=wrong-import-position
from bench import versions, waiting  # noqa: E402
from bench.servers import Server  # noqa: E402


class Bench:
    """Makes servers for one test and ends them all afterwards, whatever happened."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.servers = []

    @staticmethod
    def version(wanted=None):
        """A Version from a Version, a name ("redis-6.0", "valkey") or None (the system's own); skips when missing."""
        if wanted is None:
            return versions.system()
        return versions.find(wanted) if isinstance(wanted, str) else wanted

    def new_server(self, version=None, kind=Server, name="server", **options):
        """A server not started yet (see Server for the options)."""
        number = len(self.servers)
        server = kind(self.version(version), self.folder / f"{name}-{number}", name=f"{name}-{number}", **options)
        self.servers.append(server)
        return server

    def server(self, version=None, **options):
        """A running standalone server (see Server for the options)."""
        return self.new_server(version, **options).start()

    def logs(self):
        """The end of every server's log, for the report of a failed test."""
        return "\n".join(server.log_tail() for server in self.servers)

    def close(self):
        problems = []
        for server in self.servers:
            try:
                server.close()
            except Exception as problem:  # pylint: disable=broad-except
                problems.append(f"{server!r}: {problem}")
        self.servers = []
        if problems:
            raise RuntimeError("could not end: " + "; ".join(problems))


@pytest.fixture
def bench(request):
    # Not pytest's tmp_path: the path of a unix socket may have 107 bytes only.
    folder = tempfile.mkdtemp(prefix="keyferry-it-")
    made = Bench(folder)
    request.node.bench = made
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds the servers' logs to the report of a test that failed."""
    outcome = yield
    report = outcome.get_result()
    made = getattr(item, "bench", None)
    if report.failed and made is not None and made.servers:
        report.sections.append(("server logs", made.logs()))


@pytest.fixture(name="wait_for")
def wait_for_fixture():
    return waiting.wait_for
