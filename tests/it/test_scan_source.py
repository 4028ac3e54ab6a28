"""source.mode: scan: keys are read by SCAN and DUMP, changes followed by keyspace notifications; no replication anywhere."""

import os
import signal

import pytest

from bench.compare import assert_same
from bench.data import features_of, fill
from bench.ferry import Ferry
from bench.load import Load
from bench.scenario import data_keys, masters_of
from bench.waiting import wait_for
from test_memory import append, assert_same_values, assert_small

SCAN = {"source.mode": "scan"}
NOTIFY = {"notify-keyspace-events": "KEA"}
# What docs/least-rights.md gives.
RIGHTS = "~* allchannels +scan +dump +pexpiretime +psubscribe +info"


@pytest.fixture(name="pair")
def make_pair(bench):
    return bench.server(config=NOTIFY), bench.server()


def touch_streams(source):
    """Of what XREADGROUP has delivered to a group of the writer's nobody is told (docs/scan-source.md): what was the last change of a stream would be found by the next
    pass only. So each gets one that is told."""
    for master in masters_of(source):
        for name in master.info("keyspace"):
            client = master.client(db=int(name.removeprefix("db")))
            for key in list(client.scan_iter("w:*", count=1000, _type="stream")):
                client.xadd(key, {"the": "last"})


def wait_same(source, target, following=True, **options):
    """Nobody writes any more. Before 7.0 expiries are read with PTTL and TIME, one after the other, which is as exact as a machine is idle.

    following   keyferry runs, and follows"""
    if following:
        touch_streams(source)
    if not all(server.version.at_least(7, 0) for server in masters_of(source)):
        options.setdefault("expiry_tolerance_ms", 1000)
    wait_for(lambda: assert_same(source, target, **options) or True, what="source and target to be the same")


def wait_passes(ferry, count):
    """`count` passes over all keys are complete, of every link."""
    links = len(ferry.status()["links"])
    ferry.wait_status(lambda _: ferry.log.count("over all keys is complete") >= count * links, what=f"{count} passes")


def more_of(load, ferry, units):
    goal = load.acknowledged + units
    ferry.wait_status(lambda _: load.acknowledged >= goal, what=f"{units} more units of the writer")


def follow_under_load(bench, source, target, *, databases=(0,), keys=3000, options=None, units=1500, ignore=()):
    # The writer, too, uses nothing that the target cannot hold.
    features = features_of(source, target)
    fill(source, keys=keys, databases=databases, functions=True, features=features)
    ferry = Ferry(bench, source, target, SCAN | (options or {}))
    with Load(source, rate=1200, databases=databases, features=features) as load:
        ferry.start().wait_streaming()
        more_of(load, ferry, units)
    assert not load.errors
    wait_same(source, target, ignore=ignore)
    return ferry


# -- the data -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("of,to", [("redis-6.0", "redis-7.0"), ("redis-7.0", "redis-6.0"), ("redis-8.0", "redis-7.0"),
                                   ("valkey-8.1", "valkey-8.1"), ("valkey-9.1", "redis-8.0"), ("redis-8.0", "valkey-9.1")])
def test_versions(bench, of, to):
    """Every type and encoding, changed while the pass runs and after it."""
    source, target = bench.server(of, config=NOTIFY), bench.server(to)
    # What commands cannot make of a group is for test_downgrade_sync.py to say.
    rewritten = not target.version.at_least(*source.version.number[:2])
    ferry = follow_under_load(bench, source, target, keys=2000, units=800, ignore=["*stream*", "w:*:x:*"] if rewritten else [])
    assert ferry.stop() == 0


@pytest.mark.sanitize
def test_databases(bench, pair):
    source, target = pair
    ferry = follow_under_load(bench, source, target, databases=(0, 3, 15), keys=1000)
    source.command("SET", "left", "1")
    client = source.client(db=3)
    client.set("moved", "x")
    client.move("moved", 5)
    wait_same(source, target)
    assert ferry.stop() == 0


def test_selected_databases(bench, pair):
    source, target = pair
    fill(source, keys=300, databases=(0, 1, 2))
    ferry = Ferry(bench, source, target, SCAN | {"source.databases": "1"}).start().wait_streaming()
    source.client(db=1).set("k", "v")
    source.client(db=2).set("k", "v")
    wait_same(source, target, databases=[1])
    assert target.client(db=1).exists("k") and not data_keys(target) and not target.client(db=2).dbsize()
    assert ferry.stop() == 0


@pytest.mark.sanitize
def test_clusters(bench):
    source = bench.cluster(masters=3, replicas_per_master=0, config=NOTIFY)
    target = bench.cluster(masters=2, replicas_per_master=0)
    ferry = follow_under_load(bench, source, target)
    assert ferry.stop() == 0


def test_replicas_of_a_cluster(bench):
    """The masters are asked for nothing but the beat."""
    source = bench.cluster(masters=2, replicas_per_master=1, config=NOTIFY)
    target = bench.server()
    fill(source, keys=1000)
    # Replicas pass for loading until their first offset has come round.
    wait_for(lambda: all("loading" not in str(master.command("CLUSTER", "SHARDS")) for master in source.masters()), what="replicas to be healthy")
    ferry = Ferry(bench, source, target, SCAN | {"source.read_from": "prefer-replica"}).start().wait_streaming()
    wait_passes(ferry, 1)
    with Load(source, rate=500) as load:
        more_of(load, ferry, 500)
    for master in source.masters():
        assert "cmdstat_dump" not in master.info("commandstats")
    wait_same(source, target, as_replica=True)
    assert ferry.stop() == 0


@pytest.mark.sanitize
def test_large_values(bench, pair):
    """Larger than the memory allowed, in the snapshot and behind it, one of them changing all the time."""
    source, target = pair
    append(source, "snapshot", 100)
    ferry = Ferry(bench, source, target, SCAN).start().wait_streaming()
    append(source, "behind", 80)
    source.command("DEL", "snapshot")
    source.command("RPUSH", "list", os.urandom(30 << 20), "small")
    for number in range(300):
        source.command("SETRANGE", "behind", number, "changed")
    source.command("SET", "last", "1")
    wait_for(lambda: target.command("GET", "last") == b"1" and len(data_keys(target)) == 3, what="the small key")
    wait_for(lambda: assert_same_values(source, target, "behind", "list") or True, what="the large ones")
    assert_small(ferry)
    # Rested between two readings: it was not read once for each of the 300 changes.
    assert ferry.status()["links"][0]["counters"]["bytes_received"] < 2000 << 20
    assert ferry.stop() == 0


# -- what is missed, and found again ------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_lost_subscription(bench, pair):
    """Under load that deletes and renames, again and again."""
    source, target = pair
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target, SCAN).start().wait_streaming()
    with Load(source, rate=1500) as load:
        for passes in range(2, 5):
            more_of(load, ferry, 300)
            source.command("CLIENT", "KILL", "TYPE", "pubsub")
            wait_passes(ferry, passes)
    wait_same(source, target)
    assert "the subscription to keyspace notifications is lost" in ferry.log
    assert ferry.status()["links"][0]["resyncs"] >= 3
    assert ferry.stop() == 0


def test_deleted_while_nobody_listened(bench, pair):
    """keyferry is stopped, killed, and started again; the keys that went meanwhile go from the target as well."""
    source, target = pair
    fill(source, keys=1000)
    target.command("SET", "not of ours", "1")
    ferry = Ferry(bench, source, target, SCAN | {"target.existing": "merge"}).start().wait_streaming()
    wait_passes(ferry, 1)
    source.command("SET", "after the pass", "1")
    wait_for(lambda: target.command("GET", "after the pass") == b"1")
    for number, end in enumerate([ferry.stop, ferry.kill]):
        end()
        source.command("DEL", "after the pass")
        for key in source.client().scan_iter(f"d:*{number}", count=1000):
            source.command("DEL", key)
        source.command("SET", "after the pass", "2") if number == 0 else None
        ferry.start().wait_streaming()
        wait_same(source, target, ignore=["not of ours"])
    assert target.command("GET", "not of ours") == b"1"
    assert ferry.stop() == 0


@pytest.mark.sanitize
def test_lost_reader(bench, pair):
    """The subscription stays, so nothing is missed: reading goes on where it was, without another pass."""
    source, target = pair
    fill(source, keys=8000)
    append(source, "large", 20)
    ferry = Ferry(bench, source, target, SCAN | {"source.scan.pipeline": "4", "source.scan.count": "10"}).start()
    ferry.wait_log("listening")     # before that its connection looks like the others
    with Load(source, rate=500) as load:
        for _ in range(6):
            more_of(load, ferry, 50)
            for line in source.command("CLIENT", "LIST").decode().splitlines():
                if "name=keyferry" in line and "cmd=psubscribe" not in line:
                    source.command("CLIENT", "KILL", "ID", line.split()[0].removeprefix("id="))
        ferry.wait_streaming()
    wait_same(source, target)
    assert "reading is tried again" in ferry.log
    assert ferry.log.count("over all keys is complete") == 1
    assert ferry.stop() == 0


def test_full_spool(bench, pair):
    """The target stands still for longer than silence is borne: the source is not read, and not given up either."""
    source, target = pair
    options = SCAN | {"spool.max_size": "4MiB", "spool.segment_size": "1MiB", "timeouts.replication": "3s", "buffers.in_flight_bytes": "64KiB"}
    ferry = Ferry(bench, source, target, options).start().wait_streaming()
    wait_passes(ferry, 1)
    target.pause()
    for number in range(40):
        source.command("SET", f"k:{number}", os.urandom(200_000))
    spool = {}

    def is_full(status):
        spool["bytes"] = status["links"][0]["spool"]["bytes"]
        return spool["bytes"] > 2_500_000
    ferry.wait_status(is_full, what="the spool to be full")
    goal = source.info("commandstats")["cmdstat_psubscribe"]["calls"] + 5
    wait_for(lambda: source.info("commandstats")["cmdstat_psubscribe"]["calls"] >= goal, what="the subscription to be kept up")
    target.resume()
    wait_same(source, target)
    assert "is lost" not in ferry.log
    assert ferry.stop() == 0


@pytest.mark.parametrize("flush", ["FLUSHALL", "FLUSHDB", "SWAPDB"])
def test_what_nobody_is_told_of(bench, pair, flush):
    source, target = pair
    fill(source, keys=500, databases=(0, 2))
    ferry = Ferry(bench, source, target, SCAN).start().wait_streaming()
    wait_passes(ferry, 1)
    source.command(*([flush, 0, 2] if flush == "SWAPDB" else [flush]))
    source.command("SET", "behind", "1")
    wait_same(source, target)
    assert "which servers tell nobody of" in ferry.log
    assert ferry.stop() == 0


def test_more_changes_than_are_remembered(bench, pair):
    source, target = pair
    fill(source, keys=3000)
    ferry = Ferry(bench, source, target, SCAN | {"source.scan.changes": "64KiB"}).start().wait_streaming()
    target.pause()
    source.command("EVAL", "for n = 1, 200000 do redis.call('SET', 'e:' .. n, n) end", 0)
    source.command("EVAL", "for n = 1, 200000 do redis.call('DEL', 'e:' .. n) end", 0)
    source.command("EVAL", "for n = 1, 30000 do redis.call('SET', 'f:' .. n, n) end", 0)
    target.resume()
    wait_same(source, target)
    assert "more keys change than are remembered" in ferry.log
    assert ferry.stop() == 0


def test_source_restarts(bench, pair):
    """Its connections end, and it comes back with other data."""
    source, target = pair
    fill(source, keys=1000)
    ferry = Ferry(bench, source, target, SCAN).start().wait_streaming()
    wait_passes(ferry, 1)
    source.kill()
    source.start()
    fill(source, keys=400, seed=7)
    wait_passes(ferry, 2)
    wait_same(source, target)
    assert ferry.stop() == 0


def test_failover_in_a_cluster(bench):
    source = bench.cluster(masters=2, replicas_per_master=1, config=NOTIFY)
    target = bench.server()
    fill(source, keys=1000)
    ferry = Ferry(bench, source, target, SCAN).start().wait_streaming()
    with Load(source, rate=500) as load:
        master = source.masters()[0]
        source.failover(source.replicas(master)[0])
        expected = {server.address for server in source.masters()}
        ferry.wait_status(lambda status: {link["source"] for link in status["links"]} == expected, what="the link to move")
        more_of(load, ferry, 500)
    wait_same(source, target)
    assert ferry.stop() == 0


def test_slots_that_move(bench):
    """Keys go from one link to another; what may be out of order then, the next pass puts right."""
    source = bench.cluster(masters=2, replicas_per_master=0, config=NOTIFY)
    target = bench.server()
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target, SCAN | {"source.scan.interval": "5s"}).start().wait_streaming()
    first, second = source.masters()
    with Load(source, rate=500) as load:
        source.move_slots(0, 200, second)
        more_of(load, ferry, 300)
    wait_same(source, target)
    assert ferry.stop() == 0


def test_expiry(bench, pair):
    source, target = pair
    client = source.client()
    for number in range(200):
        # The first hundred are still there when they are given more, however long the start takes.
        client.set(f"short:{number}", "x", px=300_000 if number < 100 else 3000)
        client.set(f"long:{number}", "x", px=600_000)
    ferry = Ferry(bench, source, target, SCAN).start().wait_streaming()
    for number in range(100):
        client.pexpire(f"short:{number}", 500_000)
        client.persist(f"long:{number}")
    wait_for(lambda: client.dbsize() in (300, 301), what="keys to expire")
    wait_same(source, target)
    assert ferry.stop() == 0


# -- one pass, and passes by the clock ----------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_one_pass(bench, pair):
    """No notifications are needed; again, it brings what has changed and takes away what has gone."""
    source, target = bench.server(), pair[1]
    fill(source, keys=2000, databases=(0, 1), functions=True)
    ferry = Ferry(bench, source, target, SCAN | {"source.scan.follow": "false"}, listen=False)
    assert ferry.run() == 0, ferry.log
    assert_same(source, target)
    for key in list(source.client().scan_iter("d:*1", count=1000)):
        source.command("DEL", key)
    source.command("RPUSH", "another", "x")
    assert ferry.run() == 0, ferry.log
    assert_same(source, target)
    assert "finished" in ferry.log


def test_without_notifications(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=1000)
    options = SCAN | {"source.scan.notifications": "off", "source.scan.interval": "1s"}
    ferry = Ferry(bench, source, target, options).start().wait_streaming()
    for key in list(source.client().scan_iter("d:*2", count=1000)):
        source.command("DEL", key)
    source.command("SET", "another", "x")
    wait_same(source, target)
    ferry.wait_status(lambda status: status["links"][0]["caught_up"], what="catching up")
    assert ferry.stop() == 0


def test_stream_only(bench, pair):
    source, target = pair
    fill(source, keys=100)
    ferry = Ferry(bench, source, target, SCAN | {"snapshot": "false"}).start().wait_streaming()
    ferry.wait_log("listening")
    source.command("SET", "new", "1")
    wait_for(lambda: data_keys(target) == [b"new"])
    assert target.command("GET", "new") == b"1"
    assert ferry.stop() == 0


def test_caught_up(bench, pair):
    """Under constant writes too; everything written before the start is there."""
    source, target = pair
    fill(source, keys=2000)
    with Load(source, rate=1000):
        ferry = Ferry(bench, source, target, SCAN).run_until_caught_up()
    assert target.command("DBSIZE") > 2000
    ferry.run_until_caught_up()
    wait_same(source, target, following=False)


def test_lag(bench, pair):
    """Measured by the heartbeat, through all stages; it grows while the target stands still."""
    source, target = pair
    ferry = Ferry(bench, source, target, SCAN | {"heartbeat.interval": "200ms"}).start().wait_streaming()
    ferry.wait_status(lambda status: (status["links"][0]["lag"]["seconds"] or 9) < 0.5, what="a lag")
    target.pause()
    source.command("SET", "k", "v")
    ferry.wait_status(lambda status: (status["links"][0]["lag"]["seconds"] or 0) > 1.5, what="the lag to grow")
    target.resume()
    ferry.wait_status(lambda status: status["links"][0]["lag"]["seconds"] < 0.5, what="the lag to fall")
    assert ferry.stop() == 0


def test_empty_source(bench, pair):
    ferry = Ferry(bench, *pair, SCAN, listen=False)
    ferry.run_until_caught_up()
    pair[0].command("SET", "k", "v")
    ferry.run_until_caught_up()
    assert pair[1].command("GET", "k") == b"v"


def test_selection(bench, pair):
    """By type too: what follows the snapshot comes as serialised values, whose type has to be looked for in them."""
    source, target = pair
    source.command("HSET", "user:1", "f", "v")
    source.command("SET", "user:2", "v")
    source.command("SET", "other", "v")
    rules = {"source.mode": "scan", "filter.allow": '[{prefix: "user:", type: hash}]', "rename": '[{match: "^user:(.*)$", to: "u:$1"}]'}
    ferry = Ferry(bench, source, target, rules).start().wait_streaming()
    wait_passes(ferry, 1)
    source.command("SET", "user:3", "v")
    source.command("HSET", "user:4", "f", "v")
    source.command("HSET", "end", "f", "v")
    source.command("DEL", "user:1")
    source.command("HSET", "user:5", "f", "v")
    wait_for(lambda: target.command("EXISTS", "u:5") == 1)
    assert data_keys(target) == [b"u:4", b"u:5"]
    assert ferry.stop() == 0


def test_tls(bench):
    source, target = bench.server(tls=bench.tls, config=NOTIFY), bench.server()
    fill(source, keys=3000)
    append(source, "large", 20)
    ferry = Ferry(bench, source, target, SCAN | {"source.tls.ca": bench.tls.ca, "spool.max_size": "64MiB"})
    with Load(source, rate=500) as load:
        ferry.start().wait_streaming()
        more_of(load, ferry, 300)
    wait_same(source, target)
    assert ferry.stop() == 0


# -- rights and settings ------------------------------------------------------------------------------------------------

def test_least_rights(bench, pair):
    """PSYNC is denied, and CONFIG. Each right that is taken away is asked for by name."""
    source, target = pair
    fill(source, keys=500, databases=(0, 4))
    rules = f"{RIGHTS} +select"
    source.set_user("sync", f"reset on >secret {rules}")
    ferry = Ferry(bench, source.url_for("sync", "secret"), target, SCAN).start().wait_streaming()
    assert "whether it tells of changes is not known" in ferry.log
    source.command("SET", "k", "v")
    wait_same(source, target)
    assert ferry.stop() == 0
    for right in rules.split():
        if right == "+info":
            continue    # asked before anything else: told as such
        source.set_user("sync", f"reset on >secret {' '.join(rule for rule in rules.split() if rule != right)}")
        ferry = Ferry(bench, source.url_for("sync", "secret"), bench.server() if right == "~*" else target,
                      SCAN | {"target.existing": "merge"}, listen=False)
        assert ferry.run() == 3, ferry.log
        assert right in ferry.log.rsplit("ACL SETUSER", 1)[1], (right, ferry.log)


def test_refused_while_it_runs(bench, pair):
    """The status says why, until that is mended."""
    source, target = pair
    fill(source, keys=500)
    user = f"reset on >secret {RIGHTS}"
    source.set_user("sync", user)
    ferry = Ferry(bench, source.url_for("sync", "secret"), target, SCAN).start().wait_streaming()
    assert ferry.status()["links"][0]["source_away"] is None
    source.set_user("sync", f"reset on >another {RIGHTS}")
    source.command("CLIENT", "KILL", "USER", "sync")
    source.command("SET", "meanwhile", "1")
    ferry.wait_status(lambda status: "wrong user name or password" in (status["links"][0]["source_away"] or {"text": ""})["text"], what="the refusal")
    away = ferry.status()["links"][0]["source_away"]
    assert away["text"].startswith(source.address) and "source.password" in away["hint"]
    source.set_user("sync", user)
    ferry.wait_status(lambda status: status["links"][0]["source_away"] is None and status["links"][0]["connected"], what="the source")
    wait_same(source, target)
    assert ferry.stop() == 0


def test_psync_denied_names_this_mode(bench, pair):
    source, target = pair
    source.set_user("sync", f"reset on >secret {RIGHTS} +config|get")
    ferry = Ferry(bench, source.url_for("sync", "secret"), target, listen=False)
    assert ferry.run() == 4
    assert "source.mode: scan" in ferry.log


@pytest.mark.parametrize("setting", ["", "Kl", "KEg$"])
def test_notifications_are_off(bench, setting):
    source, target = bench.server(config={"notify-keyspace-events": setting} if setting else None), bench.server()
    source.command("SET", "k", "v")
    ferry = Ferry(bench, source, target, SCAN, listen=False)
    assert ferry.run() == 3, ferry.log
    assert "CONFIG SET notify-keyspace-events" in ferry.log
    assert target.command("DBSIZE") == 0


def test_notifications_required(bench, pair):
    source, target = pair
    source.set_user("sync", f"reset on >secret {RIGHTS}")
    ferry = Ferry(bench, source.url_for("sync", "secret"), target, SCAN | {"source.scan.notifications": "required"}, listen=False)
    assert ferry.run() == 3, ferry.log
    assert "+config|get" in ferry.log


def test_setting_that_cannot_be_read_and_is_off(bench):
    """The heartbeat shows it."""
    source, target = bench.server(), bench.server()
    source.set_user("sync", f"reset on >secret {RIGHTS} +setex")
    ferry = Ferry(bench, source.url_for("sync", "secret"), target, SCAN | {"heartbeat.interval": "200ms"}).start().wait_streaming()
    ferry.wait_log("nothing was told of the heartbeat")
    assert ferry.stop() == 0


@pytest.mark.parametrize("options,text", [
    ({"source.scan.notifications": "off"}, "source.scan.interval"),
    ({"source.scan.follow": "false", "snapshot": "false"}, "snapshot is false"),
    ({"source.mode": "auto", "source.scan.follow": "false"}, "source.mode: scan"),
    ({"source.scan.notifications": "on"}, "auto"),
])
def test_bad_options(bench, options, text):
    ferry = Ferry(bench, "redis://127.0.0.1:1", "redis://127.0.0.1:2", SCAN | options, listen=False)
    assert ferry.run() == 2
    assert text in ferry.log


# -- ends in the middle -------------------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_killed_again_and_again(bench, pair):
    """Under load, in the snapshot and behind it."""
    source, target = pair
    fill(source, keys=5000)
    ferry = Ferry(bench, source, target, SCAN)
    with Load(source, rate=1000) as load:
        for delay in (20, 100, 400, 50, 800):
            before = load.acknowledged
            ferry.start()
            wait_for(lambda: load.acknowledged >= before + delay, what="some more units")
            ferry.process.kill()
        ferry.start().wait_streaming()
    wait_same(source, target)
    assert ferry.stop() == 0


def test_frozen_source(bench, pair):
    """It is given up after its silence, and read again when it comes back."""
    source, target = pair
    fill(source, keys=500)
    ferry = Ferry(bench, source, target, SCAN | {"timeouts.replication": "1s", "timeouts.connect": "1s"}).start().wait_streaming()
    wait_passes(ferry, 1)
    os.kill(source.pid, signal.SIGSTOP)
    ferry.wait_log("is lost")
    os.kill(source.pid, signal.SIGCONT)
    source.command("SET", "k", "v")
    wait_passes(ferry, 2)
    wait_same(source, target)
    assert ferry.stop() == 0
