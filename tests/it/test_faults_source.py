"""The source, and the way to it, disturbed in every manner. At the end the target is exactly what the source is.

While only the way is disturbed, the stream goes on where it stopped, so commands that must not be applied twice are used.
Where a full resync is to be expected, no key is ever deleted: those gone between two snapshots are not looked for."""

import random
import time

import pytest

from bench.compare import assert_same
from bench.data import fill
from bench.ferry import Ferry
from bench.load import Load
from bench.proxy import CONTINUED, FULL, Cut, Proxy
from bench.waiting import wait_for

pytestmark = pytest.mark.sanitize

AOF = {"appendonly": "yes", "appendfsync": "always"}
IN_SYNC = "1 of 1 replicas are in sync when shutting down"


def link_of(ferry):
    return ferry.status()["links"][0]


def more_of(load, ferry, units=1000):
    """The writer goes on for so many units, with keyferry running."""
    goal = load.acknowledged + units
    ferry.wait_status(lambda status: load.acknowledged >= goal, what=f"{units} more units of the writer")


def save(server):
    """SAVE, as soon as the process that has written a snapshot for a replica is gone."""
    wait_for(lambda: not server.info("persistence")["rdb_bgsave_in_progress"], what="the end of a background save")
    server.command("SAVE")


def assert_in_step(ferry, source, target, through=None):
    """`through`: the proxy in front of the source."""
    ferry.wait_in_step(through or source)
    assert_same(source, target, as_replica=True)


@pytest.fixture(name="pair")
def make_pair(bench):
    """(source, target, proxy in front of the source, keyferry that is not started)"""
    source, target = bench.server(), bench.server()
    proxy = Proxy(bench, source)
    return source, target, proxy, Ferry(bench, proxy, target)


def test_cut_twenty_times(pair):
    source, target, proxy, ferry = pair
    fill(source, keys=10000)
    save(source)
    size = (source.folder / "dump.rdb").stat().st_size
    # The first falls into the line that announces the snapshot, the others into the snapshot.
    proxy.plan(Cut(FULL, 20), Cut(FULL, 200), Cut(FULL, size // 3, reset=True), Cut(FULL, size // 2),
               Cut(FULL, size - 100, reset=True))
    with Load(source, rate=500, mode="lasting") as load:
        ferry.start().wait_streaming()
        assert proxy.sessions == 6 * [FULL]
        more_of(load, ferry, 300)
    resyncs = link_of(ferry)["resyncs"]
    assert resyncs == 4

    places = random.Random(1)
    # Cut within the answer to PSYNC, directly behind it, and anywhere in the stream.
    cuts = [Cut(CONTINUED, at, reset=at % 2 == 1) for at in [3, 30, 60, *(places.randrange(100, 60000) for _ in range(11))]]
    proxy.plan(*cuts)
    with Load(source, rate=2000, prefix=b"again:") as load:
        more_of(load, ferry, 200)
        proxy.cut()
        ferry.wait_status(lambda status: not proxy.planned, what="the planned cuts")
        more_of(load, ferry)
    assert not load.errors
    assert_in_step(ferry, source, target, proxy)
    link = link_of(ferry)
    assert (link["resyncs"], link["reconnects"]) == (resyncs, 20)
    assert proxy.sessions[6:] == 15 * [CONTINUED]
    assert ferry.stop() == 0


def test_connection_killed_by_the_source(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target)
    with Load(source, rate=2000) as load:
        ferry.start().wait_streaming()
        for number in range(1, 6):
            more_of(load, ferry, 200)
            assert source.command("CLIENT", "KILL", "TYPE", "replica") == 1
            ferry.wait_status(lambda status, number=number: status["links"][0]["reconnects"] == number, what="a new connection")
            ferry.wait_status(lambda status: status["links"][0]["connected"], what="the stream")
    assert_in_step(ferry, source, target)
    assert link_of(ferry)["resyncs"] == 0


def test_slow_and_stalled_way(pair):
    source, target, proxy, ferry = pair
    fill(source, keys=2000)
    ferry = ferry.start("--set", "timeouts.replication=4s").wait_streaming()
    with Load(source, rate=1000) as load:
        proxy.delay(0.1)
        more_of(load, ferry, 500)
        proxy.delay(0)
        proxy.throttle(50_000)      # less than the writer makes
        more_of(load, ferry, 2000)
        proxy.throttle(None)
        assert link_of(ferry)["reconnects"] == 0
        proxy.stall()
        ferry.wait_log("nothing was heard of the source for")
        proxy.resume()
        more_of(load, ferry, 500)
    assert_in_step(ferry, source, target, proxy)
    assert link_of(ferry)["resyncs"] == 0
    assert link_of(ferry)["reconnects"] >= 1


def test_nobody_listens_for_a_while(pair):
    source, target, proxy, ferry = pair
    fill(source, keys=2000)
    ferry.start().wait_streaming()
    with Load(source) as load:
        begun = time.monotonic()
        proxy.refuse()
        ferry.wait_log("connection refused")
        more_of(load, ferry, 1500)
        proxy.resume()
        away = time.monotonic() - begun
        more_of(load, ferry, 500)
    assert_in_step(ferry, source, target, proxy)
    assert link_of(ferry)["resyncs"] == 0
    # The same cause is not told again and again, but each half a minute.
    assert ferry.log.count("connection refused; trying again") <= 1 + away // 30, ferry.log


def test_source_paused(bench):
    """Frozen for longer than the silence that keyferry bears: it connects anew, and goes on when the source does."""
    source, target = bench.server(), bench.server()
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target, {"timeouts.replication": "1s"}).start().wait_streaming()
    with Load(source) as load:
        more_of(load, ferry, 500)
        source.pause()
        ferry.wait_log("nothing was heard of the source for")
        source.resume()
        more_of(load, ferry, 500)
    assert_in_step(ferry, source, target)
    assert link_of(ferry)["resyncs"] == 0


def test_source_restarted_in_order(bench):
    """SHUTDOWN SAVE: the snapshot that it writes says where the stream was, so that the next process continues it."""
    source, target = bench.server(), bench.server()
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source) as load:
        more_of(load, ferry, 500)
    for _ in range(2):
        with Load(source, prefix=b"again:") as load:
            more_of(load, ferry, 300)
            ends = source.log().count(IN_SYNC)
            source.shutdown(save=True)
            # From 7.0 on it waits, up to ten seconds, until its replicas say that they have everything.
            assert not source.version.at_least(7, 0) or source.log().count(IN_SYNC) == ends + 1, source.log_tail()
            source.start()
            more_of(load, ferry, 300)
    assert_in_step(ferry, source, target)
    if source.version.at_least(7, 0):
        assert link_of(ferry)["resyncs"] == 0
        assert "under a new replication id" in ferry.log


def test_source_killed_that_keeps_a_log(bench):
    """kill -9 with an append-only file: nothing is lost, but the history is a new one."""
    source, target = bench.server(config=AOF), bench.server()
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source, mode="lasting") as load:
        more_of(load, ferry, 1000)
        source.kill()
        source.start()
        ferry.wait_status(lambda status: status["links"][0]["resyncs"] == 1, what="a full resync")
        more_of(load, ferry, 500)
    ferry.wait_streaming()
    assert_in_step(ferry, source, target)
    line, = [line for line in ferry.log.splitlines() if "full resync" in line][1:]
    assert "it does not know offset" in line and source.address in line


def test_source_killed_that_goes_back_in_time(bench):
    """kill -9 with a snapshot on disk: the source has lost its last writes, and the target has to lose them as well."""
    source, target = bench.server(), bench.server()
    fill(source, keys=2000)
    source.command("RPUSH", "list", "kept")
    ferry = Ferry(bench, source, target).start().wait_streaming()
    save(source)
    for _ in range(500):
        source.command("RPUSH", "list", "lost")
    ferry.wait_in_step(source)
    assert target.command("LLEN", "list") == 501
    source.kill()
    source.start()
    ferry.wait_status(lambda status: status["links"][0]["resyncs"] == 1, what="a full resync")
    ferry.wait_streaming()
    assert_in_step(ferry, source, target)
    assert target.command("LLEN", "list") == 1
    assert ferry.log.count("full resync") == 2


def test_failover_of_sentinels(bench):
    """The old master becomes a replica of the new one, and so the source of the same data with another history."""
    source, target = bench.sentinel(), bench.server()
    fill(source.master, keys=2000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source.master) as load:
        more_of(load, ferry, 500)
    ferry.wait_in_step(source.master)
    new = source.failover()
    ferry.wait_status(lambda status: status["links"][0]["reconnects"] > 0 and status["links"][0]["connected"], what="the link")
    with Load(new, prefix=b"again:") as load:
        more_of(load, ferry, 500)
    ferry.wait_in_step(new)
    assert_same(new, target, as_replica=True)


def test_output_buffer_of_the_source_overrun(bench):
    """keyferry itself is frozen: the source drops it, and has not kept what it would have to send again."""
    source = bench.server(config={"client-output-buffer-limit": ("replica", "1mb", "0", "0"), "repl-backlog-size": "1mb"})
    target = bench.server()
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    ferry.process.pause()
    value = b"x" * 100_000
    for number in range(400):
        source.command("SET", f"big:{number % 20}", value + str(number).encode())
    source.wait_for_log("overcoming of output buffer limits")
    ferry.process.resume()
    ferry.wait_status(lambda status: status["links"][0]["resyncs"] == 1, what="a full resync")
    ferry.wait_streaming()
    assert_in_step(ferry, source, target)
    assert ferry.log.count("full resync") == 2
    assert ferry.log.count("its backlog does not hold offset") == 1


def test_slow_target_costs_the_source_nothing(bench):
    """The target is frozen. What the source sends goes to the spool, so that no buffer of the source ever fills up."""
    source = bench.server(config={"client-output-buffer-limit": ("replica", "8mb", "0", "0"), "repl-backlog-size": "1mb"})
    target = bench.server()
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    target.pause()
    for _ in range(20):
        with source.client().pipeline(transaction=False) as pipeline:
            for number in range(100):
                pipeline.append(f"big:{number}", b"x" * 20_000)
            pipeline.execute()
        goal = source.info("replication")["master_repl_offset"]
        ferry.wait_status(lambda status, goal=goal: status["links"][0]["position"]["received"] >= goal, what="all to be received")
    assert link_of(ferry)["spool"]["bytes"] > 30_000_000
    target.resume()
    assert_in_step(ferry, source, target)
    link = link_of(ferry)
    assert (link["resyncs"], link["reconnects"]) == (0, 0)
