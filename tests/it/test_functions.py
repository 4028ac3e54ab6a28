"""Function libraries: each source master brings its own copy of a library, and each target master has to have it, also one that joins later."""

import pytest

from bench.compare import assert_same
from bench.ferry import Ferry
from bench.waiting import wait_for

pytestmark = pytest.mark.sanitize

QUIET = {"heartbeat": "false"}


def library(name, version):
    return f"#!lua name={name}\nredis.register_function('{name}_version', function() return {version} end)"


def load_everywhere(source, name, version, *options):
    """As operators do it: redis-cli --cluster call."""
    for master in source.masters():
        master.command("FUNCTION", "LOAD", *options, library(name, version))


def libraries(node):
    """{name: version}"""
    names = [entry[1].decode() for entry in node.command("FUNCTION", "LIST")]
    return {name: node.command("FCALL", f"{name}_version", 0) for name in names}


@pytest.mark.parametrize("topology", ["cluster", "standalone"])
def test_each_source_master_brings_the_same(bench, topology):
    source = bench.cluster(masters=2, replicas_per_master=0)
    target = bench.server() if topology == "standalone" else bench.cluster(masters=3, replicas_per_master=0)
    masters = [target] if topology == "standalone" else target.masters()
    load_everywhere(source, "early", 1)
    ferry = Ferry(bench, source, target, QUIET).start().wait_streaming()
    load_everywhere(source, "one", 1)
    load_everywhere(source, "two", 1)
    load_everywhere(source, "one", 2, "REPLACE")
    ferry.wait_in_step(*source.masters())
    for node in masters:
        assert libraries(node) == {"early": 1, "one": 2, "two": 1}
    payload = source.masters()[0].command("FUNCTION", "DUMP")
    for master in source.masters():
        master.command("FUNCTION", "DELETE", "two")
        master.command("FUNCTION", "DELETE", "early")
    ferry.wait_in_step(*source.masters())
    for node in masters:
        assert libraries(node) == {"one": 2}
    for master in source.masters():
        master.command("FUNCTION", "DELETE", "one")
        master.command("FUNCTION", "RESTORE", payload)
    ferry.wait_in_step(*source.masters())
    for node in masters:
        assert libraries(node) == {"early": 1, "one": 2, "two": 1}
    for master in source.masters():
        master.command("FUNCTION", "FLUSH")
    ferry.wait_in_step(*source.masters())
    for node in masters:
        assert not libraries(node)
    assert ferry.stop() == 0


def test_target_master_that_joins_later(bench):
    """Libraries came while it had no slot; it gets them with its first one, and what comes afterwards as all do."""
    source = bench.server()
    target = bench.cluster(masters=2, replicas_per_master=0)
    source.command("FUNCTION", "LOAD", library("snapshot", 1))
    ferry = Ferry(bench, source, target, QUIET).start().wait_streaming()
    newcomer = target.add_node()
    source.command("FUNCTION", "LOAD", library("stream", 1))
    ferry.wait_in_step(source)
    assert not libraries(newcomer)
    target.move_slots(0, 100, newcomer)
    # keyferry hears of the move with the next command of a slot that has moved.
    for number in range(2000):
        source.command("SET", f"key:{number}", number)
    wait_for(lambda: libraries(newcomer) == {"snapshot": 1, "stream": 1}, what="the libraries at the new master")
    ferry.wait_log("function libraries of the target copied to its new master")
    source.command("FUNCTION", "LOAD", library("later", 1))
    source.command("FUNCTION", "DELETE", "stream")
    ferry.wait_in_step(source)
    for node in target.masters():
        assert libraries(node) == {"snapshot": 1, "later": 1}
    assert_same(source, target)
    assert ferry.stop() == 0
