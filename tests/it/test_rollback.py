"""Targets that lose what they had acknowledged: a master that fails over to a replica which lagged, one that is started again from an old RDB, an
empty one in its place. keyferry notices, also when it was down itself, and at the end the target is exactly what the source is (docs/delivery.md)."""

import shutil

import pytest

from bench.compare import assert_same
from bench.data import fill
from bench.ferry import Ferry
from bench.load import Load
from bench.waiting import wait_for

pytestmark = pytest.mark.sanitize

NO_SAVE = {"save": ""}


def masters_of(deployed):
    return deployed.masters() if hasattr(deployed, "masters") else [deployed]


def more_of(load, units=500):
    goal = load.acknowledged + units
    wait_for(lambda: load.acknowledged >= goal, what=f"{units} more units of the writer")


def assert_exact(ferry, source, target):
    ferry.wait_in_step(*masters_of(source))
    assert_same(source, target, as_replica=True)


def rollbacks(ferry):
    return sum(link["rollbacks"]["count"] for link in ferry.status()["links"])


def resyncs(ferry):
    return sum(link["resyncs"] for link in ferry.status()["links"])


def keep_rdb(target):
    """A copy of what it has now."""
    target.command("SAVE")
    shutil.copy(target.folder / "dump.rdb", target.folder / "old.rdb")


def wait_for_low_marks(target, links):
    """Each node knows how far each link is."""
    def count(node):
        return sum(field.endswith(b":low") for key in node.command("KEYS", "keyferry:mark:*") for field in node.command("HKEYS", key))
    wait_for(lambda: all(count(node) >= links for node in target.masters()), what="low marks on all nodes")


def come_back_old(target):
    """It is killed, and started from the copy."""
    target.kill()
    shutil.copy(target.folder / "old.rdb", target.folder / "dump.rdb")
    target.start()


@pytest.mark.parametrize("down", [False, True], ids=["running", "down"])
def test_standalone_from_an_old_rdb(bench, down):
    """keyferry runs on, or was stopped meanwhile; what was written since the RDB is sent again from the spool."""
    source, target = bench.server(), bench.server(config=NO_SAVE)
    fill(source, keys=1000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source, rate=2000, keys=300) as load:
        more_of(load)
        ferry.wait_in_step(source)
        keep_rdb(target)
        more_of(load, 3000)
        if down:
            ferry.kill()
        come_back_old(target)
        if down:
            ferry.start().wait_streaming()
        more_of(load)
    assert not load.errors
    assert_exact(ferry, source, target)
    assert rollbacks(ferry) == 1 and resyncs(ferry) == 0
    assert "has lost commands that it had acknowledged" in ferry.log


def test_empty_in_its_place(bench):
    """Marks are gone altogether: a new snapshot, told."""
    source, target = bench.server(), bench.server(config=NO_SAVE)
    fill(source, keys=1000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source, rate=2000, keys=300) as load:
        more_of(load, 2000)
        target.restart(kill=True)
        more_of(load)
    assert_exact(ferry, source, target)
    assert resyncs(ferry) == 1
    assert "so a new snapshot is taken" in ferry.log


def test_spool_too_short(bench):
    """What the target has lost is not kept any more."""
    source, target = bench.server(), bench.server(config=NO_SAVE)
    fill(source, keys=500)
    options = {"spool.keep_size": "0", "spool.segment_size": "1MiB", "spool.max_size": "8MiB"}
    ferry = Ferry(bench, source, target, options).start().wait_streaming()
    client = source.client()
    client.incr("n")
    ferry.wait_in_step(source)
    keep_rdb(target)
    for number in range(40):
        client.append(f"large:{number % 4}", "x" * 100000)
    ferry.wait_in_step(source)
    wait_for(lambda: ferry.status()["links"][0]["spool"]["disk_bytes"] < 2 << 20, what="the spool to be given back")
    come_back_old(target)
    client.incr("n")
    assert_exact(ferry, source, target)
    assert resyncs(ferry) == 1
    assert "the spool does not hold so much any more" in ferry.log


@pytest.mark.parametrize("how", ["killed", "demoted"])
def test_replica_that_lagged_is_promoted(bench, how):
    """Its replication was cut off, and then CLUSTER FAILOVER TAKEOVER: the old master is killed, or answers MOVED over the same connections."""
    source, target = bench.cluster(replicas_per_master=0), bench.cluster(masters=3, replicas_per_master=1)
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    master = target.masters()[0]
    replica = target.replicas(master)[0]
    with Load(source, rate=2000, keys=500) as load:
        more_of(load)
        ferry.wait_in_step(*source.masters())
        wait_for_low_marks(target, 3)
        replica.command("CONFIG", "SET", "masterauth", "nobody asks for it, so it is refused")
        master.command("CLIENT", "KILL", "TYPE", "replica")
        wait_for(lambda: replica.info("replication")["master_link_status"] == "down", what="the replica to be cut off")
        more_of(load, 3000)
        if how == "killed":
            master.kill()
        replica.command("CLUSTER", "FAILOVER", "TAKEOVER")
        if how == "killed":
            master.start()
        more_of(load, 1000)
    target.wait_ok()
    assert not load.errors
    assert_exact(ferry, source, target)
    assert rollbacks(ferry) >= 1 and resyncs(ferry) == 0


def test_cluster_from_old_rdbs(bench):
    """All its nodes at once."""
    source, target = bench.server(), bench.cluster(masters=3, replicas_per_master=0, config=NO_SAVE)
    fill(source, keys=1000, databases=(0,))
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source, rate=1000, keys=300) as load:
        more_of(load)
        ferry.wait_in_step(source)
        wait_for_low_marks(target, 1)
        for node in target.masters():
            keep_rdb(node)
        more_of(load, 2000)
        nodes = target.masters()
        for node in nodes:
            come_back_old(node)
        target.wait_ok()
        more_of(load)
    assert_exact(ferry, source, target)
    assert rollbacks(ferry) >= 1
