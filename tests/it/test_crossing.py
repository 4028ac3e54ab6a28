"""Commands and transactions whose keys lie in several slots, from a standalone source to a cluster."""

import threading

import pytest

from bench.compare import is_heartbeat
from bench.crossings import Crossings, plain_client, run
from bench.data import fill
from bench.ferry import Ferry
from bench.scenario import finish_in_step
from bench.slots import key_slot

FAR = 4102444800123     # 2100-01-01, at an odd millisecond
TARGETS = ["redis-6.0", "redis-7.0", "redis-8", "valkey"]
WIDE = b"w" * (1 << 20)


def links(ferry):
    return ferry.status()["links"][0]["counters"]


def leftovers(cluster):
    """Temporary keys in the target."""
    return [key for node in cluster.masters() for key in node.client().scan_iter(match="keyferry:tmp:*", count=1000)]


def start(bench, target_version=None, source_version=None, options=None, config=None, source_config=None):
    source = bench.server(source_version, config=source_config)
    target = bench.cluster(target_version, masters=3, replicas_per_master=0, config=config)
    return source, target, Ferry(bench, source, target, options)


def source_for(target):
    """The newest source whose commands the target knows all."""
    return target if target == "redis-6.0" else None


@pytest.mark.sanitize
@pytest.mark.parametrize("target_version", TARGETS)
def test_random_commands_and_transactions(bench, target_version):
    source, target, ferry = start(bench, target_version, source_for(target_version))
    crossings = Crossings(source.version)
    run(source, crossings, 400)
    ferry.start().wait_streaming()
    assert run(source, crossings, 2500) > 1500
    finish_in_step(ferry, source, target)
    assert not leftovers(target)


def test_each_kind(bench):
    """One of each, in a known state: what it does, missing keys, empty results, itself as operand, expiries."""
    source, target, ferry = start(bench)
    ferry.start().wait_streaming()
    call = plain_client(source).execute_command

    call("SET", "r1", "value", "PXAT", FAR)
    call("SET", "r2", "other")
    call("RENAME", "r1", "r2")                       # the expiry comes along, and what was there goes
    call("SET", "n1", "value")
    assert call("RENAMENX", "n1", "n2")
    call("SET", "c1", "value", "PXAT", FAR)
    assert call("COPY", "c1", "c2")
    call("SET", "c3", "old", "PXAT", FAR + 5)
    assert call("COPY", "n2", "c3", "REPLACE")       # and so does the old one's
    call("MSETNX", "m1", 1, "m2", 2, "m3", 3)
    call("SADD", "s1", "a", "b")
    call("SADD", "s2", "b", "c")
    call("SMOVE", "s1", "s2", "a")
    call("SMOVE", "s1", "s3", "b")                   # s1 is gone
    call("SADD", "s4", "x", "y")
    call("SUNIONSTORE", "su", "s2", "s4", "nothing")
    call("SUNIONSTORE", "s4", "s4", "s2")            # the destination among the operands
    call("SET", "empty", "something")
    call("SINTERSTORE", "empty", "s3", "nothing")    # an empty result takes the destination away
    call("SET", "expiring", "x", "PXAT", FAR)
    call("SDIFFSTORE", "expiring", "su", "s3")       # the expiry goes with the old value
    call("ZADD", "z1", 1.5, "a", 2, "b", "inf", "c")
    call("ZADD", "z2", 10, "b", -1, "d")
    call("ZUNIONSTORE", "zu", 3, "z1", "z2", "s4", "WEIGHTS", 1, 2, 3, "AGGREGATE", "MAX")
    call("ZINTERSTORE", "zi", 2, "z1", "z2")
    call("ZDIFFSTORE", "zd", 2, "z1", "z2")
    call("ZRANGESTORE", "zr", "z1", 0, 1)
    call("ZRANGESTORE", "z2", "nothing", 0, 1)
    call("RPUSH", "l1", "1", "2", "3")
    call("RPOPLPUSH", "l1", "l2")
    call("LMOVE", "l1", "l2", "LEFT", "RIGHT")
    call("LMOVE", "l1", "l3", "LEFT", "LEFT")        # l1 is gone
    call("RPUSH", "l4", "30", "4", "100")
    call("PEXPIREAT", "l4", FAR)
    call("SORT", "l4", "LIMIT", 0, 2, "STORE", "sorted")
    call("SORT", "l4", "BY", "nosort", "STORE", "unsorted")
    call("SETBIT", "b1", 70, 1)
    call("SET", "b2", "abc")
    call("BITOP", "XOR", "bx", "b1", "b2", "nothing")
    call("BITOP", "NOT", "bn", "b2")
    call("PFADD", "h1", *range(100))
    call("PFADD", "h2", *range(50, 300))
    call("PEXPIREAT", "h2", FAR)
    call("PFMERGE", "h2", "h1")                      # merged into: its expiry stays
    call("PFMERGE", "h3", "h1", "h2")
    call("GEOADD", "g1", 13.36, 38.11, "Palermo", 15.08, 37.5, "Catania")
    call("GEORADIUS", "g1", 15, 37, 100, "km", "STORE", "g2")
    call("GEORADIUS", "g1", 15, 37, 300, "km", "STOREDIST", "g3")
    call("GEOSEARCHSTORE", "g4", "g1", "FROMMEMBER", "Catania", "BYBOX", 400, 400, "km")
    call("GEORADIUSBYMEMBER", "g1", "Palermo", 10, "km", "STORE", "g5")
    call("XADD", "x1", "5-5", "field", "value")
    call("XGROUP", "CREATE", "x1", "group", "0")
    call("XREADGROUP", "GROUP", "group", "me", "STREAMS", "x1", ">")
    call("RENAME", "x1", "x2")
    call("HSET", "h:1", "field", "value")
    call("COPY", "h:1", "h:2")
    call("RPUSH", "blocking", "x")
    call("BLMOVE", "blocking", "moved", "LEFT", "LEFT", 1)
    call("RPUSH", "blocking", "y")
    call("BRPOPLPUSH", "blocking", "moved", 1)
    call("EVAL", "redis.call('SET',KEYS[1],'1') redis.call('RENAME',KEYS[1],KEYS[2]) return 1", 2, "e1", "e2")
    finish_in_step(ferry, source, target)
    assert not leftovers(target)


def test_it_is_told_and_counted(bench):
    source, target, ferry = start(bench)
    ferry.start().wait_streaming()
    call = plain_client(source).execute_command
    for number in range(5):
        call("SET", "a", number)
        call("RENAME", "a", f"b{number}")
        call("SADD", "x", number)
        call("SUNIONSTORE", "y", "x", "z")
    transaction = source.client().pipeline(transaction=True)
    transaction.set("t1", 1).set("t2", 2).rename("t1", "t3").incr("t3").mset({"t4": 1, "t5": 2})
    transaction.execute()
    ferry.wait_in_step(source)
    counters = links(ferry)
    assert counters["commands_across_slots"] == 11
    assert counters["transactions_split"] == 1
    assert counters["bytes_across_slots"] > 0
    assert "keyferry_link_commands_across_slots_total" in ferry.get("/metrics")
    finish_in_step(ferry, source, target)
    assert ferry.log.count("rename has keys in different slots") == 1
    assert ferry.log.count("sunionstore has keys in different slots") == 1


@pytest.mark.parametrize("target_version", ["redis-6.0", "redis-8"])
def test_values_of_all_types_and_sizes(bench, target_version):
    """RENAME, COPY and stores of the whole data set, with values of a megabyte and more; expiries come along."""
    source, target, ferry = start(bench, target_version, source_for(target_version))
    fill(source, keys=300, expiring=0.3)
    client = source.client()
    client.set("wide", WIDE)
    client.hset("wide:hash", mapping={b"%d" % number: WIDE[:9000] for number in range(120)})
    ferry.start().wait_streaming()
    names = sorted(name for name in client.scan_iter(count=1000) if not is_heartbeat(name))
    for number, name in enumerate(names):
        if number % 2 and source.version.at_least(6, 2):
            client.execute_command("COPY", name, b"copied:" + name)
        else:
            client.rename(name, b"renamed:" + name)
    # before 7.0 compare() learns an expiry less exactly than keyferry does
    finish_in_step(ferry, source, target, expiry_tolerance_ms=0)


def test_scripts_that_are_sent_as_they_are(bench):
    """A source before 7.0 can be told to send the script, not what it did."""
    source, target, ferry = start(bench, None, "redis-6.0", source_config={"lua-replicate-commands": "no"})
    crossings = Crossings(source.version, scripts=True)
    ferry.start().wait_streaming()
    call = plain_client(source).execute_command
    call("SET", "a", "1", "PX", 10 ** 9)
    call("EVAL", "redis.call('RENAME',KEYS[1],KEYS[2]) redis.call('SADD',KEYS[3],KEYS[1])", 3, "a", "b", "c")
    call("SET", "kept", "1")
    with pytest.raises(Exception, match="wrong kind"):
        call("EVAL", "redis.call('SET',KEYS[1],'half') redis.call('SADD',KEYS[2],'x')", 2, "half", "kept")
    run(source, crossings, 600)
    ferry.wait_in_step(source)
    assert links(ferry)["commands_across_slots"] > 100
    # c holds the name of the key that the script was given
    source.command("DEL", "c")
    target.run("DEL", "c")
    finish_in_step(ferry, source, target)


@pytest.mark.sanitize
def test_while_slots_move(bench):
    """Slots that hold keys, each for a while half here and half there, while everything goes on. A command whose keys and mark are on different
    sides (`TRYAGAIN`) waits for the end of the move, and with it what stands behind it."""
    source, target, ferry = start(bench)
    crossings = Crossings(source.version)
    run(source, crossings, 300)
    ferry.start().wait_streaming()
    stop, problems = threading.Event(), []

    def write():
        try:
            while not stop.is_set():
                run(source, crossings, 100)
        except Exception as problem:  # pylint: disable=broad-except
            problems.append(problem)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        masters = target.masters()
        for _ in range(15):
            slot = key_slot(crossings.key(crossings.any_kind()))
            owner = target.owner(slot)
            move = target.begin_slot_move(slot, masters[(masters.index(owner) + 1) % 3])
            move.migrate_some(1)
            before = links(ferry)["commands_across_slots"]
            ferry.wait_status(lambda status, before=before:
                              status["links"][0]["counters"]["commands_across_slots"] > before + 20
                              or "TRYAGAIN" in (status["links"][0]["waiting_for"] or ""), what="20 more crossings, or one that waits for the move")
            move.migrate_all().finish()
    finally:
        stop.set()
        writer.join()
    assert not problems
    assert links(ferry)["redirections"] > 0
    finish_in_step(ferry, source, target)
    assert not leftovers(target)


@pytest.mark.sanitize
def test_connections_that_are_lost(bench):
    """Of each master, every fraction of a second, under commands that may be applied twice."""
    source, target, ferry = start(bench)
    crossings = Crossings(source.version, replayed=True)
    run(source, crossings, 300)
    ferry.start().wait_streaming()
    stop, problems = threading.Event(), []

    def write():
        try:
            while not stop.is_set():
                run(source, crossings, 60, transactions=0)
        except Exception as problem:  # pylint: disable=broad-except
            problems.append(problem)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(15):
            node = target.masters()[number % 3]
            before = links(ferry)["commands_across_slots"]
            for client in node.client().client_list():
                if client["name"].startswith("keyferry"):
                    node.client().client_kill_filter(_id=client["id"])
            ferry.wait_status(lambda status, before=before:
                              status["links"][0]["counters"]["commands_across_slots"] > before + 10, what="10 more crossings")
    finally:
        stop.set()
        writer.join()
    assert not problems
    assert ferry.status()["links"][0]["target_reconnects"] >= 10
    finish_in_step(ferry, source, target)
    assert not leftovers(target)


def test_stopped_and_started_again(bench):
    """A clean stop is never in the middle of a command: nothing is applied twice, list moves included."""
    source, target, ferry = start(bench)
    crossings = Crossings(source.version)
    run(source, crossings, 300)
    ferry.start().wait_streaming()
    for _ in range(6):
        run(source, crossings, 400)
        assert ferry.stop() == 0
        ferry.start().wait_streaming()
    finish_in_step(ferry, source, target)


@pytest.mark.parametrize("words, why", [
    (("SORT", "list", "BY", "weight:*", "STORE", "sorted"), "keys that the data names"),
    (("SORT", "list", "GET", "weight:*", "STORE", "sorted"), "keys that the data names"),
])
def test_what_cannot_be_done(bench, words, why):
    source, target, ferry = start(bench)
    ferry.start().wait_streaming()
    call = plain_client(source).execute_command
    call("RPUSH", "list", 1, 2, 3)
    call("SET", "weight:1", 5)
    call(*words)
    assert ferry.wait() == 6
    for part in (words[0], '"list"', "database 0", "offset", why, "standalone target"):
        assert part in ferry.log


def test_what_is_skipped(bench):
    source, target, ferry = start(bench, options={"on_conflict": "skip"})
    ferry.start().wait_streaming()
    call = plain_client(source).execute_command
    call("RPUSH", "list", 1, 2, 3)
    call("SORT", "list", "BY", "weight:*", "STORE", "sorted")
    call("SADD", "s1", "a")
    call("SADD", "s2", "b")
    ferry.wait_in_step(source)
    target.run("SET", "s2", "somebody else's", key="s2")
    call("SUNIONSTORE", "s3", "s1", "s2")
    with source.client().pipeline(transaction=True) as pipeline:
        pipeline.execute_command("SET", "t1", 1)
        pipeline.execute_command("SUNIONSTORE", "s3", "s1", "s2")
        pipeline.execute_command("SET", "t2", 2)
        pipeline.execute()
    ferry.wait_in_step(source)
    assert links(ferry)["conflicts"] == 3
    assert "WRONGTYPE" in ferry.log
    target.run("DEL", "s2", key="s2")
    target.run("SADD", "s2", "b", key="s2")
    for key in ("sorted", "s3"):
        call("DEL", key)
    finish_in_step(ferry, source, target)


@pytest.mark.parametrize("transaction", [False, True])
def test_a_script_without_keys_is_skipped(bench, transaction):
    """No node is the right one for it; what is beside it in its transaction is done."""
    source, target, ferry = start(bench, None, "redis-6.0", {"on_conflict": "skip"}, source_config={"lua-replicate-commands": "no"})
    ferry.start().wait_streaming()
    with source.client().pipeline(transaction=transaction) as pipeline:
        pipeline.execute_command("SET", "before", 1)
        pipeline.execute_command("EVAL", "redis.call('SET', 'made', '1')", 0)
        pipeline.execute_command("SET", "after", 1)
        pipeline.execute()
    ferry.wait_in_step(source)
    assert links(ferry)["conflicts"] == 1
    source.command("DEL", "made")
    finish_in_step(ferry, source, target)


def test_target_out_of_memory_for_a_while(bench):
    """The operands are copied under temporary names: where there is no room for that, it waits and goes on by itself."""
    source, target, ferry = start(bench)
    ferry.start().wait_streaming()
    client = source.client()
    client.set("a", WIDE)
    client.set("b", WIDE)
    ferry.wait_in_step(source)
    target.on_masters("CONFIG", "SET", "maxmemory", "1mb")
    client.execute_command("BITOP", "XOR", "c", "a", "b", "nothing")
    ferry.wait_status(lambda status: "OOM" in (status["links"][0]["waiting_for"] or ""), what="OOM as the reason")
    target.on_masters("CONFIG", "SET", "maxmemory", "0")
    finish_in_step(ferry, source, target)
    assert not leftovers(target)


def test_many_operands(bench):
    """Thousands of keys in one command, and a transaction over thousands of slots."""
    source, target, ferry = start(bench, options={"buffers.in_flight_commands": 100})
    client = source.client()
    with client.pipeline(transaction=True) as pipeline:
        for number in range(3000):
            pipeline.sadd(f"set:{number}", number, number + 1)
        pipeline.execute()
    ferry.start().wait_streaming()
    client.sunionstore("union", [f"set:{number}" for number in range(3000)])
    with client.pipeline(transaction=True) as pipeline:
        for number in range(3000):
            pipeline.incr(f"counter:{number}")
        pipeline.sdiffstore("difference", ["union", "set:5"])
        pipeline.delete(*[f"set:{number}" for number in range(10, 2000)])
        pipeline.execute()
    finish_in_step(ferry, source, target)


def test_several_databases_of_a_cluster(bench):
    """From Valkey 9 on clusters may have them."""
    source, target, ferry = start(bench, "valkey-9", "valkey-9", config={"cluster-databases": 4})
    ferry.start().wait_streaming()
    client = plain_client(source, database=2)
    call = client.execute_command
    call("SET", "a", "value", "PXAT", FAR)
    call("COPY", "a", "b", "DB", 3)
    call("RENAME", "a", "c")
    call("SADD", "s1", "x")
    call("SADD", "s2", "y")
    call("SUNIONSTORE", "s3", "s1", "s2")
    with client.pipeline(transaction=True) as pipeline:
        pipeline.execute_command("SET", "t1", 1)
        pipeline.execute_command("SELECT", 1)
        pipeline.execute_command("SET", "t1", 2)
        pipeline.execute_command("SET", "t2", 2)
        pipeline.execute_command("RENAME", "t1", "t3")
        pipeline.execute_command("SELECT", 2)
        pipeline.execute_command("INCR", "t1")
        pipeline.execute()
    finish_in_step(ferry, source, target)


@pytest.mark.parametrize("target_version, rules", [("redis-7.0", "+dump +pexpiretime +lindex"), ("redis-6.0", "+dump +pttl +time +lindex")])
def test_least_rights(bench, target_version, rules):
    """What docs/least-rights.md lists is enough."""
    source = bench.server(source_for(target_version))
    target = bench.cluster(target_version, masters=3, replicas_per_master=0)
    for node in target.masters():
        node.command("ACL", "SETUSER", "ferry", "reset", "on", ">secret", "~*", "+@write", "+info", "+select", "+multi", "+exec",
                     "+cluster", "+asking", "+hmget", "+hgetall", "+client", *rules.split())
    url = target.url.replace("://", "://ferry:secret@")
    ferry = Ferry(bench, source, url).start().wait_streaming()
    run(source, Crossings(source.version), 800)
    finish_in_step(ferry, source, target)


def test_several_links_into_one_target(bench):
    """Names that are changed on the way cross slots that they did not cross at the source, on every link at once."""
    source = bench.cluster(masters=3, replicas_per_master=0)
    target = bench.cluster(masters=3, replicas_per_master=0)
    ferry = Ferry(bench, None, None, document={
        "source": {"address": source.masters()[0].address, "mode": "cluster"},
        "target": {"address": target.masters()[0].address, "mode": "cluster"},
        "rename": [{"match": r"^\{(\d+)\}(.*)$", "to": "$1/$2"}]}).start().wait_streaming()
    client = source.client()
    for number in range(150):
        client.sadd(f"{{{number}}}a", number, "more")
        client.execute_command("SUNIONSTORE", f"{{{number}}}b", f"{{{number}}}a", f"{{{number}}}a")
        client.rename(f"{{{number}}}a", f"{{{number}}}c")
        client.rpush(f"{{{number}}}list", 1, 2, 3)
        client.execute_command("LMOVE", f"{{{number}}}list", f"{{{number}}}other", "LEFT", "LEFT")
    ferry.wait_in_step(*source.masters())
    for link in ferry.status()["links"]:
        assert link["counters"]["commands_across_slots"] > 100
    for number in range(150):
        for name in ("b", "c"):
            assert sorted(target.run("SMEMBERS", f"{number}/{name}")) == sorted([b"%d" % number, b"more"])
        assert target.run("EXISTS", f"{number}/a") == 0
        assert target.run("LRANGE", f"{number}/list", 0, -1) == [b"2", b"3"]
        assert target.run("LRANGE", f"{number}/other", 0, -1) == [b"1"]
    assert not leftovers(target)
    assert ferry.stop() == 0
