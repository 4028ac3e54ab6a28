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


def reconnects(ferry):
    return sum(link["target_reconnects"] for link in ferry.status()["links"])


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
            before = reconnects(ferry)
            if kind == "standalone":
                way.cut(reset=number % 2 == 0)
            else:
                for node in target.masters():
                    node.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            wait_for(lambda before=before: reconnects(ferry) > before, what="a new connection")
    assert_in_step(ferry, source, target)
    assert reconnects(ferry) >= 8


@pytest.mark.parametrize("kind", KINDS)
def test_on_another_machine(bench, kind):
    """Killed, and its work directory is lost: with an empty one it goes on from what the target has, without a snapshot."""
    source, target = deployment(bench, kind), deployment(bench, kind, 2)
    fill(source, keys=1000)
    ferry = Ferry(bench, source, target, {"name": "moving"}).start().wait_streaming()
    with Load(source, rate=3000, keys=500, databases=(0, 3) if kind == "standalone" else (0,)) as load:
        for _ in range(3):
            more_of(load, 1500)
            wait_for(lambda: records(target, "moving"), what="records of all links in the stream")
            ferry.kill()
            shutil.rmtree(ferry.data)
            ferry.start().wait_streaming()
        more_of(load, 300)
    assert_in_step(ferry, source, target)
    assert "going on from what the target has" in ferry.log
    assert ferry.log.count("full resync") == len(masters_of(source)), ferry.log  # those of the first start
    # Begun anew on purpose: a snapshot, and the marks of before mean nothing.
    assert ferry.stop() == 0
    shutil.rmtree(ferry.data)
    if kind == "standalone":
        ferry.start("--set", "target.existing=flush").wait_streaming()
        assert_in_step(ferry, source, target)


@pytest.mark.parametrize("kind", KINDS)
def test_on_another_machine_and_killed_at_once(bench, kind):
    """Before it has come to write down how far it is: what it knows of the target's marks has to be in the work directory by then."""
    source, target = deployment(bench, kind), deployment(bench, kind, 2)
    masters = masters_of(source)
    ferry = Ferry(bench, source, target, {"name": "moving"}).start().wait_streaming()
    counters = [next(b"n%d" % number for number in range(100) if kind == "standalone" or source.master_of(b"n%d" % number) is master) for master in masters]

    def count():
        for master, counter in zip(masters, counters):
            master.command("INCR", counter)

    def at_target():
        owners = [target.master_of(counter) if kind == "cluster" else target for counter in counters]
        return [int(owner.command("GET", counter) or 0) for owner, counter in zip(owners, counters)]
    count()
    ferry.wait_in_step(*masters)
    wait_for(lambda: records(target, "moving"), what="records of all links in the stream")
    for number in range(2, 5):
        ferry.kill()
        shutil.rmtree(ferry.data)
        count()
        ferry.start()
        wait_for(lambda: at_target() == [number] * len(counters), what="the counters")
        ferry.kill()
        ferry.start()
        ferry.wait_in_step(*masters)
        assert at_target() == [number] * len(counters)
    assert_in_step(ferry, source, target)


def records(target, task):
    """Do all links of the task have a position in the stream?"""
    key = f"keyferry:task:{task}"
    for node in masters_of(target):
        if key.encode() in node.command("KEYS", key):
            fields = node.command("HGETALL", key)
            fields = dict(zip(fields[::2], fields[1::2])) if isinstance(fields, list) else fields
            values = [value for field, value in fields.items() if b":" not in field]
            owners = [field for field in fields if field.endswith(b":owner")]
            return len(values) == len(owners) > 0 and all(int(value.split()[2]) >= 0 for value in values)
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_predecessor_wakes_up(bench, kind):
    """SIGSTOP in the middle of the stream; another process takes over; then the first one wakes up."""
    source, target = deployment(bench, kind), deployment(bench, kind, 2)
    fill(source, keys=500)
    first = Ferry(bench, source, target, {"name": "twice"}).start().wait_streaming()
    with Load(source, rate=3000, keys=300) as load:
        more_of(load, 1000)
        wait_for(lambda: records(target, "twice"), what="records")
        first.process.pause()
        more_of(load, 500)
        second = Ferry(bench, source, target, {"name": "twice"}).start().wait_streaming()
        more_of(load, 500)
        first.process.resume()
        assert first.wait() == 8
        more_of(load, 500)
    assert "has taken over link" in first.log
    assert_in_step(second, source, target)


@pytest.mark.parametrize("kind", KINDS)
def test_taken_over_in_the_snapshot(bench, kind):
    """Frozen before its record says any position; what replaces it begins with a snapshot of its own, which lacks what the source has deleted meanwhile."""
    source, target = deployment(bench, kind), deployment(bench, kind, 2)
    fill(source, keys=3000)
    client = source.client()
    client.rpush("list", 1, 2)
    first = Ferry(bench, source, target, {"name": "twice", "limit.records_per_second": 1500}).start()
    reader = target.client()
    wait_for(lambda: all(link["snapshot"]["keys_done"] > 500 for link in first.status()["links"]) and reader.exists("list"), what="a part of the snapshot")
    first.process.pause()
    client.delete("list")
    second = Ferry(bench, source, target, {"name": "twice"}).start().wait_streaming()
    client.rpush("list", 3)
    second.wait_in_step(*masters_of(source))
    first.process.resume()
    assert first.wait() == 8
    client.rpush("list", 4)
    assert_in_step(second, source, target)
    assert reader.lrange("list", 0, -1) == [b"3", b"4"]


def test_task_of_the_same_kind_at_the_same_target(bench):
    """Two tasks with one target do not see each other's marks."""
    one, two, target = bench.server(), bench.server(), bench.server()
    with Load(one, rate=1000, prefix=b"one:") as load_one, Load(two, rate=1000, prefix=b"two:") as load_two:
        first = Ferry(bench, one, target).start().wait_streaming()
        second = Ferry(bench, two, target, {"target.existing": "merge"}).start().wait_streaming()
        for _ in range(3):
            more_of(load_one, 200)
            first.kill()
            more_of(load_two, 200)
            second.kill()
            first.start()
            second.start()
        first.wait_streaming()
        second.wait_streaming()
    first.wait_in_step(one)
    second.wait_in_step(two)
    assert len(marks(target)) == 2
    assert_same([one, two], target, as_replica=True)


def test_marks_are_not_copied_on(bench):
    """A chain: the target of one task is the source of the next."""
    source, middle, end = bench.server(), bench.server(), bench.server()
    first = Ferry(bench, source, middle, {"name": "first"}).start().wait_streaming()
    with Load(source, rate=2000, keys=200) as load:
        more_of(load, 500)
        second = Ferry(bench, middle, end, {"name": "second"}).start().wait_streaming()
        more_of(load, 500)
    first.wait_in_step(source)
    second.wait_in_step(middle)
    assert_same(source, end, as_replica=True)
    assert marks(end) == [b"keyferry:task:second"]


def test_target_with_nothing_but_marks_is_empty(bench):
    source, other, target = bench.server(), bench.server(), bench.cluster(masters=2, replicas_per_master=0)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    source.command("INCR", "n")
    source.command("DEL", "n")
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    assert marks(target, "keyferry:mark:*") and marks(target, "keyferry:task:*")
    Ferry(bench, other, target).run_until_caught_up()


def test_nothing_of_its_own_with_checkpoint_local(bench):
    source, target = bench.server(), bench.server()
    ferry = Ferry(bench, source, target, {"checkpoint": "local"}).start().wait_streaming()
    source.command("INCR", "n")
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    assert target.command("KEYS", "*") == [b"n"]


@pytest.mark.parametrize("kind", KINDS)
def test_finish_removes_the_marks(bench, kind):
    source, target = deployment(bench, kind), deployment(bench, kind, 2)
    ferry = Ferry(bench, source, target, {"name": "over"}).start().wait_streaming()
    other = Ferry(bench, bench.server(), target, {"name": "other", "target.existing": "merge"}).start().wait_streaming()
    with Load(source, rate=2000, keys=200) as load:
        more_of(load, 500)
    ferry.wait_in_step(*masters_of(source))
    assert ferry.stop() == 0
    wait_for(lambda: records(target, "other"), what="the other's record")
    assert ferry.finish() == 0
    # The other one writes its low marks meanwhile.
    fields = {field.split(b":")[0] for node in masters_of(target) for key in node.command("KEYS", "keyferry:*") for field in node.command("HKEYS", key)}
    assert marks(target, "keyferry:task:*") == [b"keyferry:task:other"] and len(fields) == 1
    assert_same(source, target, as_replica=True)
    assert other.stop() == 0


def test_finish_removes_the_marks_when_databases_have_keys(bench):
    """The marks are in database 0; the walk over the times of expiry ends in another one."""
    source, target = bench.server(), bench.server()
    source.client(db=5).set("key", "value")
    ferry = Ferry(bench, source, target, {"name": "over"}).start().wait_streaming()
    source.command("INCR", "n")
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    assert marks(target, "keyferry:task:*")
    assert ferry.finish() == 0
    assert target.command("KEYS", "*") == [b"n"]
    assert target.client(db=5).get("key") == b"value"


@pytest.mark.parametrize("kind", KINDS)
def test_finish_of_a_killed_task(bench, kind):
    """Only the marks tell what the last second has applied, so they stay: a start behind it applies nothing twice."""
    source, target = deployment(bench, kind), deployment(bench, kind, 2)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source, rate=3000, keys=200) as load:
        more_of(load, 2000)
        ferry.kill()
        assert ferry.finish() == 0
        assert "the task was not stopped but cut off" in ferry.log
        assert marks(target)
        ferry.start().wait_streaming()
        more_of(load, 300)
    assert_in_step(ferry, source, target)
    assert ferry.stop() == 0
    assert ferry.finish() == 0
    assert not marks(target)
    ferry.start().wait_streaming()
    assert_in_step(ferry, source, target)
    # It never goes on.
    ferry.kill()
    assert ferry.finish() == 0
    assert marks(target)
    (ferry.data / "links.json").unlink()
    shutil.rmtree(ferry.data / "links")
    assert ferry.finish() == 0
    assert not marks(target)


def test_databases_of_a_cluster(bench):
    """Several databases in one transaction of ours; the marks are in database 0, and what follows runs in its own."""
    source = bench.server("valkey-9.1")
    target = bench.cluster("valkey-9.1", masters=1, replicas_per_master=0, config={"cluster-databases": 16})
    node = target.masters()[0]
    ferry = Ferry(bench, source, target).start().wait_streaming()

    def burst():
        # What comes while the target does not answer goes there together.
        node.pause()
        for number in range(40):
            for database in (5, 0, 9):
                source.client(db=database).rpush("{t}list", f"{database}.{number}")
            source.client(db=0).set(f"{{t}}plain:{number}", number)
        node.resume()
    source.client(db=5).rpush("{t}list", "first")
    burst()
    ferry.wait_in_step(source)
    assert_same(source, target, databases=range(16))
    burst()
    ferry.kill()
    ferry.start()
    burst()
    ferry.wait_in_step(source)
    assert_same(source, target, databases=range(16))
    assert [database for database in range(1, 16) if node.client(db=database).keys("keyferry:*")] == []
    assert ferry.stop() == 0
