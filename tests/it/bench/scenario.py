"""What many scenario tests have in common: synchronise two deployments under load, and compare them at the end."""

import functools

from .compare import OWN_PREFIXES, assert_same
from .data import features_of, fill
from .ferry import Ferry
from .load import Load
from .sentinel import SentinelGroup

# Before 7.0 the stream carries times to live, which count from the moment they are applied: late by the lag.
RELATIVE_EXPIRY_MS = 2000


class TooSlow(Exception):
    """The machine had other things to do: what the test is about was over, or had come by itself, before the test came to it."""


def repeated_when_too_slow(test):
    """Begins a test anew, with other servers, that has raised TooSlow; a few times."""
    @functools.wraps(test)
    def run(bench, **parameters):
        for _ in range(4):
            try:
                return test(bench, **parameters)
            except TooSlow:
                bench.close()
        return test(bench, **parameters)
    return run


class Alias:
    """A bench server under another of its addresses: keyferry is given that one, the bench uses its own."""

    def __init__(self, server, address, url):
        """address   as keyferry shows it in its status"""
        self.server = server
        self.address = address
        self.url = url

    def info(self, section):
        return self.server.info(section)


def by_ipv6(server):
    """The server (made with ipv6=True) at ::1."""
    return Alias(server, f"[::1]:{server.port}", server.url.replace(server.address, f"[::1]:{server.port}"))


def by_unix_socket(server):
    """The server (made with unix_socket=True) at its socket."""
    credentials = f"{server.username or ''}:{server.password}@" if server.password else ""
    return Alias(server, server.unix_path, f"unix://{credentials}{server.unix_path}")


def data_keys(server):
    """All keys of a target server's selected database but keyferry's own, in order."""
    return sorted(key for key in server.command("KEYS", "*") if not key.startswith(OWN_PREFIXES))


def data_of(deployment):
    """What the data tools take in place of a bench deployment: of a Sentinel group its present master."""
    if isinstance(deployment, Alias):
        return deployment.server
    return deployment.master if isinstance(deployment, SentinelGroup) else deployment


def masters_of(deployment):
    """The masters of a bench server, cluster or Sentinel group, as wait_in_step() wants them."""
    if isinstance(deployment, SentinelGroup):
        return [deployment.master]
    return deployment.masters() if hasattr(deployment, "masters") else [deployment]


def sync_under_load(bench, source, target, *, databases=(0,), options=None, keys=20000, rate=1500, units=3000, mode="all",
                    ferry=None):
    """Fills the source, starts a writer and keyferry, lets it reach streaming and follow for `units` more units of the
    writer, stops the writer, compares exactly, stops keyferry. Returns the Ferry.

    source, target   bench servers, clusters or Sentinel groups
    options          --set options of keyferry
    mode             of the writer, see load.py
    ferry            a Ferry that has not been started, in place of one made of source, target and options"""
    left, right = data_of(source), data_of(target)
    fill(left, keys=keys, databases=databases, functions=True, features=features_of(left, right))
    ferry = ferry or Ferry(bench, source, target, options)
    with Load(left, rate=rate, databases=databases, mode=mode) as load:
        ferry.start().wait_streaming()
        before = load.acknowledged
        ferry.wait_status(lambda status: load.acknowledged > before + units, what=f"{units} more units of the writer")
    assert not load.errors
    finish_in_step(ferry, source, target)
    return ferry


def finish_in_step(ferry, source, target, **options):
    """Nobody writes any more: waits until all is applied, compares exactly, stops keyferry. `options` go to compare()."""
    ferry.wait_in_step(*masters_of(source))
    if not all(server.version.at_least(7, 0) for server in masters_of(data_of(source))):
        options = {"expiry_tolerance_ms": RELATIVE_EXPIRY_MS} | options
    assert_same(data_of(source), data_of(target), as_replica=True, **options)
    assert ferry.stop() == 0
