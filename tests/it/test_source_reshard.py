"""Slots that move between masters of the source while a task runs, under commands that must not be applied twice: nothing is lost, nothing doubled."""

import json

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
# Nothing that was acknowledged is lost by a kill -9.
LOG = {"appendonly": "yes", "appendfsync": "always"}
# MIGRATE passes the time that is left to a key, so each move of its slot puts its expiry off by the time on the way.
MOVED_MS = 60_000


def target_of(bench, kind):
    return bench.server() if kind == "standalone" else bench.cluster(masters=2, replicas_per_master=0)


def used_slots():
    return [key_slot(b"w:{%d}" % tag) for tag in range(TAGS)]


def ways_to(cluster):
    """What the links are called by that reach it through proxies."""
    return [master.way for master in cluster.masters()]


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


def wait_applied(ferry, source):
    """Everything that has been written by now. A slot that comes back sooner than it was away for the links is not covered (docs/delivery.md), and machines may be slow."""
    goals = {master.address: master.info("replication")["master_repl_offset"] for master in source.masters()}
    ferry.wait_status(lambda status: all((link["position"]["applied"] or 0) >= goals[link["source"]] for link in status["links"]), what="what was written until then")


def is_kept(ferry):
    """The state files say that all links are behind their (empty) snapshots."""
    return all(json.loads(path.read_text())["position"] > 1000 for path in ferry.data.glob("links/*/state.json"))


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


@pytest.mark.parametrize("kind", TARGETS)
def test_masters_that_tell_their_replicas_of_moves(bench, kind):
    """Valkey from 8.0 on writes CLUSTER SETSLOT into its stream, where a master has replicas of its own."""
    source = bench.cluster("valkey-9", masters=2, replicas_per_master=1)
    target = bench.server("valkey-9") if kind == "standalone" else bench.cluster("valkey-9", masters=2, replicas_per_master=0)
    fill(source, keys=100)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with load_of(source) as load:
        more_of(load, 100)
        for slot in used_slots()[:2]:
            source.move_slot(slot, other_master(source, slot))
        more_of(load, 100)
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert taken(ferry) >= 2
    assert ferry.stop() == 0


@pytest.mark.parametrize("kind", TARGETS)
def test_many_slots_both_ways_at_once(bench, kind):
    """Each of two links has slots that it waits for and slots that it is waited for with."""
    source, target = bench.cluster(masters=2, replicas_per_master=0), target_of(bench, kind)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with load_of(source) as load:
        for _ in range(3):
            more_of(load, 300)
            wait_applied(ferry, source)
            moves = [source.begin_slot_move(slot, other_master(source, slot)) for slot in used_slots()]
            going = list(moves)
            while going:
                going = [move for move in going if move.migrate_some(2)]
                more_of(load, 10)
            # One after the other, or two nodes may claim one epoch for different slots.
            for move in sorted(moves, key=lambda move: move.target.name):
                move.finish()
            more_of(load, 1000)
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert taken(ferry) >= 3 * TAGS
    assert ferry.stop() == 0


def test_killed_in_the_middle(bench):
    """What is known of owners is made anew."""
    source, target = bench.cluster(masters=2, replicas_per_master=0), target_of(bench, "cluster")
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with load_of(source) as load:
        more_of(load, 100)
        wait_for(lambda: is_kept(ferry), what="positions in the stream to be kept")
        for slot in used_slots():
            more_of(load, 100)
            move = source.begin_slot_move(slot, other_master(source, slot))
            while move.migrate_some(3):
                ferry.kill()
                more_of(load, 20)
                ferry.start()
            more_of(load, 50)
            ferry.kill()
            move.finish(wait=False)
            more_of(load, 50)
            ferry.start()
        ferry.wait_streaming()
        more_of(load, 200)
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert ferry.stop() == 0


@pytest.mark.parametrize("kind", TARGETS)
def test_new_snapshots_after_moves_both_ways(bench, kind):
    """Keyferry is away right after slots have moved in both directions, until it can have new snapshots only. Each link has keys in its own that it waits for the other one with."""
    source = bench.cluster(masters=2, replicas_per_master=0, config={"repl-backlog-size": "16kb"})
    target = target_of(bench, kind)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with load_of(source) as load:
        more_of(load, 500)
        for slot in used_slots():
            source.move_slot(slot, other_master(source, slot))
        wait_for(lambda: taken(ferry) >= 2, what="slots to be taken over")
        ferry.kill()
        more_of(load, 2000)
        ferry.start().wait_streaming()
        more_of(load, 300)
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert ferry.stop() == 0


@pytest.mark.parametrize("kind", TARGETS)
def test_new_snapshot_right_after_a_move(bench, kind):
    """The slot's new owner comes back under a new history. What it had deleted before is removed from the target, though the slot has just come there: once the link of its
    former owner, of which nothing comes just then, is known to be done with it."""
    source, target = bench.cluster(masters=2, replicas_per_master=0, config=LOG, ways=True), target_of(bench, kind)
    ferry = Ferry(bench, source.masters()[0].way, target).start().wait_streaming()
    slot, deleted = key_slot(b"{gone}"), [f"{{gone}}:{number}" for number in range(30)]
    giver, receiver = source.owner(slot), other_master(source, slot)
    with load_of(source) as load:
        for key in deleted:
            source.run("SET", key, "x")
        more_of(load, 300)
        move = source.begin_slot_move(slot, receiver).migrate_all()
        ferry.wait_in_step(*ways_to(source))
        for node in (giver, receiver):
            node.way.stall()
        move.finish()
        source.run("DEL", *deleted)
        receiver.restart(kill=True)
        receiver.way.resume()
        ferry.wait_status(lambda status: any("had slots of this one before" in (link["waiting_for"] or "") for link in status["links"]),
                          what="a link at the end of its snapshot to wait for the other one")
        giver.way.resume()
        more_of(load, 300)
    assert not load.errors
    source.wait_ok()
    ferry.wait_in_step(*ways_to(source))
    assert_same(source, target, as_replica=True, expiry_tolerance_ms=MOVED_MS)
    assert "not waited for any longer" not in ferry.log
    assert ferry.stop() == 0


def test_back_and_forth_while_a_link_is_cut_off(bench):
    """The link of one master receives nothing for a while again and again, so it is always behind the other."""
    source, target = bench.cluster(masters=2, replicas_per_master=0), target_of(bench, "standalone")
    ferry = Ferry(bench, source, target).start().wait_streaming()
    slow = source.masters()[0]
    with load_of(source) as load:
        for _ in range(6):
            slot = used_slots()[0]
            wait_applied(ferry, source)
            slow.command("CLIENT", "KILL", "TYPE", "replica")
            move = source.begin_slot_move(slot, other_master(source, slot))
            while move.migrate_some(3):
                more_of(load, 20)
            move.finish()
            slow.command("CLIENT", "KILL", "TYPE", "replica")
            more_of(load, 3000)
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert ferry.stop() == 0


def test_emptied_master_is_shut_down(bench):
    """Nobody waits for ever for the link of a master that is gone. Before, it becomes the replica of another one, as servers do by default."""
    source, target = bench.cluster(layout=[[(0, 7999)], [(8000, 16383)], []], replicas_per_master=0), target_of(bench, "cluster")
    leaving = source.nodes[2]
    for slot in used_slots():
        source.move_slot(slot, leaving)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with load_of(source) as load:
        more_of(load, 200)
        for slot in used_slots():
            move = source.begin_slot_move(slot, source.nodes[slot % 2]).migrate_all()
            # The others hear of it from there; with its last slot the old owner stops being a master.
            move.target.command("CLUSTER", "SETSLOT", slot, "NODE", move.target.id)
            source.wait_ok()
        more_of(load, 500)
        source.remove_node(leaving)
        more_of(load, 500)
        ferry.wait_status(lambda status: len(status["links"]) == 2, what="the link of the one that is gone to end")
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert ferry.stop() == 0
    ferry.start()
    assert_in_step(ferry, source, target)
    assert ferry.stop() == 0
