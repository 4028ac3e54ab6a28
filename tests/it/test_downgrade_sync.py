"""Recorded streams of newer servers through keyferry to an older target: what the target can hold is there, what it cannot is told."""

import pytest

from bench import wire
from bench.compare import assert_same, compare_functions_with_expected, compare_with_expected, read_expected
from bench.ferry import Ferry
from bench.recordings import Recording, recording_names
from bench.replay import ReplayMaster
from bench.versions import parameters

pytestmark = pytest.mark.sanitize

FAR = 4102444800000  # 2100-01-01
LOSSY = {"target.downgrade": "lossy", "heartbeat": "false"}


def follow(bench, recording, target, options):
    """Synchronises to the end of the recorded stream; returns the Ferry and the status at that time."""
    with ReplayMaster(recording) as master:
        ferry = Ferry(bench, f"redis://{master.address}", target, options).start()
        ferry.wait_acknowledged(master)
        status = ferry.status()
        assert ferry.stop() == 0
    return ferry, status["links"][0]["counters"]


def now_of(server):
    """Its clock, Unix ms."""
    seconds, microseconds = server.command("TIME")
    return int(seconds) * 1000 + int(microseconds) // 1000


def without_field_times(record):
    if record["type"] == "hash":
        record = record | {"value": [item[:2] for item in record["value"]]}
    return record


# Where another version that is given the same commands ends with something else: from 7.0 on XCLAIM drops a pending entry whose stream entry was
# deleted, and a consumer that has never read is replicated.
STREAM_OF_GROUPS = (0, b"w:x")
FIELD_TIMES = {"redis-7.4.1": 5, "redis-8.0.2": 8, "valkey-9.1.2": 8}


def losses(recording, version):
    """{what of the recorded commands this version cannot hold: how many}"""
    lost = {}
    if recording.redis_level >= (7, 0) and not version.at_least(7, 0):
        lost["function libraries"] = 4
    if recording.name in FIELD_TIMES and version.number < ((9, 0) if version.is_valkey else (7, 4)):
        lost["times to live of hash fields"] = FIELD_TIMES[recording.name]
    return lost


@pytest.mark.parametrize("version", parameters())
def test_every_recorded_stream_into_this_version(bench, version):
    """Older, equal and newer ones: what a real replica had, less what is told and counted."""
    target = bench.server(version)
    problems = []
    for name in recording_names():
        recording = Recording(name)
        lost = losses(recording, version)
        ferry, counters = follow(bench, recording, target, LOSSY | {"target.existing": "flush"})
        expected = read_expected(recording.expected("replica"))
        if "times to live of hash fields" in lost:
            expected = [without_field_times(record) for record in expected]
        report = compare_with_expected(target, expected, any_expiry=recording.any_expiry)
        other = version.at_least(7, 0) != (recording.redis_level >= (7, 0))
        if not report.kinds().keys() <= recording.version_dependent | ({STREAM_OF_GROUPS} if other else set()):
            problems.append(f"{name}: {report}")
        if counters["commands_lossy"] != sum(lost.values()) or counters["conflicts"] or counters["commands_unsupported"]:
            problems.append(f"{name}: {counters}")
        for kind in ("function libraries", "times to live of hash fields"):
            if ferry.log.count(f"further losses of {kind} are counted alone") != (kind in lost):
                problems.append(f"{name}: {kind}\n{ferry.log}")
        if recording.redis_level >= (7, 0) and version.at_least(7, 0):
            problems += [f"{name}: {difference}" for difference in compare_functions_with_expected(target, recording.folder / "functions.json")]
            target.command("FUNCTION", "FLUSH")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("newer, older, lacks", [
    ("redis-8.0", "redis-6.0", "no function libraries (the source has 1), no times to live of hash fields (the source has 2), no vector sets"),
    ("redis-8.0", "redis-7.0", "no times to live of hash fields (the source has 2), no vector sets"),
    ("redis-8.0", "valkey-8.0", "no times to live of hash fields (the source has 2), no vector sets"),
    ("redis-8.0", "valkey-9.1", "no vector sets"),
    ("valkey-9.1", "redis-7.0", "no times to live of hash fields (the source has 2)"),
    ("valkey-9.1", "redis-8.0", None), ("redis-7.0", "redis-6.0", "no function libraries (the source has 1)"),
    ("valkey-8.0", "redis-7.0", None), ("redis-6.0", "valkey-9.1", ""), ("redis-7.0", "redis-8.0", "")])
def test_told_before_it_starts(bench, newer, older, lacks):
    """Which kinds the target lacks, and what the source has of them; nothing where it lacks nothing."""
    source, target = bench.server(newer), bench.server(older)
    if source.version.at_least(7, 0):
        source.command("FUNCTION", "LOAD", "#!lua name=one\nredis.register_function('f', function() return 1 end)")
    if source.version.number >= ((9, 0) if source.version.is_valkey else (7, 4)):
        for key in ("a", "b"):
            source.command("HSET", key, "f", "v", "g", "v")
            source.command("HPEXPIREAT", key, FAR, "FIELDS", 1, "f")
    ferry = Ferry(bench, source, target, LOSSY, listen=False)
    assert ferry.run("--stop-when", "caught-up") == 0
    told = [line for line in ferry.log.splitlines() if " warning the source is " in line]
    if lacks:
        assert len(told) == 1 and f", which has {lacks}: such are left out, told and counted (target.downgrade: lossy)" in told[0], ferry.log
    elif lacks is None:
        assert len(told) == 1 and "values in forms that it does not know go there as ordinary commands" in told[0], ferry.log
    else:
        assert not told
    if lacks:
        ferry = Ferry(bench, source, target, {"heartbeat": "false", "target.existing": "flush"}, listen=False)
        ferry.run("--stop-when", "caught-up")
        assert f", which has {lacks}: the first one stops the task, naming it (target.downgrade: stop" in ferry.log


def test_default_is_to_stop_at_the_command(bench):
    """All before it is applied; the error names command, key, place, what would be lost, and what to do."""
    source, target = bench.server("redis-8.0"), bench.server("redis-7.0")
    ferry = Ferry(bench, source, target, {"heartbeat": "false"}).start()
    ferry.wait_streaming()
    source.command("HSET", "w:hx", "f", "v")
    source.command("HPEXPIREAT", "w:hx", FAR, "FIELDS", 1, "f")
    source.command("SET", "behind", "v")
    assert ferry.wait() == 6
    assert 'HPEXPIREAT of key "w:hx" (database 0, offset ' in ferry.log
    assert f"would lose at Redis {target.version.text} the fields' times to live: it has none for the fields of a hash" in ferry.log
    assert "set target.downgrade: lossy to go on without times to live of hash fields" in ferry.log
    assert target.command("HGET", "w:hx", "f") == b"v" and target.command("EXISTS", "behind") == 0
    ferry = Ferry(bench, source, target, LOSSY | {"target.existing": "flush"}).run_until_caught_up()
    assert target.command("GET", "behind") == b"v" and "less 1 expiries of hash fields" in ferry.log, ferry.log


def test_times_to_live_of_an_old_source(bench):
    """They count from when the source was told, not from when the target is."""
    source, target = bench.server("redis-6.0"), bench.server("redis-7.0")
    ferry = Ferry(bench, source, target, {"heartbeat.interval": "100ms"}).start().wait_streaming()
    target.pause()
    begun = now_of(source)
    source.command("SETEX", "early", 1000, "v")
    source.command("SET", "k", "v")
    source.command("EXPIRE", "k", 1000)
    ended = now_of(source)
    ferry.wait_status(lambda status: status["links"][0]["lag"]["seconds"] > 3, what="a lag of three seconds")
    target.resume()
    ferry.wait_in_step(source)
    for key in ("early", "k"):
        assert begun + 1_000_000 - 500 <= target.command("PEXPIRETIME", key) <= ended + 1_000_000 + 2500
    assert ferry.stop() == 0


def test_several_commands_for_one_on_a_cluster(bench):
    """In one transaction of the key's slot; in one of the source, in that."""
    source = bench.server("redis-7.0")
    target = bench.cluster("redis-6.0", masters=2, replicas_per_master=0)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    for number in range(50):
        source.command("SET", f"key:{number}", "v", "PXAT", FAR + number)
    client = source.client()
    with client.pipeline(transaction=True) as pipeline:
        pipeline.execute_command("SET", "{t}a", "v", "EX", 100000)
        pipeline.execute_command("COPY", "{t}a", "{t}b")
        pipeline.execute_command("RPUSH", "{t}l", 1, 2, 3)
        pipeline.execute_command("LMOVE", "{t}l", "{t}m", "LEFT", "RIGHT")
        pipeline.execute_command("LPOP", "{t}l", 2)
        pipeline.execute()
    source.command("UNLINK", "key:7", "key:8", "key:9")
    ferry.wait_in_step(source)
    counters = ferry.status()["links"][0]["counters"]
    assert ferry.stop() == 0
    assert counters["commands_rewritten"] >= 54 and counters["commands_lossy"] == 0
    assert_same(source, target)
    assert source.command("EXISTS", "key:7") == 0 and source.command("EXISTS", "{t}b", "{t}m") == 2


def test_append_only_file_to_an_older_target(bench):
    """No server behind it tells the time; times to live that count from now count from now."""
    path = bench.folder / "appendonly.aof"
    path.write_bytes(b"".join(wire.encode(*words) for words in [
        ("SELECT", 0), ("SET", "k", "v", "PXAT", FAR), ("EXPIRE", "k", 1000), ("SET", "far", "v", "PXAT", FAR), ("LPUSH", "l", "a", "b"),
        ("LMOVE", "l", "m", "RIGHT", "RIGHT"), ("UNLINK", "gone")]))
    target = bench.server("redis-6.0")
    ferry = Ferry(bench, f"aof://{path}", target, listen=False)
    assert ferry.run() == 0, ferry.log
    assert 990_000 < target.command("PTTL", "k") <= 1000_000
    assert target.command("PTTL", "far") > 10 ** 12
    assert target.command("LRANGE", "m", 0, -1) == [b"a"] and target.command("LRANGE", "l", 0, -1) == [b"b"]


def test_restart_in_a_snapshot_that_skips(bench):
    """target.conflict: skip; what the target held already stays as it was, also behind a restart, and where it goes there as commands."""
    source, target = bench.server("redis-7.0"), bench.server("redis-6.0")
    for server, value, step in ((source, "new", 1), (target, "old", 2)):
        with server.client().pipeline(transaction=False) as pipeline:
            for number in range(0, 2000, step):
                pipeline.hset(f"key:{number}", "field", value)
            pipeline.execute()
    ferry = Ferry(bench, source, target, {"target.existing": "merge", "target.conflict": "skip"})
    ferry.start("--set", "limit.records_per_second=500").wait_status(lambda status: status["links"][0]["counters"]["keys_skipped"] > 50, what="keys")
    assert ferry.stop() == 0
    assert "the snapshot is applied" not in ferry.log
    ferry.start().wait_streaming()
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    client = target.client()
    assert [client.hget(f"key:{number}", "field") for number in range(2000)] == [b"old", b"new"] * 1000
