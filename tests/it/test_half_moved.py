"""Slots of the target that are half moved when keyferry starts: the marks, low marks and the record of a link may be with the new master already. They are
read there, nothing is applied twice, and only what the servers refuse waits for the end of the move."""

import shutil

import pytest

from bench.compare import assert_same
from bench.ferry import Ferry
from bench.slots import key_slot, slot_tag
from bench.waiting import wait_for

pytestmark = pytest.mark.sanitize


def keys_at(master, pattern):
    return [key.decode() for key in master.command("KEYS", pattern)]


def mark_with_low(master):
    """The key of the marks among which is the master's low mark: the one that was written last."""
    def offset(key):
        fields = master.command("HGETALL", key)
        fields = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2]))
        return max((int(value.split()[1]) for field, value in fields.items() if field.endswith(b":low")), default=-1)
    best = max(keys_at(master, "keyferry:mark:*"), key=offset)
    assert offset(best) >= 0
    return best


def value_at(master, key):
    """Of a key that may be there though its slot is not."""
    with master.client().pipeline(transaction=False) as line:
        return line.execute_command("ASKING").execute_command("GET", key).execute()[1]


def work(source, counters=()):
    """What must not be applied twice: everywhere, and in these."""
    for number in range(100):
        source.command("INCR", f"n{number}")
        source.command("RPUSH", f"list{number}", number)
    for key in counters:
        source.command("INCR", key)


def prepare(bench, version):
    """A task that was stopped, with something left to do, whose target has an empty third master."""
    source, target = bench.server(version), bench.cluster(version, masters=2, replicas_per_master=0)
    newcomer = target.add_node()
    ferry = Ferry(bench, source, target, {"name": "halved"}).start().wait_streaming()
    work(source)
    ferry.wait_in_step(source)
    wait_for(lambda: all(any(field.endswith(b":low") for key in keys_at(node, "keyferry:mark:*") for field in node.command("HKEYS", key))
                         for node in target.masters() if node is not newcomer), what="low marks")
    return source, target, newcomer, ferry


def wait_for_the_rest(source, target, what):
    wait_for(lambda: all(target.run("GET", f"n{number}", key=f"n{number}") == source.command("GET", f"n{number}") for number in range(100)), what=what)


@pytest.mark.parametrize("version,to", [("redis-7.0", "other"), ("redis-7.0", "newcomer"), ("valkey-9.1", "newcomer")])
def test_mark_has_gone_ahead(bench, version, to):
    """The slot of a low mark, with its mark and half of its keys gone ahead."""
    source, target, newcomer, ferry = prepare(bench, version)
    mark = mark_with_low(target.masters()[0])
    slot = key_slot(mark)
    gone = [f"gone{number}:{{{slot_tag(slot)}}}" for number in range(6)]
    staying = [f"staying{number}:{{{slot_tag(slot)}}}" for number in range(3)]
    work(source, gone + staying)
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    move = target.begin_slot_move(slot, newcomer if to == "newcomer" else target.masters()[1])
    move.migrate(mark, *gone)
    assert mark in keys_at(move.target, "keyferry:mark:*")
    work(source, gone)
    ferry.start().wait_streaming()
    wait_for(lambda: [value_at(move.target, key) for key in gone] == [b"2"] * len(gone), what="commands whose keys are where the mark is")
    wait_for_the_rest(source, target, "commands of other slots")
    # What is with the old master cannot be written together with its mark, and waits; nothing else does.
    work(source, gone + staying)
    wait_for_the_rest(source, target, "commands of other slots, while one waits")
    ferry.kill()
    ferry.start().wait_streaming()
    work(source, gone)
    wait_for_the_rest(source, target, "commands of other slots, after another start")
    move.migrate_all().finish()
    ferry.wait_in_step(source)
    assert_same(source, target)
    assert source.command("GET", gone[0]) == b"4" and source.command("GET", staying[0]) == b"2"
    assert ferry.stop() == 0


def test_record_has_gone_ahead(bench):
    """The slot of the record, with the record gone ahead."""
    source, target, newcomer, ferry = prepare(bench, "redis-7.0")
    ferry.kill()
    move = target.begin_slot_move(key_slot("keyferry:task:halved"), newcomer)
    move.migrate("keyferry:task:halved")
    work(source)
    ferry.start().wait_streaming()
    ferry.wait_in_step(source)
    assert_same(source, target)
    # With an empty work directory too it goes on from the record, and takes no snapshot.
    ferry.kill()
    shutil.rmtree(ferry.data)
    work(source)
    ferry.start().wait_streaming()
    ferry.wait_in_step(source)
    assert "going on from what the target has" in ferry.log and ferry.log.count("full resync") == 1
    move.migrate_all().finish()
    assert_same(source, target)
    assert ferry.stop() == 0
