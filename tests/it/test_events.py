"""What happens beside the daily work is told once each: as a line of the log, in `events` of the status, and counted in the metrics."""

import os
import pathlib
import signal
import time

import pytest

from bench.compare import assert_same
from bench.data import fill
from bench.ferry import Ferry
from bench.load import Load
from bench.proxy import Proxy
from bench.slots import slot_tag
from bench.waiting import wait_for


# Seconds: less than what a stop leaves a target that answers (10), and than a server that does not may take to answer.
AT_ONCE = 8


def events_of(ferry, kind):
    return [event for event in ferry.status()["events"] if event["kind"] == kind]


def wait_event(ferry, kind, count=1):
    """The newest of so many; each of them is in the log once, and counted."""
    ferry.wait_status(lambda status: sum(event["kind"] == kind for event in status["events"]) >= count, what=f"{count} of {kind}")
    events = events_of(ferry, kind)
    assert len(events) == count, events
    for event in events:
        assert ferry.log.count(event["text"]) == 1, f"{event['text']!r} is not in the log just once:\n{ferry.log}"
        assert event["time"] and event["link"]
    assert f'kind="{kind}"}} {count}\n' in ferry.get("/metrics")
    return events[-1]


def write(source, count, key="list"):
    with source.client().pipeline(transaction=False) as pipeline:
        for number in range(count):
            pipeline.rpush(key, number)
        pipeline.execute()


def more_of(load, ferry, units):
    goal = load.acknowledged + units
    ferry.wait_status(lambda status: load.acknowledged >= goal, what=f"{units} more units of the writer")


def lines_with(ferry, *words):
    return [line for line in ferry.log.splitlines() if any(word in line for word in words)]


def test_source_and_restart(bench):
    """Snapshot, a lost connection, one that lasts, a stop, a crash."""
    source, target = bench.server(), bench.server()
    fill(source, keys=500)
    proxy = Proxy(bench, source)
    ferry = Ferry(bench, proxy, target).start().wait_streaming()
    assert wait_event(ferry, "snapshot_begun")["cause"] is None
    applied = wait_event(ferry, "snapshot_applied")
    assert applied["cost"]["keys"] >= 500 and applied["offset"] is not None
    proxy.cut()
    event = wait_event(ferry, "source_reconnected")
    assert event["cause"] == "connection" and event["cost"]["seconds"] < 60 and event["offset"] >= applied["offset"]
    # One that does not last is told when it is over, and not before.
    told = len(events_of(ferry, "source_lost"))
    assert told == 0 or event["cost"]["seconds"] >= 1
    proxy.refuse()
    wait_event(ferry, "source_lost", told + 1)
    proxy.resume()
    assert wait_event(ferry, "source_reconnected", 2)["cost"]["seconds"] >= 1
    ferry.wait_in_step(proxy)
    assert ferry.stop() == 0
    write(source, 10)
    ferry.start()
    event = wait_event_of_start(ferry)
    assert event["cause"] == "stopped" and event["offset"] >= applied["offset"]
    ferry.wait_in_step(proxy)
    ferry.kill()
    ferry.start()
    assert wait_event_of_start(ferry)["cause"] == "unanswered"
    write(source, 10)
    ferry.wait_in_step(proxy)
    assert_same(source, target)
    # The list is of this run.
    kinds = {event["kind"] for event in ferry.status()["events"]}
    assert "resumed" in kinds and not kinds & {"snapshot_begun", "snapshot_applied", "source_lost", "source_reconnected"}


def wait_event_of_start(ferry):
    ferry.wait_status(lambda status: [event for event in status["events"] if event["kind"] == "resumed"], what="the resumption")
    event, = events_of(ferry, "resumed")
    assert event["text"] in ferry.log
    return event


def test_full_resync(bench):
    """Why, how many keys were removed, and that the source was restarted."""
    source, target = bench.server(), bench.server()
    fill(source, keys=300)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    source.command("SET", "goes", 1)
    ferry.wait_in_step(source)
    before = wait_event(ferry, "snapshot_applied")
    source.kill()
    source.start()
    event = wait_event(ferry, "full_resync")
    assert event["cause"] == "restarted" and event["cost"]["seconds"] > 0
    applied = wait_event(ferry, "snapshot_applied", 2)
    assert applied["cost"]["keys_removed"] == target_keys_gone(before, applied)
    ferry.wait_in_step(source)
    assert_same(source, target)


def target_keys_gone(before, applied):
    """The source, without a file, came back empty: all that the first snapshot had brought, and the key behind it."""
    assert applied["cost"]["keys"] == 0
    return before["cost"]["keys"] + 1


def test_target_lost_under_load(bench):
    """What was under way is counted: found applied and sent again make all of it."""
    source, target = bench.server(), bench.server()
    proxy = Proxy(bench, target)
    ferry = Ferry(bench, source, proxy).start().wait_streaming()
    with Load(source, rate=2000) as load:
        for number in range(1, 6):
            more_of(load, ferry, 300)
            proxy.cut(reset=number % 2 == 0)
            cost = wait_event(ferry, "target_reconnected", number)["cost"]
            assert cost["found_applied"] + cost["sent_again"] == cost["in_flight"]
    ferry.wait_in_step(source)
    assert_same(source, target, as_replica=True)
    assert len(lines_with(ferry, "connected again")) == 5, ferry.log


def test_target_failover_and_moved_slots(bench):
    """Told in one sentence each: slots that move, together; a failover that loses no connection; one that does."""
    source, target = bench.server(), bench.cluster(masters=3, replicas_per_master=1)
    fill(source, keys=500)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source, rate=500) as load:
        more_of(load, ferry, 300)
        first, second, third = target.masters()
        slot = target.layout()[first][0][0]
        target.move_slots(slot, slot + 9, second)
        source.command("SET", "{" + slot_tag(slot) + "}", 1)  # somebody has to ask for one of them
        ferry.wait_status(lambda _: sum(event["cost"]["slots"] for event in events_of(ferry, "target_slots_moved")) == 10, what="ten slots")
        assert all(first.address in event["text"] and second.address in event["text"] for event in events_of(ferry, "target_slots_moved"))
        replica, = target.replicas(second)
        target.failover(replica)
        event = wait_event(ferry, "target_failover")
        assert f"{replica.address} is the master now, in place of {second.address}" in event["text"]
        ferry.wait_status(lambda status: set(status["targets"]) == {first.address, replica.address, third.address}, what="the new master in the status")
        more_of(load, ferry, 300)
    # Without its writes: what it had acknowledged and not passed on would be lost with it.
    ferry.wait_in_step(source)
    wait_for(lambda: target.replicas(third)[0].info("replication")["slave_repl_offset"] == third.info("replication")["master_repl_offset"],
             what="the replica to have everything")
    successor = target.kill_master(third)
    with Load(source, rate=500, prefix=b"again:") as load:
        event = wait_event(ferry, "target_failover", 2)
        assert f"{successor.address} is the master now, in place of {third.address}" in event["text"]
        assert event["cost"]["in_flight"] == event["cost"]["found_applied"] + event["cost"]["sent_again"]
        ferry.wait_status(lambda status: set(status["targets"]) == {first.address, replica.address, successor.address}, what="the successor in the status")
        more_of(load, ferry, 300)
    ferry.wait_in_step(source)
    assert_same(source, target, as_replica=True)


def test_wait_at_the_source_tells_the_truth(bench):
    """While the snapshot is not applied, WAIT counts no replica, though the source streams to it; behind the snapshot it does."""
    for diskless in ("yes", "no"):
        source, target = bench.server(config={"repl-diskless-sync": diskless, "repl-diskless-sync-delay": "0"}), bench.server()
        fill(source, keys=2000)
        Ferry(bench, source, bench.server()).run_until_caught_up()  # offsets begin to count with the first replica
        before = source.client()
        before.set("before", 1)
        ferry = Ferry(bench, source, target, {"limit.records_per_second": "100"}).start()
        wait_for(lambda: replica_of(source).get("state") == "online", what="the stream to be sent")
        # Of the snapshot, and behind it.
        assert before.wait(1, 1500) == 0
        assert source.command("SET", "behind", 1) and source.command("WAIT", 1, 100) == 0
        assert replica_of(source)["offset"] == 0
        assert ferry.stop() == 0
        ferry.start("--set", "limit.records_per_second=unlimited").wait_streaming()
        assert before.wait(1, 60000) == 1
        before.set("behind", 2)
        assert before.wait(1, 60000) == 1
        ferry.wait_in_step(source)
        assert_same(source, target)
        assert ferry.stop() == 0


def replica_of(source):
    return source.info("replication").get("slave0", {})


@pytest.mark.parametrize("away", ["gone", "silent"])
def test_stops_at_once_while_the_target_is_away(bench, away):
    """A stop does not wait for a target that answers nothing; the next start loses and doubles nothing."""
    source, target = bench.server(), bench.server()
    ferry = Ferry(bench, source, target, {"timeouts.connect": "30s"}).start().wait_streaming()
    write(source, 100)
    ferry.wait_in_step(source)
    if away == "gone":
        target.command("SAVE")
        target.kill()
    else:
        target.pause()
    write(source, 100)
    if away == "gone":
        ferry.wait_status(lambda status: status["links"][0]["waiting_for"], what="the target to be missed")
    else:
        ferry.wait_status(lambda status: status["links"][0]["spool"]["bytes"] > 0, what="something that is not applied")
    begun = time.monotonic()
    os.kill(ferry.process.pid, signal.SIGTERM)
    assert ferry.wait() == 0
    assert time.monotonic() - begun < AT_ONCE, ferry.log
    if away == "gone":
        target.start()
    else:
        target.resume()
    ferry.start().wait_streaming().wait_in_step(source)
    assert_same(source, target)


def questions(servers):
    """Connections to the servers, by the port of the other end, that have sent what is not read yet; as proc(5) tells of /proc/net/tcp."""
    ports = {server.port for server in servers}
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return {row[2] for row in rows if int(row[1].split(":")[1], 16) in ports and row[3] != "0A" and int(row[4].split(":")[1], 16) > 0}


def test_stops_at_once_while_both_sides_say_nothing(bench):
    """The source's map is being read, node by node, and none of them answers."""
    source, target = bench.cluster(masters=3, replicas_per_master=0), bench.server()
    masters = source.masters()
    ferry = Ferry(bench, source, target, {"timeouts.replication": "1s"}).start().wait_streaming()
    for server in (*masters, target):
        server.pause()
    before = questions(masters)
    # Then the map is read each second.
    ferry.wait_status(lambda status: not any(link["connected"] for link in status["links"]), what="all connections to be lost")
    # Each link knocks again, and so does the one that reads the map.
    wait_for(lambda: len(questions(masters) - before) > len(masters), what="somebody who asks for the map")
    begun = time.monotonic()
    os.kill(ferry.process.pid, signal.SIGTERM)
    assert ferry.wait() == 0
    assert time.monotonic() - begun < AT_ONCE, ferry.log
    for server in (*masters, target):
        server.resume()
    ferry.start().wait_streaming().wait_in_step(*masters)
    assert_same(source, target, as_replica=True)
