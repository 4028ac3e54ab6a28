"""The server versions that scenario tests can run: the system's own, and those fetched by tools/fetch-servers."""

import functools
import os
import pathlib
import re
import shutil
import subprocess

import pytest

# Suite and family, as tools/fetch-servers names its folders; it takes whatever version the suite has.
FETCHED = [("bullseye", "redis"), ("bookworm-backports", "valkey"), ("trixie", "redis"), ("trixie", "valkey"),
           ("sid", "redis"), ("sid", "valkey")]
FAMILIES = ("redis", "valkey")


class Version:
    """One installed server. `id` is short and readable ("redis-7.0"); `number` is what the binary says of itself."""

    def __init__(self, family, suite, programs):
        self.family = family
        self.suite = suite          # None: the system's own
        self.programs = programs    # folder with <family>-server and <family>-cli
        output = subprocess.run([self.program("server"), "--version"], check=True, capture_output=True, text=True).stdout
        self.text = re.search(r"\bv=(\d+\.\d+\.\d+)", output).group(1)
        self.number = tuple(map(int, self.text.split(".")))
        self.id = f"{family}-{self.number[0]}.{self.number[1]}"

    def __repr__(self):
        return f"<{self.family} {self.text} of {self.suite or 'this system'}>"

    def program(self, name):
        """The path of one of its programs: "server", "cli", "benchmark", "check-rdb", "check-aof"."""
        return str(self.programs / f"{self.family}-{name}")

    @property
    def server(self):
        return [self.program("server")]

    @property
    def cli(self):
        return [self.program("cli")]

    @property
    def is_valkey(self):
        return self.family == "valkey"

    def redis_level(self):
        """The Redis version whose features it has at least: Valkey came out of Redis 7.2."""
        return (7, 2, 4) if self.is_valkey else self.number

    def at_least(self, *redis):
        """Whether the features of that Redis version can be expected: `at_least(7, 0)`."""
        return self.redis_level() >= redis


def servers_folder():
    """Where tools/fetch-servers keeps its servers."""
    default = pathlib.Path.home() / ".cache/keyferry/servers"
    return pathlib.Path(os.environ.get("KEYFERRY_SERVERS") or default)


@functools.cache
def system():
    """The system's own Redis, else its Valkey. Its absence is an error, never a skip."""
    for family in FAMILIES:
        path = shutil.which(f"{family}-server", path=os.environ.get("PATH", "") + ":/usr/bin")
        if path:
            return Version(family, None, pathlib.Path(path).parent)
    raise RuntimeError("neither redis-server nor valkey-server is installed: the scenario tests need one of them")


@functools.cache
def fetched(suite, family):
    """The server of that suite, or None when it has not been fetched."""
    programs = servers_folder() / f"{suite}-{family}" / "run"
    if not (programs / f"{family}-server").exists():
        return None
    return Version(family, suite, programs)


@functools.cache
def available():
    """All versions that can run here, oldest first within a family, each with an id of its own."""
    found = [system()]
    found += [version for version in (fetched(*where) for where in FETCHED) if version]
    found.sort(key=lambda version: (version.family, version.number))
    names = [version.id for version in found]
    for version in found:
        if names.count(version.id) > 1 and version.suite:
            version.id += f"-{version.suite}"
    return found


def missing():
    """(suite, family) of the servers that tools/fetch-servers has not provided here."""
    return [where for where in FETCHED if fetched(*where) is None]


def _why_missing(suite, family):
    return f"{family} of {suite} is not here: run tools/fetch-servers"


def find(name):
    """The newest version whose id starts with `name` ("redis-6", "valkey", "redis-8.0-sid"). Skips the test without."""
    matches = [version for version in available() if (version.id + ".").startswith(name.rstrip(".") + ".")
               or version.id.startswith(name + "-") or version.family == name]
    if not matches:
        pytest.skip(f"no server {name} here: run tools/fetch-servers")
    return max(matches, key=lambda version: version.number)


def parameters():
    """For pytest.mark.parametrize("version", parameters()): every version; those missing are skipped with a reason."""
    return [pytest.param(version, id=version.id) for version in available()] + [
        pytest.param(None, id=f"{family}-{suite}", marks=pytest.mark.skip(reason=_why_missing(suite, family)))
        for suite, family in missing()]
