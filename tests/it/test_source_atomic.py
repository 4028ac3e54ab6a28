"""Slots that masters of the source hand over by atomic migration (CLUSTER MIGRATESLOTS, Valkey 9) while a task runs, under commands that must not be applied twice."""

import json

import pytest

from bench.atomic import begin_held_move, end_held_move, hold_end, jobs, move, wait_ended
from bench.compare import assert_same
from bench.data import fill
from bench.ferry import Ferry
from bench.load import Load
from bench.slots import key_slot
from bench.waiting import wait_for

pytestmark = pytest.mark.sanitize

VERSION = "valkey-9"
TAGS = 10                # of the writer's keys; all of them lie in these slots
TARGETS = ("standalone", "cluster")
BACKLOG = {"repl-backlog-size": "64mb"}


def used_slots():
    return [key_slot(b"w:{%d}" % tag) for tag in range(TAGS)]


def pair(bench, **options):
    return bench.cluster(VERSION, masters=2, replicas_per_master=0, **options)


def target_of(bench, kind):
    return bench.server(VERSION) if kind == "standalone" else bench.cluster(VERSION, masters=2, replicas_per_master=0)


def load_of(source, **options):
    return Load(source, **({"rate": 1500, "keys": 50 * TAGS, "seed": 5} | options))


def more_of(load, units):
    goal = load.acknowledged + units
    wait_for(lambda: load.acknowledged >= goal, what=f"{units} more units of the writer")


def other_master(cluster, node):
    return next(other for other in cluster.masters() if other is not node)


def slots_of(cluster, node):
    return [slot for slot in used_slots() if cluster.owner(slot) is node]


def taken(ferry):
    return sum(link["handover"]["slots_taken"] for link in ferry.status()["links"])


def assert_in_step(ferry, source, target, ways=None):
    source.wait_ok()
    ferry.wait_in_step(*(ways or source.masters()))
    assert_same(source, target, as_replica=True, expiry_tolerance_ms=1000)


def cut_imports(receiver):
    """Ends the connections over which slots come."""
    clients = receiver.command("CLIENT", "LIST").decode().splitlines()
    flags = [dict(word.partition("=")[::2] for word in client.split()) for client in clients]
    ids = [client["id"] for client in flags if "i" in client["flags"]]
    assert ids, clients
    for client in ids:
        receiver.command("CLIENT", "KILL", "ID", client)


def kept_imports(ferry):
    """Those that the state files tell of."""
    return [told for path in ferry.data.glob("links/*/state.json") for told in json.loads(path.read_text()).get("imports", [])]


@pytest.mark.parametrize("kind", TARGETS)
def test_slots_move_under_load(bench, kind):
    """One after the other, several at once, and back again."""
    source, target = pair(bench), target_of(bench, kind)
    fill(source, keys=1000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    first, second = source.masters()
    with load_of(source) as load:
        more_of(load, 300)
        for slot in slots_of(source, first):
            move(first, second, [slot])
            more_of(load, 100)
        source.wait_ok()
        move(second, first, slots_of(source, second))
        more_of(load, 300)
        source.wait_ok()
        move(first, second, used_slots())
        more_of(load, 300)
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert taken(ferry) >= 2 * TAGS
    assert "new snapshot" not in ferry.log
    assert ferry.stop() == 0


def test_several_jobs_at_once(bench):
    """A job for each slot, all of them under way together."""
    source, target = pair(bench), target_of(bench, "cluster")
    ferry = Ferry(bench, source, target).start().wait_streaming()
    goal = 0
    with load_of(source) as load:
        for giver, receiver in (source.masters(), reversed(source.masters())):
            more_of(load, 200)
            source.wait_ok()
            before, words = set(jobs(giver)), []
            for slot in slots_of(source, giver):
                words += ["SLOTSRANGE", slot, slot, "NODE", receiver.id]
            giver.command("CLUSTER", "MIGRATESLOTS", *words)
            wait_ended(giver, set(jobs(giver)) - before)
            goal += len(words) // 5
            # Jobs of other slots that come back to a link that is behind are another matter: new snapshots may be needed.
            wait_for(lambda: taken(ferry) >= goal, what="the links to have them")
        more_of(load, 200)
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert taken(ferry) >= TAGS
    assert "new snapshot" not in ferry.log
    assert ferry.stop() == 0


def test_given_up(bench):
    """Slots that stay where they were, after their copy had been there: cancelled by the operator, and failed by the loss of the connection."""
    source, target = pair(bench), target_of(bench, "cluster")
    ferry = Ferry(bench, source, target).start().wait_streaming()
    first, second = source.masters()
    with load_of(source) as load:
        more_of(load, 300)
        names = begin_held_move(first, second, slots_of(source, first))
        more_of(load, 300)
        first.command("CLUSTER", "CANCELSLOTMIGRATIONS")
        wait_ended(first, names, "cancelled")
        more_of(load, 100)
        names = begin_held_move(first, second, slots_of(source, first))
        more_of(load, 100)
        cut_imports(second)
        wait_ended(first, names, "failed")
        hold_end(first, False)
        more_of(load, 100)
        ferry.wait_log("has been given up by the source")
        move(first, second, slots_of(source, first))
        more_of(load, 100)
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert "new snapshot" not in ferry.log
    assert ferry.stop() == 0


@pytest.mark.parametrize("kind", TARGETS)
def test_killed_in_the_middle(bench, kind):
    """While the copy comes; while keyferry is away the migration ends, and there and back it goes once more."""
    source, target = pair(bench, config=BACKLOG), target_of(bench, kind)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    first, second = source.masters()
    with load_of(source) as load:
        more_of(load, 300)
        names = begin_held_move(first, second, slots_of(source, first))
        more_of(load, 100)
        wait_for(lambda: kept_imports(ferry), what="the import to be kept")
        ferry.kill()
        more_of(load, 100)
        ferry.start().wait_streaming()
        more_of(load, 100)
        ferry.kill()
        end_held_move(first, names)
        more_of(load, 100)
        ferry.start().wait_streaming()
        more_of(load, 100)
        source.wait_ok()
        ferry.kill()
        move(second, first, used_slots())
        more_of(load, 100)
        source.wait_ok()
        move(first, second, used_slots())
        more_of(load, 100)
        ferry.start().wait_streaming()
        more_of(load, 100)
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert "new snapshot" not in ferry.log
    assert ferry.stop() == 0


def test_link_of_the_former_owner_is_behind(bench):
    """It receives nothing for a while, while slots go from its master, and then from the other one."""
    source, target = pair(bench, config=BACKLOG, ways=True), target_of(bench, "cluster")
    ferry = Ferry(bench, source.masters()[0].way, target).start().wait_streaming()
    first, second = source.masters()
    with load_of(source) as load:
        for giver, receiver in ((first, second), (second, first), (first, second)):
            more_of(load, 200)
            giver.way.stall()
            move(giver, receiver, slots_of(source, giver))
            more_of(load, 300)
            ferry.wait_status(lambda status: any("atomic migration" in (link["waiting_for"] or "") for link in status["links"]), what="a link that waits for the other one")
            giver.way.resume()
            source.wait_ok()
    assert not load.errors
    assert_in_step(ferry, source, target, [node.way for node in source.masters()])
    assert ferry.stop() == 0


def test_there_and_back_while_a_link_is_cut_off(bench):
    """The link of one master has to begin its connection anew around each move, so it is behind the other one."""
    source, target = pair(bench, config=BACKLOG), target_of(bench, "standalone")
    ferry = Ferry(bench, source, target).start().wait_streaming()
    slow, slots = source.masters()[0], used_slots()[:3]
    source.wait_ok()
    with load_of(source) as load:
        for slot in slots * 2:
            giver = source.owner(slot)
            slow.command("CLIENT", "KILL", "TYPE", "replica")
            move(giver, other_master(source, giver), [slot])
            source.wait_ok()
            more_of(load, 50)
            move(other_master(source, giver), giver, [slot])
            slow.command("CLIENT", "KILL", "TYPE", "replica")
            source.wait_ok()
            more_of(load, 200)
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert ferry.stop() == 0


def test_first_snapshot_in_the_middle(bench):
    """It holds a part of the copy, which is left out; when the slots have come, a second one brings them."""
    source, target = pair(bench), target_of(bench, "standalone")
    first, second = source.masters()
    ferry = Ferry(bench, source, target)
    with load_of(source) as load:
        more_of(load, 300)
        names = begin_held_move(first, second, slots_of(source, first))
        ferry.start().wait_streaming()
        more_of(load, 200)
        end_held_move(first, names)
        ferry.wait_log("a new snapshot is taken, which has them")
        more_of(load, 300)
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert ferry.stop() == 0
