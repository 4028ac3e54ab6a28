"""Masters that join the source's cluster, and that leave it, while a task runs: their links come and go, and nothing is lost or doubled."""

import json

import pytest
import redis

from bench.compare import assert_same
from bench.data import fill
from bench.ferry import Ferry
from bench.load import Load
from bench.slots import key_slot
from bench.waiting import wait_for

pytestmark = pytest.mark.sanitize

TAGS = 10                # of the writer's keys; all of them lie in these slots
# An emptied master stays one.
STAYS = {"cluster-allow-replica-migration": "no"}
# It becomes the replica of another one, which takes some time to send it a snapshot: 5 s by default.
BECOMES_REPLICA = {"repl-diskless-sync-delay": 1}
# MIGRATE passes the time that is left to a key, so each move of its slot puts its expiry off by the time on the way.
MOVED_MS = 60_000


def target_of(bench, kind):
    return bench.server() if kind == "standalone" else bench.cluster(masters=2, replicas_per_master=0)


def used_slots():
    return [key_slot(b"w:{%d}" % tag) for tag in range(TAGS)]


def more_of(load, units):
    goal = load.acknowledged + units
    wait_for(lambda: load.acknowledged >= goal, what=f"{units} more units of the writer")


def load_of(source):
    return Load(source, rate=1500, keys=50 * TAGS, seed=7)


def assert_in_step(ferry, source, target):
    source.wait_ok()
    ferry.wait_in_step(*source.masters())
    assert_same(source, target, as_replica=True, expiry_tolerance_ms=MOVED_MS)


def links(ferry):
    return {link["source"] for link in ferry.status()["links"]}


def addresses(*nodes):
    return {node.address for node in nodes}


def wait_links(ferry, nodes):
    """Until the links are those of these masters."""
    ferry.wait_status(lambda status: {link["source"] for link in status["links"]} == addresses(*nodes), what=f"links of {sorted(addresses(*nodes))}")


def events(ferry, kind):
    return [event for event in ferry.status()["events"] if event["kind"] == kind]


def wait_ended(ferry):
    """The event of the one link that has ended in this run."""
    wait_for(lambda: events(ferry, "link_ended"), what="a link to have ended")
    [ended] = events(ferry, "link_ended")
    return ended


def have_arrived(ferry, slots, folder):
    """The file that the handover keeps says that the link in this folder has these slots, and that they do not move any more."""
    has = {}
    for line in (ferry.data / "slots").read_text().splitlines()[1:]:
        words = line.split()
        if words[0] == "relied":
            continue
        first, _, last = words[0].partition("-")
        has |= {slot: words[1:] for slot in range(int(first), int(last or first) + 1)}
    return all(has[slot] == [folder] for slot in slots)


def move_under_load(load, source, slot, target):
    more_of(load, 30)
    move = source.begin_slot_move(slot, target)
    while move.migrate_some(10):
        more_of(load, 10)
    target.command("CLUSTER", "SETSLOT", slot, "NODE", target.id)
    try:
        move.source.command("CLUSTER", "SETSLOT", slot, "NODE", target.id)
    except redis.exceptions.ResponseError as error:
        # It has heard of it already, and became a replica with its last slot.
        assert "only with masters" in str(error)
    source.wait_ok()


def known_links(target, ferry):
    """Ids of links in the marks that the target has of the task."""
    nodes = target.masters() if hasattr(target, "masters") else [target]
    found = set()
    for node in nodes:
        for key in node.command("KEYS", "keyferry:*"):
            found |= {field.decode().split(":")[0] for field in node.command("HKEYS", key)}
    return found


def own_links(ferry):
    return {json.loads(path.read_text())["link"] for path in ferry.data.glob("links/*/state.json")}


@pytest.mark.parametrize("kind,config", [("standalone", STAYS), ("cluster", BECOMES_REPLICA)])
def test_master_joins_and_leaves(bench, kind, config):
    source, target = bench.cluster(masters=2, replicas_per_master=0, config=config), target_of(bench, kind)
    fill(source, keys=500)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with load_of(source) as load:
        newcomer = source.add_node()
        for slot in used_slots():
            move_under_load(load, source, slot, newcomer)
        wait_links(ferry, source.masters())
        assert newcomer.address in links(ferry)
        more_of(load, 500)
        wait_for(lambda: have_arrived(ferry, used_slots(), "2"), what="all slots to have arrived")
        # All of it goes back, in two directions.
        for number, slot in enumerate(used_slots()):
            move_under_load(load, source, slot, source.nodes[number % 2])
        more_of(load, 500)
        wait_links(ferry, source.nodes[:2])
        more_of(load, 300)
    assert not load.errors
    [added] = events(ferry, "link_added")
    ended = wait_ended(ferry)
    assert added["link"] == ended["link"] == newcomer.address
    assert ended["cause"] == "complete" and "marks are removed" in ended["text"]
    assert_in_step(ferry, source, target)
    assert not (ferry.data / "links" / "2").exists()
    assert ferry.verify()[0] == 0
    assert ferry.stop() == 0
    assert known_links(target, ferry) == own_links(ferry)
    assert ferry.run_until_caught_up()
    assert_same(source, target, as_replica=True, expiry_tolerance_ms=MOVED_MS)
    assert ferry.finish() == 0
    assert not known_links(target, ferry)


def test_master_replaced_and_shut_down(bench):
    """A new master takes everything of another, which is shut down then, at once."""
    source, target = bench.cluster(layout=[[(0, 7999)], [(8000, 16383)], []], replicas_per_master=0, config=STAYS), bench.cluster(masters=2, replicas_per_master=0)
    old = source.nodes[2]
    for slot in used_slots():
        source.move_slot(slot, old)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with load_of(source) as load:
        new = source.add_node()
        for number, slot in enumerate(used_slots()):
            move_under_load(load, source, slot, new)
            if number == 0:
                wait_links(ferry, source.masters())
        source.remove_node(old)
        wait_links(ferry, [*source.nodes[:2], new])
        more_of(load, 500)
    assert not load.errors
    assert len(events(ferry, "link_added")) == 1
    assert wait_ended(ferry)["link"] == old.address
    assert_in_step(ferry, source, target)
    assert ferry.stop() == 0
    assert known_links(target, ferry) == own_links(ferry)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_keyferry_ends_in_the_middle(bench, how):
    """While a master joins, while its link has just begun, while it leaves, and while the one that had all slots is away for good."""
    source, target = bench.cluster(masters=2, replicas_per_master=0, config=STAYS), bench.cluster(masters=2, replicas_per_master=0)
    ferry = Ferry(bench, source, target).start().wait_streaming()

    def again():
        if how == "kill":
            ferry.kill()
        else:
            # Not before it takes signals.
            wait_for(ferry.status, what="its status")
            assert ferry.stop() == 0
        more_of(load, 100)
        ferry.start()
    with load_of(source) as load:
        newcomer = source.add_node()
        for slot in used_slots()[:5]:
            move_under_load(load, source, slot, newcomer)
            again()
        wait_for(lambda: newcomer.address in links(ferry), what="the newcomer's link")
        again()
        for slot in used_slots()[5:]:
            move_under_load(load, source, slot, newcomer)
        ferry.wait_streaming()
        wait_for(lambda: have_arrived(ferry, used_slots(), "2"), what="all slots to have arrived")
        for number, slot in enumerate(used_slots()):
            if number % 3 == 1:
                again()
            move_under_load(load, source, slot, source.nodes[number % 2])
        again()
        more_of(load, 300)
        wait_links(ferry, source.nodes[:2])
        more_of(load, 200)
    assert not load.errors
    assert_in_step(ferry, source, target)
    assert ferry.stop() == 0
    assert known_links(target, ferry) == own_links(ferry)


def test_leaves_while_keyferry_is_down(bench):
    """What lies in the spool of a master that has no slots any more is applied before what came after it, also when its link is far behind."""
    source, target = bench.cluster(layout=[[(0, 7999)], [(8000, 16383)], []], replicas_per_master=0, config=STAYS), bench.server()
    leaving = source.nodes[2]
    for slot in used_slots():
        source.move_slot(slot, leaving)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with load_of(source) as load:
        more_of(load, 100)
        # The target takes nothing: what comes now stays in the spools.
        target.command("CLIENT", "PAUSE", 600_000, "WRITE")
        more_of(load, 1000)
        last = leaving.info("replication")["master_repl_offset"]
        ferry.wait_status(lambda status: all(link["position"]["received"] >= last for link in status["links"] if link["source"] == leaving.address))
        ferry.kill()
        target.command("CLIENT", "UNPAUSE")
        for number, slot in enumerate(used_slots()):
            move_under_load(load, source, slot, source.nodes[number % 2])
        ferry.start().wait_log("no slots of the source any more; its link goes on")
        more_of(load, 200)
        wait_links(ferry, source.nodes[:2])
    assert not load.errors
    assert wait_ended(ferry)["link"] == leaving.address
    assert_in_step(ferry, source, target)
    assert ferry.stop() == 0
