"""The bench's data tools themselves: data sets, the exact comparison, the running writer."""

import shutil
import subprocess
import sys
import threading

import pytest

from bench import compare, data, load, slots, values, wire
from bench.compare import DUPLICATE, EXPIRY, EXTRA, FUNCTION, MISSING, TYPE, VALUE, assert_same
from bench.deployment import Deployment
from bench.recordings import fixtures_folder
from replica_probe import ReplicaProbe

EXPIRY_MS = data.FIRST_EXPIRY_MS
DUMPS = ["dump", "dump-nocompress", "dump-nochecksum"]


@pytest.fixture(name="pair")
def two_equal_servers(bench):
    """Two servers with the same data set in two databases."""
    servers = bench.server(), bench.server()
    for server in servers:
        data.fill(server, keys=900, databases=(0, 3), functions=True)
    return servers


# -- comparison ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("key", ["", "a", "{a}b", "a{b}c", "{}a", "{", "}{", "a{b}{c}", "{{b}}", "x{}{y}", "käse", "k" * 300])
def test_slots_are_those_of_the_cluster(key):
    assert wire.slot_of(key.encode()) == slots.key_slot(key)


def test_equal_servers_are_equal(pair):
    report = compare.compare(*pair)
    assert report.equal, str(report)
    assert report.source_keys == report.target_keys == 2 * 910
    assert "no differences" in str(report)


# Each: what makes both sides, what changes the target, and the kind that must be reported (None: no difference).
STREAM = ["XADD k 1-1 a b", "XADD k 2-1 a b", "XADD k 3-1 a b", "XGROUP CREATE k g 0", "XREADGROUP GROUP g c COUNT 2 STREAMS k >"]
PLANTED = {
    "nothing": (["SET k v"], [], None),
    "set the same": (["SET k v"], ["SET k v"], None),
    "other encoding": (["RPUSH k a b"], ["DEL k", f"RPUSH k a b {'x' * 100}", "RPOP k"], None),
    "other order of a hash": (["HSET k a 1 b 2 c 3"], ["DEL k", "HSET k c 3 b 2 a 1"], None),
    "other order of a set": (["SADD k a b c"], ["DEL k", "SADD k c b a"], None),
    "zero and minus zero": (["ZADD k 0 m"], ["DEL k", "ZADD k -0 m"], None),
    "delivery times": (STREAM, ["DEL k", *STREAM], None),
    "string": (["SET k value"], ["SET k valuf"], VALUE),
    "empty string": (["SET k x"], ["SET k ''"], VALUE),
    "number as text": (["SET k 1"], ["SET k 01"], VALUE),
    "list element": (["RPUSH k a b c"], ["LSET k 1 x"], VALUE),
    "list order": (["RPUSH k a b"], ["LPUSH k b", "RPOP k"], VALUE),
    "list length": (["RPUSH k a b"], ["RPUSH k b"], VALUE),
    "set member": (["SADD k a b"], ["SREM k b", "SADD k c"], VALUE),
    "set member more": (["SADD k a b"], ["SADD k c"], VALUE),
    "hash value": (["HSET k a 1 b 2"], ["HSET k b 3"], VALUE),
    "hash field": (["HSET k a 1 b 2"], ["HDEL k b", "HSET k c 2"], VALUE),
    "score": (["ZADD k 1 m"], ["ZADD k 1.0000000000000002 m"], VALUE),
    "infinite score": (["ZADD k inf m"], ["ZADD k -inf m"], VALUE),
    "zset member": (["ZADD k 1 m 2 n"], ["ZREM k n"], VALUE),
    "stream entry": (STREAM, ["XADD k 4-1 a b"], VALUE),
    "stream deletion": (STREAM, ["XDEL k 1-1"], VALUE),
    "stream field": (STREAM, ["DEL k", "XADD k 1-1 a c", *STREAM[1:]], VALUE),
    "last id": (STREAM, ["XSETID k 9-9"], VALUE),
    "group": (STREAM, ["XGROUP CREATE k h 0"], VALUE),
    "group's last id": (STREAM, ["XGROUP SETID k g 1-1 ENTRIESREAD 2"], VALUE),
    "entries read": (STREAM, ["XGROUP SETID k g 2-1 ENTRIESREAD 1"], VALUE),
    "consumer": (STREAM, ["XGROUP CREATECONSUMER k g d"], VALUE),
    "pending entry": (STREAM, ["XACK k g 1-1"], VALUE),
    "pending entry's consumer": ([*STREAM, "XGROUP CREATECONSUMER k g d"], ["XCLAIM k g d 0 1-1 JUSTID"], VALUE),
    "delivery count": (STREAM, ["XCLAIM k g c 0 1-1 RETRYCOUNT 7"], VALUE),
    "type": (["SET k v"], ["DEL k", "RPUSH k v"], TYPE),
    "missing": (["SET k v"], ["DEL k"], MISSING),
    "extra": ([], ["SET k v"], EXTRA),
    "expiry by one ms": ([f"SET k v PXAT {EXPIRY_MS}"], [f"PEXPIREAT k {EXPIRY_MS + 1}"], EXPIRY),
    "expiry lost": ([f"SET k v PXAT {EXPIRY_MS}"], ["PERSIST k"], EXPIRY),
    "expiry won": (["RPUSH k v"], [f"PEXPIREAT k {EXPIRY_MS}"], EXPIRY),
}


def run(server, lines, key, database):
    """Commands written as text, on `key` for the word k."""
    with Deployment.of(server) as deployment:
        connection = deployment.nodes[0].connection
        connection.select(database)
        for line in lines:
            connection.call(*(key if word == "k" else "" if word == "''" else word for word in line.split(" ")))


@pytest.mark.parametrize("way", ["by payload", "by meaning"])
def test_planted_differences_are_found(pair, way, monkeypatch):
    """All of them at once: each is found, named rightly, and nothing else is."""
    if way == "by meaning":
        monkeypatch.setattr(compare, "_same_dump_version", lambda *_: False)
    source, target = pair
    expected = {}
    for name, (commands, changes, kind) in PLANTED.items():
        for database in (0, 3):
            key = f"planted:{name}"
            run(source, commands, key, database)
            run(target, commands, key, database)
            run(target, changes, key, database)
            if kind:
                expected[database, key.encode()] = kind
    report = compare.compare(source, target)
    assert report.kinds() == expected
    assert sum(report.counts.values()) == len(expected)


def test_wrong_database_is_found(pair):
    source, target = pair
    source.client_for_commands(0).set("k", "v")
    target.client_for_commands(5).set("k", "v")
    assert compare.compare(source, target).kinds() == {(0, b"k"): MISSING, (5, b"k"): EXTRA}


def test_type_and_expiry_are_both_told_apart(bench):
    source, target = bench.server(), bench.server()
    run(source, ["SET k v", f"PEXPIREAT k {EXPIRY_MS}"], "one", 0)
    run(target, ["SET k w"], "one", 0)
    report = compare.compare(source, target)
    assert dict(report.counts) == {VALUE: 1, EXPIRY: 1}


def test_expiry_tolerance(bench):
    source, target = bench.server(), bench.server()
    run(source, [f"SET k v PXAT {EXPIRY_MS}"], "k", 0)
    run(target, [f"SET k v PXAT {EXPIRY_MS + 5}"], "k", 0)
    assert compare.compare(source, target, expiry_tolerance_ms=5).equal
    assert compare.compare(source, target, expiry_tolerance_ms=4).kinds() == {(0, b"k"): EXPIRY}


def test_field_expiry_is_compared(bench, version):
    server, other = bench.server(version), bench.server(version)
    for one in (server, other):
        run(one, ["HSET k a 1 b 2"], "k", 0)
    assert_same(server, other)
    if not Deployment.of(server).nodes[0].has_command("HPEXPIREAT"):
        pytest.skip("no expiry of hash fields in this version")
    run(server, [f"HPEXPIREAT k {EXPIRY_MS} FIELDS 1 a"], "k", 0)
    assert compare.compare(server, other).kinds() == {(0, b"k"): VALUE}
    run(other, [f"HPEXPIREAT k {EXPIRY_MS + 1} FIELDS 1 a"], "k", 0)
    assert compare.compare(server, other).kinds() == {(0, b"k"): VALUE}
    run(other, [f"HPEXPIREAT k {EXPIRY_MS} FIELDS 1 a"], "k", 0)
    assert_same(server, other)


def test_keys_left_out(bench):
    source, target = bench.server(), bench.server()
    run(source, ["SET DTS_REDIS_TIMESTAMP_HEARTBEAT 1", "SET DTS_REDIS_TIMESTAMP_HEARTBEAT:{x} 1", "SET cache:1 x"], "k", 0)
    run(target, ["HSET keyferry:mark:{x} a b", "SET keyferry:task:1 x", "SET keyferry:tmp:1 x"], "k", 0)
    assert_same(source, target, ignore=["cache:*"])
    # Only there: a heartbeat in the target is a mistake, as is a user's key that merely looks like an own one.
    run(target, ["SET DTS_REDIS_TIMESTAMP_HEARTBEAT 1", "SET keyferry:other x"], "k", 0)
    assert set(compare.compare(source, target, ignore=["cache:*"]).kinds().values()) == {EXTRA}


def test_functions_are_compared(pair):
    source, target = pair
    target.command("FUNCTION", "LOAD", "REPLACE", data.LIBRARY.replace(b"bench_get", b"bench_got"))
    report = compare.compare(source, target)
    assert [(one.kind, one.key) for one in report.differences] == [(FUNCTION, b"bench")]
    assert compare.compare(source, target, functions=False).equal
    target.command("FUNCTION", "FLUSH")
    assert dict(compare.compare(source, target).counts) == {FUNCTION: 1}


def test_standalone_and_cluster(bench):
    source, target = bench.server(), bench.cluster(masters=3, replicas_per_master=0)
    for deployment in (source, target):
        data.fill(deployment, keys=2000, functions=True)
    assert_same(source, target)
    assert_same(target, source)
    target.run("DEL", "d:12345")
    target.run("SET", "new", "v")
    assert compare.compare(source, target).kinds() == {(0, b"d:12345"): MISSING, (0, b"new"): EXTRA}


def test_several_masters_as_one_source(bench):
    sources, target = [bench.server(), bench.server()], bench.server()
    data.fill(sources, keys=1000)
    data.fill(target, keys=1000)
    assert all(server.command("DBSIZE") > 400 for server in sources)
    assert_same(sources, target)
    key = sources[0].command("RANDOMKEY")
    sources[1].command("SET", key, "twice")
    assert DUPLICATE in compare.compare(sources, target).kinds().values()


def test_other_users_and_tls(bench):
    plain = bench.server(password="secret word/1", users={"default": "on nopass +@read ~*"})
    secure = bench.server(tls=bench.tls, client_certificates="yes")
    for server in (plain, secure):
        data.fill(server, keys=300)
    assert_same(plain, secure)


def test_versions_are_compared_by_meaning(bench, version):
    source, target = bench.server(version), bench.server()
    features = data.features_of(source, target)
    for server in (source, target):
        data.fill(server, keys=900, databases=(0, 3), features=features)
    assert_same(source, target)
    run(target, ["SET k v", f"PEXPIREAT k {EXPIRY_MS}"], "k", 3)
    run(source, ["SET k v", f"PEXPIREAT k {EXPIRY_MS + 60000}"], "k", 3)
    run(source, ["HSET k f v"], "d:12345", 0)
    assert compare.compare(source, target).kinds() == {(3, b"k"): EXPIRY, (0, b"d:12345"): VALUE}


def test_the_program(pair):
    source, target = pair
    command = [sys.executable, compare.__file__, "--source", source.url, "--target", target.address]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1820 keys in the source, 1820 in the target: no differences" in done.stdout
    target.command("SET", "k\n", "v")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1 extra" in done.stdout and r"db 0 b'k\n': extra (string)" in done.stdout
    target.stop()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2


def test_stream_read_in_steps_is_the_same(bench):
    """What 5.0 needs, tried on a server that has both ways."""
    server = bench.server()
    data.fill(server, keys=900)
    with Deployment.of(server) as deployment:
        node = deployment.nodes[0]
        streams = [key for key in deployment.locate(0)[0] if b"stream" in key]
        assert len(streams) > 20
        for key, whole in zip(streams, values.read_values(node, [(key, "stream") for key in streams])):
            entries, info = node.connection.call("XRANGE", key, "-", "+"), node.connection.call("XINFO", "STREAM", key)
            assert values.difference("stream", whole, values.read_stream_in_steps(node.connection, key, entries, info)) is None


# -- the fixtures' form -------------------------------------------------------------------------------------------------

def dumps_for(version):
    """Names of the recorded folders whose dumps that server can load."""
    found = []
    for folder in sorted(fixtures_folder().iterdir()):
        family, _, number = folder.name.partition("-")
        if folder.is_dir():
            recorded = tuple(map(int, number.split(".")))
            if (recorded <= version.redis_level() if family == "redis" else version.is_valkey and recorded <= version.number):
                found.append(folder)
    return found


def test_recorded_dumps_read_back_as_expected(bench, version):
    """Real servers load the recorded files; the reader must find what the servers that wrote them reported."""
    folders = dumps_for(version)
    assert folders
    # The oldest and the newest have the greatest variety; every one of them is the C tests' business.
    for folder in {folders[0], folders[-1]}:
        for dump in DUMPS if folder is folders[-1] else DUMPS[:1]:
            server = bench.new_server(version)
            server.folder.mkdir(parents=True)
            shutil.copy(folder / f"{dump}.rdb", server.folder / "dump.rdb")
            server.start()
            expected = folder / f"{dump.replace('dump', 'expected')}.jsonl"
            report = compare.compare_with_expected(server, expected)
            assert report.equal, f"{folder.name} {dump}: {report}"
            functions = folder / f"{dump.replace('dump', 'functions')}.json"
            if functions.exists():
                assert compare.compare_functions_with_expected(server, functions) == []
            server.close()


def test_snapshot_is_written_as_recorded(bench, tmp_path):
    """Record by record the file that the fixtures have, down to the text of numbers."""
    folder = fixtures_folder() / "redis-7.0.15"
    server = bench.new_server("redis-7.0")
    server.folder.mkdir(parents=True)
    shutil.copy(folder / "dump.rdb", server.folder / "dump.rdb")
    server.start()
    compare.write_expected(tmp_path / "got.jsonl", compare.snapshot_of(server))
    assert compare.read_expected(tmp_path / "got.jsonl") == compare.read_expected(folder / "expected.jsonl")


def test_differences_to_expected_are_found(bench):
    server = bench.server()
    run(server, ["SET a 1", f"SET b 1 PXAT {EXPIRY_MS}", "RPUSH c 1", "SET d 1", "ZADD e 0 m"], "", 0)
    expected = compare.snapshot_of(server)
    assert compare.compare_with_expected(server, expected).equal
    expected[4]["value"][0][1] = "-0"
    assert compare.compare_with_expected(server, expected).equal
    expected[0]["value"] = "2"
    expected[1]["ttl_at_ms"] += 1
    expected[2]["type"] = "set"
    expected[3]["key"] = "dd"
    assert compare.compare_with_expected(server, expected).kinds() == {
        (0, b"a"): VALUE, (0, b"b"): EXPIRY, (0, b"c"): TYPE, (0, b"d"): EXTRA, (0, b"dd"): MISSING}
    report = compare.compare_with_expected(server, expected, any_expiry=[(0, "b")])
    assert (0, b"b") not in report.kinds()
    expected[1]["ttl_at_ms"] = None
    report = compare.compare_with_expected(server, expected, any_expiry=[(0, "b")])
    assert report.kinds()[0, b"b"] == EXPIRY


# -- data sets ----------------------------------------------------------------------------------------------------------

def test_data_is_the_same_for_the_same_seed():
    features = dict.fromkeys(data.FEATURES, True)

    def made(seed, database=0):
        keys = data.keys_of(500, seed, features, database=database)
        return [wire.encode(*command) for _, commands in keys for command in commands]
    assert made(1) == made(1)
    assert made(1) != made(2)
    assert made(1) != made(1, database=1)


def test_data_has_every_type_and_encoding(bench):
    server = bench.server("redis-7.0")
    written = data.fill(server, keys=8000, databases=(0, 2))
    assert {f"db{number}": count for number, count in written.items()} == {
        name: facts["keys"] for name, facts in server.info("keyspace").items()}
    with Deployment.of(server) as deployment:
        connection = deployment.nodes[0].connection
        keys = list(deployment.locate(0)[0])
        encodings = set(connection.pipeline([("OBJECT", "ENCODING", key) for key in keys]))
        types = set(values.read_types(connection, keys))
    assert encodings == {b"int", b"embstr", b"raw", b"quicklist", b"intset", b"listpack", b"hashtable", b"skiplist", b"stream"}
    assert types == {"string", "list", "set", "hash", "zset", "stream"}
    facts = server.info("keyspace")["db0"]
    assert 0.1 < facts["expires"] / facts["keys"] < 0.3
    assert b"" in keys and any(len(key) > 4000 for key in keys)


def test_data_for_every_version(bench, version):
    server = bench.server(version)
    written = data.fill(server, keys=2000, functions=True)
    assert server.command("DBSIZE") == written[0]


# -- the running writer -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("mode", ["all", "safe"])
def test_load_on_every_version(bench, version, wait_for, mode):
    server = bench.server(version)
    with load.Load(server, rate=5000, mode=mode, databases=(0, 1)) as writer:
        wait_for(lambda: writer.acknowledged > 1500, what="1500 units")
    assert writer.errors == {}
    assert writer.counters["made"] == writer.acknowledged
    types = {server.client_for_commands().type(key) for key in server.client().scan_iter(count=1000)}
    assert types == {b"string", b"hash", b"set", b"zset"} | ({b"list", b"stream"} if mode == "all" else set())


def test_load_through_restarts(bench, wait_for):
    server = bench.server()
    with load.Load(server, rate=2000, mode="safe") as writer:
        for kill in (False, True):
            count = writer.acknowledged
            wait_for(lambda: writer.acknowledged > count + 200, what="writes")
            server.restart(kill=kill)
        count = writer.acknowledged
        wait_for(lambda: writer.acknowledged > count + 200, what="writes after the restart")
    assert writer.errors == {}
    assert writer.counters["unknown"] == 0 and writer.counters["made"] == writer.acknowledged
    assert writer.counters["reconnects"] > 0


def test_load_stops_in_vain_when_nobody_answers(bench, wait_for):
    server = bench.server()
    writer = load.Load(server, rate=500, mode="safe").start()
    server.kill()
    count = writer.counters["made"]
    wait_for(lambda: writer.counters["made"] > count, what="units that nobody takes")
    with pytest.raises(TimeoutError, match="could not be delivered"):
        writer.stop(timeout=0.3)


def test_load_follows_a_cluster(bench, wait_for):
    cluster = bench.cluster(masters=2, replicas_per_master=1)
    first, second = cluster.masters()
    with load.Load(cluster, rate=2000, keys=500) as writer:
        wait_for(lambda: writer.acknowledged > 300, what="writes")
        # Ten tags are in use; their slots move under the writer.
        for tag in range(10):
            slot = wire.slot_of(b"{%d}" % tag)
            cluster.move_slot(slot, second if cluster.owner(slot) is first else first)
        assert writer.counters["redirected"] > 0
        # A slot in the middle of its move: new keys are asked for at the target, transactions wait.
        slot = wire.slot_of(b"{3}")
        move = cluster.begin_slot_move(slot, second if cluster.owner(slot) is first else first)
        move.migrate_some(5)
        redirected = writer.counters["redirected"]
        wait_for(lambda: writer.counters["redirected"] > redirected + 20, what="writes to a slot on its way")
        move.migrate_all().finish()
        cluster.failover(cluster.replicas(first)[0])
        count = writer.acknowledged
        wait_for(lambda: writer.acknowledged > count + 300, what="writes after the failover")
    assert writer.errors == {}
    assert writer.counters["made"] == writer.acknowledged + writer.counters["unknown"]


def test_safe_load_may_be_applied_again(bench, wait_for):
    """The commands as a replica gets them, applied to a copy, and again from several points on: the data stays the same."""
    source, copy = bench.server(), bench.server()
    with ReplicaProbe(source.address) as replica:
        replica.resynchronise()
        with load.Load(source, rate=4000, mode="safe", keys=200) as writer:
            wait_for(lambda: writer.acknowledged > 3000, what="writes")
        commands = replica.read_commands(source.info("replication")["master_repl_offset"])
    assert len(commands) > 2000
    connection = wire.Connection(wire.Address.parse(copy.address))
    for start in (0, len(commands) // 3, len(commands) - 500):
        replies = connection.pipeline(commands[start:])
        assert [reply for reply in replies if isinstance(reply, wire.ReplyError)] == []
        assert_same(source, copy)


def test_load_as_a_program(bench):
    server = bench.server()
    command = [sys.executable, load.__file__, "--address", server.address, "--rate", "500", "--seconds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert "acknowledged" in done.stdout
    assert server.command("DBSIZE") > 20
