"""Commands that must not be applied twice, while keyferry is killed, its connections are cut, its work directory is lost and a predecessor
wakes up: at the end the target is exactly what the source is."""

import shutil

import pytest

from bench.compare import assert_same
from bench.data import fill
from bench.ferry import Ferry
from bench.load import Load
from bench.proxy import Proxy
from bench.waiting import wait_for

pytestmark = pytest.mark.sanitize

STANDALONE = ("standalone",)
KINDS = ("standalone", "cluster")


def deployment(bench, kind, masters=3):
    return bench.server() if kind == "standalone" else bench.cluster(masters=masters, replicas_per_master=0)


def masters_of(deployed):
    return deployed.masters() if hasattr(deployed, "masters") else [deployed]


def more_of(load, units):
    goal = load.acknowledged + units
    wait_for(lambda: load.acknowledged >= goal, what=f"{units} more units of the writer")


def assert_in_step(ferry, source, target):
    ferry.wait_in_step(*masters_of(source))
    assert_same(source, target, as_replica=True)


def marks(target, pattern="keyferry:*"):
    return [key for node in masters_of(target) for key in node.command("KEYS", pattern)]


@pytest.mark.parametrize("kind", KINDS)
def test_killed_again_and_again(bench, kind):
    source, target = deployment(bench, kind), deployment(bench, kind, 2)
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source, rate=3000, keys=500) as load:
        for _ in range(6):
            more_of(load, 700)
            ferry.kill()
            ferry.start()
        ferry.wait_streaming()
        more_of(load, 500)
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert ferry.stop() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_connections_reset(bench, kind):
    source, target = deployment(bench, kind), deployment(bench, kind, 2)
    fill(source, keys=1000)
    if kind == "standalone":
        way = Proxy(bench, target)
    else:
        way = target
    ferry = Ferry(bench, source, way).start().wait_streaming()
    with Load(source, rate=3000, keys=500) as load:
        for number in range(8):
            more_of(load, 300)
            if kind == "standalone":
                way.cut(reset=number % 2 == 0)
            else:
                for node in target.masters():
                    node.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert_in_step(ferry, source, target)
    assert sum(link["target_reconnects"] for link in ferry.status()["links"]) >= 4
