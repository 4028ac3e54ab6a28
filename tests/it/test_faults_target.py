"""The target disturbed in every manner while the source is written to: keyferry waits, goes on by itself, and at the end
the target is exactly what the source is.

All kinds of commands are used, those too that must not be applied twice: after a connection was lost the target's marks tell what was
executed (docs/delivery.md). Only where the target itself loses what it has acknowledged they are left out (mode "safe")."""

import pytest

from bench.compare import assert_same
from bench.data import fill
from bench.ferry import Ferry
from bench.load import Load
from bench.proxy import Proxy
from bench.slots import key_slot

pytestmark = pytest.mark.sanitize

# Nothing that was acknowledged is lost by a kill -9.
AOF = {"appendonly": "yes", "appendfsync": "always"}


def masters_of(deployment):
    return deployment.masters() if hasattr(deployment, "masters") else [deployment]


def more_of(load, ferry, units=1000):
    """The writer goes on for so many units, with keyferry running."""
    goal = load.acknowledged + units
    ferry.wait_status(lambda status: load.acknowledged >= goal, what=f"{units} more units of the writer")


# MIGRATE passes the time that is left to a key, so each move of its slot puts its expiry off by the time on the way.
MOVED_MS = 1000


def assert_in_step(ferry, source, target, expiry_tolerance_ms=0):
    ferry.wait_in_step(*masters_of(source))
    assert_same(source, target, as_replica=True, expiry_tolerance_ms=expiry_tolerance_ms)
    assert all(link["resyncs"] == 0 and link["waiting_for"] is None for link in ferry.status()["links"])


def down(node):
    return b"cluster_state:fail" in node.command("CLUSTER", "INFO")


def waiting_for(status):
    return [link["waiting_for"] for link in status["links"] if link["waiting_for"]]


def test_restarted_in_order(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source) as load:
        for _ in range(3):
            more_of(load, ferry, 300)
            target.shutdown(save=True)
            more_of(load, ferry, 300)
            target.start()
    assert_in_step(ferry, source, target)


def test_killed(bench):
    """kill -9 in the middle of the snapshot, and several times in the stream."""
    source, target = bench.server(), bench.server(config=AOF)
    fill(source, keys=20000)
    ferry = Ferry(bench, source, target, {"limit.records_per_second": 20000}).start()
    ferry.wait_status(lambda status: status["links"][0]["snapshot"]["keys_done"] > 5000, what="some of the snapshot")
    target.restart(kill=True)
    ferry.wait_streaming()
    with Load(source) as load:
        for _ in range(3):
            more_of(load, ferry, 300)
            target.kill()
            more_of(load, ferry, 300)
            target.start()
    assert_in_step(ferry, source, target)


def test_away_for_a_while(bench):
    """The log says once that it waits and for what, the status says it meanwhile, and the log says when it is over."""
    source, target = bench.server(), bench.server(config=AOF)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source) as load:
        more_of(load, ferry, 300)
        target.kill()
        ferry.wait_status(waiting_for, what="the reason of waiting")
        assert target.address in waiting_for(ferry.status())[0]
        more_of(load, ferry, 1000)
        target.start()
        ferry.wait_log(f"target {target.address}: connected again after")
    assert_in_step(ferry, source, target)
    assert ferry.log.count("it goes on by itself") == 1, ferry.log
    # One sentence for its end, with what was under way; and none that says the same.
    assert ferry.log.count("connected again") == 1 and "takes commands again" not in ferry.log


def test_connections_reset(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=5000)
    proxy = Proxy(bench, target)
    ferry = Ferry(bench, source, proxy).start()

    def cut(reset=False):
        """Once the connection is there again, and counted."""
        before = ferry.status()["links"][0]["target_reconnects"]
        proxy.cut(reset)
        ferry.wait_status(lambda status: status["links"][0]["target_reconnects"] > before, what="a new connection")
    # Before it writes a lost connection is the end.
    ferry.wait_status(lambda status: status["links"][0]["snapshot"]["keys_done"] > 0, what="the snapshot")
    with Load(source, rate=2000) as load:
        for number in range(10):
            more_of(load, ferry, 200)
            cut(number % 2 == 0)
        proxy.delay(0.05)
        more_of(load, ferry, 500)
        cut()
        more_of(load, ferry, 500)
    ferry.wait_streaming()
    assert_in_step(ferry, source, target)
    assert ferry.status()["links"][0]["target_reconnects"] >= 11


def test_stalled_way(bench):
    """No answer for longer than timeouts.replication: the connection is made anew."""
    source, target = bench.server(), bench.server()
    proxy = Proxy(bench, target)
    ferry = Ferry(bench, source, proxy, {"timeouts.replication": "1s", "heartbeat": "false"}).start().wait_streaming()
    with Load(source) as load:
        more_of(load, ferry, 300)
        proxy.stall()
        ferry.wait_status(lambda status: status["links"][0]["target_reconnects"] > 0, what="a lost connection")
        proxy.resume()
        more_of(load, ferry, 300)
    assert_in_step(ferry, source, target)


def test_frozen(bench):
    """SIGSTOP for less than the silence that keyferry bears: not even the connection is made anew."""
    source, target = bench.server(), bench.server()
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source, rate=2000) as load:
        for _ in range(3):
            more_of(load, ferry, 200)
            target.pause()
            more_of(load, ferry, 1500)
            target.resume()
    assert_in_step(ferry, source, target)
    assert ferry.status()["links"][0]["target_reconnects"] == 0


def test_node_of_a_cluster_killed(bench):
    """The others answer CLUSTERDOWN meanwhile."""
    source, target = bench.cluster(replicas_per_master=0), bench.cluster(masters=4, replicas_per_master=0, config=AOF)
    fill(source, keys=5000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source) as load:
        for node in target.nodes[1:3]:
            more_of(load, ferry, 500)
            node.kill()
            ferry.wait_status(lambda status: down(target.nodes[0]), what="the cluster to be down")
            node.start()
            more_of(load, ferry, 500)
        target.wait_ok()
    assert_in_step(ferry, source, target)


def test_slots_moved_back_and_forth(bench):
    """With commands that must not be applied twice, and each in its order."""
    source, target = bench.cluster(replicas_per_master=0), bench.cluster(replicas_per_master=0)
    fill(source, keys=5000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    first, second, third = target.masters()
    with Load(source, rate=2000, keys=1000) as load:
        slots = sorted({slot for slot in (target_slot(tag) for tag in range(20)) if target.owner(slot) is first})
        assert len(slots) >= 3
        for slot in slots[:3]:
            for there in (second, third, first):
                target.move_slot(slot, there)
        # A move that stays half done for a while: the slot's keys are on both sides, transactions meet TRYAGAIN.
        move = target.begin_slot_move(slots[0], third)
        move.migrate_some(10)
        more_of(load, ferry, 1000)
        move.migrate_all().finish()
        # One in which no key is moved for a while, but new ones come into being where the slot is going; and back again. (Calling it
        # off would leave those behind, whoever wrote them.)
        move = target.begin_slot_move(slots[1], second)
        more_of(load, ferry, 500)
        move.migrate_all().finish()
        target.move_slot(slots[1], first)
        more_of(load, ferry, 1000)
    assert not load.errors
    assert_in_step(ferry, source, target, MOVED_MS)
    links = ferry.status()["links"]
    assert sum(link["counters"]["redirections"] for link in links) > 0
    assert sum(link["target_reconnects"] for link in links) == 0


def target_slot(tag):
    """The slot of the writer's keys that have this hash tag."""
    return key_slot(f"{{{tag}}}")


def test_range_of_slots_moved(bench):
    source, target = bench.cluster(replicas_per_master=0), bench.cluster(masters=2, replicas_per_master=0)
    fill(source, keys=5000)
    ferry = Ferry(bench, source, target).start()
    first, second = target.masters()
    with Load(source, rate=1000) as load:
        target.move_slots(0, 120, second)
        ferry.wait_streaming()
        target.move_slots(16300, 16383, first)
        more_of(load, ferry, 500)
    assert_in_step(ferry, source, target, MOVED_MS)


def test_failover_in_a_cluster(bench):
    """CLUSTER FAILOVER on a replica: the master hands over without losing anything."""
    source, target = bench.cluster(replicas_per_master=0), bench.cluster(masters=3, replicas_per_master=1)
    fill(source, keys=5000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source, rate=1000) as load:
        for master in target.masters()[:2]:
            more_of(load, ferry, 300)
            target.failover(target.replicas(master)[0])
            more_of(load, ferry, 300)
            # Whichever of the links has learned of it.
            ferry.wait_status(lambda status: set(status["targets"]) == {server.address for server in target.masters()}, what="the new masters in the status")
    assert_in_step(ferry, source, target)


def test_from_sentinel(bench):
    source, target = bench.sentinel(), bench.server()
    fill(source.master, keys=2000)
    ferry = Ferry(bench, source, target)
    with Load(source.master) as load:
        ferry.start().wait_streaming()
        more_of(load, ferry, 1000)
    assert_in_step(ferry, source.master, target)


def test_to_sentinel_with_failover(bench):
    """A failover by Sentinels loses what the old master takes while the new one is made: nobody writes in that moment."""
    source, target = bench.server(), bench.sentinel()
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source, mode="safe") as load:
        more_of(load, ferry, 500)
    ferry.wait_in_step(source)
    new = target.failover()
    with Load(source, mode="safe", prefix=b"again:") as load:
        more_of(load, ferry, 500)
    assert ferry.status()["targets"] == [new.address]
    assert_in_step(ferry, source, new)
