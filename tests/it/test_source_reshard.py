"""Slots that move between masters of the source while a task runs, under commands that must not be applied twice: nothing is lost, nothing doubled."""

import time

import pytest

from bench.compare import assert_same
from bench.data import fill
from bench.ferry import Ferry
from bench.load import Load
from bench.slots import key_slot
from bench.waiting import wait_for

pytestmark = pytest.mark.sanitize

TAGS = 10                # of the writer's keys; all of them lie in these slots
TARGETS = ("standalone", "cluster")
# MIGRATE passes the time that is left to a key, so each move of its slot puts its expiry off by the time on the way.
MOVED_MS = 60_000


def target_of(bench, kind):
    return bench.server() if kind == "standalone" else bench.cluster(masters=2, replicas_per_master=0)


def used_slots():
    return [key_slot(b"w:{%d}" % tag) for tag in range(TAGS)]


def other_master(cluster, slot):
    return next(node for node in cluster.masters() if node is not cluster.owner(slot))


def more_of(load, units):
    goal = load.acknowledged + units
    wait_for(lambda: load.acknowledged >= goal, what=f"{units} more units of the writer")


def load_of(source, **options):
    return Load(source, **({"rate": 2000, "keys": 50 * TAGS, "seed": 3} | options))


def assert_in_step(ferry, source, target):
    source.wait_ok()
    ferry.wait_in_step(*source.masters())
    assert_same(source, target, as_replica=True, expiry_tolerance_ms=MOVED_MS)


def taken(ferry):
    return sum(link["handover"]["slots_taken"] for link in ferry.status()["links"])


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("version", ["redis-7.0"])
def test_slots_move_under_load(bench, version, kind):
    source, target = bench.cluster(version, masters=2, replicas_per_master=0), target_of(bench, kind)
    fill(source, keys=1000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with load_of(source) as load:
        for slot in used_slots():
            more_of(load, 100)
            move = source.begin_slot_move(slot, other_master(source, slot))
            while move.migrate_some(3):
                more_of(load, 20)
            move.finish(wait=False)
        more_of(load, 200)
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert taken(ferry) >= TAGS
    assert ferry.stop() == 0
