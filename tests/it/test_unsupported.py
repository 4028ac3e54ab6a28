"""What the target cannot take for want of a module, or as no server can: module values, their commands, what they keep beside the keys, empty collections; and idle times."""

import time

import pytest

from bench import wire
from bench.compare import compare_with_expected, read_expected
from bench.ferry import Ferry
from bench.recordings import Dump, fixtures_folder
from bench.replay import ReplayMaster
from bench.scenario import data_keys

pytestmark = pytest.mark.sanitize

SKIP = {"target.unsupported": "skip", "target.existing": "flush"}


def sync_file(bench, path, target, code=0, options=None):
    ferry = Ferry(bench, f"rdb://{path}", target, options or {}, listen=False)
    assert ferry.run() == code, ferry.log
    return ferry


@pytest.mark.parametrize("name", ["redis-4.0.14", "redis-5.0.14", "redis-6.2.16", "redis-7.2.6", "redis-7.4.1"])
def test_module_values(bench, name):
    """Stopped at the very key, or left out one by one; the others are there."""
    path = fixtures_folder() / name / "dump-module.rdb"
    target = bench.server("redis-8.0")
    ferry = sync_file(bench, path, target, code=6)
    assert 'RESTORE of key "module:' in ferry.log and "a value of module type hellotype: ERR Bad data format" in ferry.log
    assert "set target.unsupported: skip" in ferry.log
    ferry = sync_file(bench, path, target, options=SKIP)
    expected = [record for record in read_expected(path.with_name("expected-module.jsonl")) if record["type"] != "hellotype"]
    assert compare_with_expected(target, expected).equal and expected
    assert ferry.log.count("left out as target.unsupported: skip says: RESTORE of key") == 2
    assert ferry.log.count("a value of module type hellotype that target") == 2


@pytest.mark.parametrize("name", ["redis-5.0.14", "redis-7.4.1"])
def test_what_modules_keep_beside_the_keys(bench, name):
    path = fixtures_folder() / name / "dump-module-aux.rdb"
    target = bench.server("redis-8.0")
    ferry = sync_file(bench, path, target, code=6)
    assert "bytes that the module type test__rdb keeps beside the keys (byte " in ferry.log and "target.unsupported: skip" in ferry.log
    assert data_keys(target) == []
    ferry = sync_file(bench, path, target, options=SKIP)
    assert ferry.log.count("bytes that the module type test__rdb keeps beside the keys of the snapshot") == 2
    assert target.command("GET", "zz:after") == b"x" and data_keys(target) == [b"zz:after"]


@pytest.mark.parametrize("version, options", [
    ("redis-7.0", {"target.downgrade": "lossy"}), ("valkey-9.1", SKIP), ("redis-8.0-sid", {})])
def test_vector_sets(bench, version, options):
    """Where the target has them, they pass; lossy leaves them out, too."""
    path = fixtures_folder() / "redis-8.0.6/dump-vectorset.rdb"
    target = bench.server(version)
    ferry = sync_file(bench, path, target, options=options)
    sets = [record for record in read_expected(path.with_name("expected-vectorset.jsonl")) if record["type"] == "vectorset"]
    if version.startswith("redis-8"):
        assert [target.command("VCARD", record["key"]) for record in sets] == [record["value"]["card"] for record in sets]
    else:
        assert not target.command("EXISTS", *(record["key"] for record in sets))
        assert ferry.log.count("a value of module type vectorset") == len(sets) > 3
    assert target.command("GET", "after") == b"x"


def status_of_stream(bench, target, commands, options):
    """A recorded snapshot with these commands behind it; the counters at the end."""
    with ReplayMaster(Dump("redis-7.0.15", "dump-cluster.rdb")) as master:
        master.append(b"".join(wire.encode(*words) for words in commands))
        ferry = Ferry(bench, f"redis://{master.address}", target, {"heartbeat": "false"} | options).start()
        ferry.wait_acknowledged(master)
        status = ferry.status()
        assert ferry.stop() == 0
    return ferry, status["links"][0]["counters"]


@pytest.mark.parametrize("options, code", [(SKIP, 0), ({"target.downgrade": "lossy"}, 0), ({"precheck.waive": "[types, versions, modules]"}, 6)])
def test_a_target_that_such_values_would_end(bench, options, code):
    """Redis 6.0 exits where RESTORE brings a value of a module that it has not loaded: it is not even tried."""
    path = fixtures_folder() / "redis-8.0.6/dump-vectorset.rdb"
    target = bench.server("redis-6.0")
    run = target.client().info("server")["run_id"]
    ferry = sync_file(bench, path, target, code=code, options=options)
    assert target.client().info("server")["run_id"] == run
    if code == 0:
        assert ferry.log.count("a value of module type vectorset") > 3 and "which would end the target" in ferry.log
    else:
        assert "would end the target" in ferry.log


@pytest.mark.parametrize("topology", ["standalone", "cluster"])
def test_commands_of_modules(bench, topology):
    """Left out, alone, also of a transaction; without the option the link stops there."""
    target = bench.server("redis-7.0") if topology == "standalone" else bench.cluster("redis-7.0", masters=2, replicas_per_master=0)
    commands = [("SELECT", 0), ("HELLOTYPE.INSERT", "m", 1), ("MULTI",), ("SET", "t{m}", "v"), ("HELLOTYPE.INSERT", "m{m}", 1), ("INCR", "n{m}"),
                ("EXEC",), ("hellotype.insert", "m", 2), ("BF.ADD", "b", "x"), ("SET", "behind", "v")]
    ferry, counters = status_of_stream(bench, target, commands, SKIP)
    run = target.run if topology == "cluster" else target.command
    assert run("GET", "t{m}") == b"v" and run("GET", "n{m}") == b"1" and run("GET", "behind") == b"v"
    assert counters["commands_unsupported"] == 4 and counters["conflicts"] == 0
    assert ferry.log.count("left out as target.unsupported: skip says: the command") == 2


def empty_dump(name, keys):
    """A recorded dump with empty collections before its end."""
    dump = Dump(name, "dump-nochecksum.rdb")
    assert dump.snapshot[-9] == 0xff
    dump.snapshot = dump.snapshot[:-9] + b"\xfe\x00" + b"".join(
        bytes([kind, len(key)]) + key + value for key, (kind, value) in keys.items()) + b"\xff" + bytes(8)
    return dump


@pytest.mark.parametrize("version", ["redis-6.0", "redis-7.0", "valkey-9.1"])
def test_empty_collections(bench, version):
    ziplist = b"\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff"
    keys = {b"empty:set": (2, b"\0"), b"empty:hash": (13, ziplist), b"empty:list": (14, b"\x01" + ziplist), b"full": (2, b"\x01\x01x")}
    target = bench.server(version)
    with ReplayMaster(empty_dump("redis-5.0.14", keys)) as master:
        ferry = Ferry(bench, f"redis://{master.address}", target, {"heartbeat": "false"}).start().wait_streaming()
        assert ferry.status()["links"][0]["counters"]["keys_empty"] == 3
        assert ferry.stop() == 0
    assert target.command("SMEMBERS", "full") == {b"x"} and not target.command("KEYS", "empty:*")
    assert 'key "empty:hash" (database 0, byte ' in ferry.log and "a hash without elements" in ferry.log


@pytest.mark.parametrize("policy, question, file", [("allkeys-lru", "IDLETIME", "dump-lru.rdb"), ("allkeys-lfu", "FREQ", "dump-lfu.rdb")])
def test_idle_times(bench, policy, question, file):
    path = fixtures_folder() / "redis-7.2.6" / file
    target = bench.server("redis-8.0", config={"maxmemory-policy": policy})

    def of_all():
        return {key: target.client().object(question, key) for key in target.command("KEYS", "*")}
    begun = time.monotonic()
    sync_file(bench, path, target)
    without = of_all()
    sync_file(bench, path, target, options={"target.keep_idle": "true", "target.existing": "flush"})
    kept = of_all()
    reader = bench.server("redis-8.0", config={"maxmemory-policy": policy})
    (reader.folder / "dump.rdb").write_bytes(path.read_bytes())
    reader.kill()
    reader.start()
    assert kept.keys() == without.keys()
    for key, value in kept.items():
        found = reader.client().object(question, key)
        # Both are idle for as long as all this takes.
        assert abs(value - found) <= (2 + time.monotonic() - begun if question == "IDLETIME" else 1), key
    if question == "FREQ":
        assert kept != without



MEBIBYTE = 1 << 20
SMALL = {"proto-max-bulk-len": MEBIBYTE}


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "transaction"])
def test_arguments_longer_than_the_target_takes(bench, inside):
    """The end, with what to do, instead of connecting again for ever; skip leaves the command out, alone."""
    source, target = bench.server(), bench.server(config=SMALL)
    ferry = Ferry(bench, source, target, {"heartbeat": "false"}).start().wait_streaming()
    with source.client().pipeline(transaction=inside) as pipeline:
        pipeline.execute_command("SET", "before", "v")
        pipeline.execute_command("RPUSH", "long", "x" * (MEBIBYTE + 1))
        pipeline.execute_command("SET", "behind", "v")
        pipeline.execute()
    assert ferry.wait() == 6
    assert 'RPUSH of key "long" (database 0, offset ' in ferry.log and f"has an argument of {MEBIBYTE + 1} bytes" in ferry.log
    assert f"takes {MEBIBYTE} at most (proto-max-bulk-len)" in ferry.log
    assert target.command("EXISTS", "behind") == 0
    target.command("CONFIG", "SET", "proto-max-bulk-len", 2 * MEBIBYTE)
    ferry.start().wait_streaming().wait_in_step(source)
    assert ferry.stop() == 0
    assert target.command("LLEN", "long") == 1 and target.command("GET", "behind") == b"v"


def test_values_longer_than_the_target_takes(bench):
    """A long value goes in parts, in the snapshot and as RESTORE in the stream; an element that is too long is refused at the key."""
    source, target = bench.server(), bench.server(config=SMALL)
    source.command("CONFIG", "SET", "rdbcompression", "no")
    source.command("RPUSH", "list", *(str(number) * 1000 for number in range(1000)))
    other = bench.server()
    other.command("CONFIG", "SET", "rdbcompression", "no")
    other.command("RPUSH", "list2", *(str(number) * 1000 for number in range(1000)))
    ferry = Ferry(bench, source, target, {"heartbeat": "false"}).start().wait_streaming()
    payload = other.client(decode_responses=False).execute_command("DUMP", "list2")
    assert len(payload) > MEBIBYTE
    source.command("RESTORE", "list2", 0, payload)
    with source.client().pipeline(transaction=True) as pipeline:
        pipeline.execute_command("RESTORE", "list2", 0, payload, "REPLACE")
        pipeline.execute_command("SET", "behind", "v")
        pipeline.execute()
    ferry.wait_in_step(source)
    assert target.command("LRANGE", "list", 0, -1) == target.command("LRANGE", "list2", 0, -1) == source.command("LRANGE", "list2", 0, -1)
    assert ferry.stop() == 0
    source.command("SADD", "set", "x" * (MEBIBYTE + 100))
    ferry = Ferry(bench, source, target, {"heartbeat": "false", "target.existing": "flush"})
    assert ferry.run() == 6
    assert 'key "set" (set' in ferry.log and "proto-max-bulk-len" in ferry.log and target.command("EXISTS", "set") == 0
