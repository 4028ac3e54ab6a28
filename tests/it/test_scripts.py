"""Scripts that arrive as they were called, as sources before 5.0 send them and later ones with lua-replicate-commands no.

Their EVALSHA names a body that came long before; the target may have lost it, or never have had it."""

import hashlib

import pytest

from bench import wire
from bench.compare import assert_same
from bench.ferry import Ferry
from bench.recordings import Recording
from bench.replay import ReplayMaster

pytestmark = pytest.mark.sanitize

VERBATIM = {"lua-replicate-commands": "no"}
APPEND = "redis.call('RPUSH', KEYS[1], ARGV[1]); return redis.call('LLEN', KEYS[1])"
COUNT = "return redis.call('INCRBY', KEYS[1], ARGV[1])"
# Nothing that was acknowledged is lost when it is stopped.
AOF = {"appendonly": "yes", "appendfsync": "always"}


def sha(body):
    return hashlib.sha1(body.encode()).hexdigest()


def load(source, *bodies):
    return [source.command("SCRIPT", "LOAD", body).decode() for body in bodies]


def call(source, keys=20, tag=""):
    """Both scripts by their SHA1, on keys of many slots, plain and in a transaction."""
    client = source.client()
    for number in range(keys):
        source.command("EVALSHA", sha(APPEND), 1, f"list{tag}:{number}", number)
        source.command("SET", f"plain{tag}:{number}", number)
        with client.pipeline(transaction=True) as pipeline:
            pipeline.execute_command("EVALSHA", sha(COUNT), 1, f"{{count{tag}:{number}}}a", number + 1)
            pipeline.execute_command("EVALSHA", sha(COUNT), 1, f"{{count{tag}:{number}}}b", 1)
            pipeline.execute()


def append(master, *commands):
    master.append(b"".join(wire.encode(*words) for words in commands))


def stream_has_evalsha(source):
    """The master sends what this test is about."""
    return source.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"] > 0


@pytest.fixture(name="source")
def fixture_source(bench):
    return bench.server("redis-6.0", config=VERBATIM)


def test_bodies_of_the_snapshot_and_of_the_stream(bench, source):
    load(source, APPEND)
    target = bench.server()
    ferry = Ferry(bench, source, target, {"heartbeat": "false"}).start().wait_streaming()
    load(source, COUNT)
    call(source)
    call(source)
    ferry.wait_in_step(source)
    assert stream_has_evalsha(source)
    assert_same(source, target)
    assert target.command("LLEN", "list:3") == 2
    assert target.command("SCRIPT", "EXISTS", sha(APPEND), sha(COUNT)) == [1, 1]
    assert ferry.stop() == 0


@pytest.mark.parametrize("stop", ["stop", "kill"])
def test_keyferry_restarted_between_the_body_and_its_call(bench, source, stop):
    """The source does not send a body a second time to somebody who continues."""
    target = bench.server()
    load(source, APPEND, COUNT)
    ferry = Ferry(bench, source, target, {"heartbeat": "false"}).start().wait_streaming()
    call(source)
    ferry.wait_in_step(source)
    # The state has to know of them, or the spool brings them again.
    ferry.wait_status(lambda status: (ferry.data / "links/0/scripts").exists(), what="the file of scripts")
    getattr(ferry, stop)()
    target.command("SCRIPT", "FLUSH")
    call(source, tag="2")
    ferry.start().wait_streaming()
    call(source, tag="3")
    ferry.wait_in_step(source)
    assert ferry.status()["links"][0]["resyncs"] == 0
    if stop == "stop":
        assert_same(source, target)
    else:  # what was applied in the last second before may be applied again
        assert_same(source, target, ignore=["list:*", "{count:*"])
    assert ferry.stop() == 0


def test_target_loses_its_scripts(bench, source):
    """Flushed by somebody else while calls are on their way, and restarted."""
    target = bench.server(config=AOF)
    load(source, APPEND, COUNT)
    ferry = Ferry(bench, source, target, {"heartbeat": "false"}).start().wait_streaming()
    call(source)
    ferry.wait_in_step(source)
    for round_number in range(10):
        target.command("SCRIPT", "FLUSH")
        call(source, keys=5, tag=f"f{round_number}")
    ferry.wait_in_step(source)
    target.stop()
    call(source, tag="down")
    target.start()
    call(source, tag="up")
    ferry.wait_in_step(source)
    assert_same(source, target)
    assert ferry.stop() == 0


def test_cluster_whose_slots_move_and_whose_masters_change(bench, source):
    target = bench.cluster(masters=2, replicas_per_master=1)
    load(source, APPEND)
    ferry = Ferry(bench, source, target, {"heartbeat": "false"}).start().wait_streaming()
    source.command("EVAL", COUNT, 1, "first", 1)
    call(source)
    newcomer = target.add_node()
    newcomer.command("SCRIPT", "FLUSH")
    target.move_slots(0, 2000, newcomer)
    call(source, tag="moved")
    replica = target.replicas()[0]
    replica.command("SCRIPT", "FLUSH")
    target.failover(replica)
    call(source, tag="failed-over")
    ferry.wait_in_step(source)
    assert_same(source, target)
    assert ferry.stop() == 0


def test_scripts_of_left_out_keys_are_remembered(bench, source):
    """The body comes with a call for a key that is not selected."""
    target = bench.server()
    ferry = Ferry(bench, source, target, {"heartbeat": "false"}, document={"filter": {"allow": [{"prefix": "in:"}]}})
    ferry.start().wait_streaming()
    load(source, APPEND)
    target.command("SCRIPT", "FLUSH")
    source.command("EVALSHA", sha(APPEND), 1, "out:1", "a")
    source.command("EVALSHA", sha(APPEND), 1, "in:1", "a")
    source.command("EVALSHA", sha(APPEND), 1, "in:1", "b")
    ferry.wait_in_step(source)
    assert target.command("LRANGE", "in:1", 0, -1) == [b"a", b"b"] and target.command("EXISTS", "out:1") == 0
    assert ferry.stop() == 0


def test_flush_at_the_source(bench, source):
    """The target's are gone too; what is loaded again is known again."""
    target = bench.server()
    load(source, APPEND, COUNT)
    ferry = Ferry(bench, source, target, {"heartbeat": "false"}).start().wait_streaming()
    call(source)
    source.command("SCRIPT", "FLUSH")
    ferry.wait_in_step(source)
    assert target.command("SCRIPT", "EXISTS", sha(APPEND), sha(COUNT)) == [0, 0]
    load(source, APPEND, COUNT)
    call(source, tag="2")
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    call(source, tag="3")
    ferry.start().wait_streaming().wait_in_step(source)
    assert_same(source, target)
    assert ferry.stop() == 0


def unknown_call(sha1, key="k"):
    return ("EVALSHA", sha1, 1, key, "x")


@pytest.mark.parametrize("name", ["redis-3.2.13", "redis-4.0.14"])
def test_body_that_nobody_has_sent(bench, name):
    """The end before anything is sent, naming key, SHA1 and what to do; on_conflict: skip leaves the call out."""
    recording = Recording(name)
    target = bench.server()
    with ReplayMaster(recording) as master:
        append(master, ("SELECT", "0"), ("SET", "before", "v"), unknown_call("1" * 40, "unknown"), ("SET", "behind", "v"))
        ferry = Ferry(bench, f"redis://{master.address}", target, {"heartbeat": "false"})
        assert ferry.run() == 6
        assert 'EVALSHA of key "unknown" (database 0, offset ' in ferry.log and f'SHA1 "{"1" * 40}"' in ferry.log
        assert "set on_conflict: skip" in ferry.log
        assert target.command("GET", "before") == b"v" and target.command("EXISTS", "behind") == 0
        # What the target happens to know is not relied upon.
        ferry = Ferry(bench, f"redis://{master.address}", target,
                      {"heartbeat": "false", "on_conflict": "skip", "target.existing": "flush"}).start()
        ferry.wait_acknowledged(master)
        assert ferry.status()["links"][0]["counters"]["conflicts"] == 1
        assert ferry.stop() == 0
    assert target.command("GET", "behind") == b"v"


@pytest.mark.parametrize("name", ["redis-3.2.13", "redis-4.0.14"])
def test_old_masters_restart_and_continue(bench, name):
    """Bodies in EVAL, calls by SHA1 behind them, in either case of letters; keyferry stopped in between, the target flushed."""
    recording = Recording(name)
    target = bench.server()
    with ReplayMaster(recording) as master:
        append(master, ("SELECT", "0"), ("EVAL", APPEND, 1, "script:list", "a"), ("MULTI",), ("EVAL", COUNT, 1, "script:n", 5), ("EXEC",))
        ferry = Ferry(bench, f"redis://{master.address}", target, {"heartbeat": "false"}).start()
        ferry.wait_acknowledged(master)
        assert ferry.stop() == 0
        target.command("SCRIPT", "FLUSH")
        append(master, ("evalsha", sha(APPEND).upper(), 1, "script:list", "b"), ("MULTI",), ("EVALSHA", sha(COUNT), 1, "script:n", 7),
                       ("EVALSHA", sha(COUNT), 1, "script:n", 9), ("EXEC",))
        ferry.start()
        ferry.wait_acknowledged(master)
        assert ferry.stop() == 0
    assert target.command("LRANGE", "script:list", 0, -1) == [b"a", b"b"]
    assert target.command("GET", "script:n") == b"21"


def test_script_loaded_for_each_call_on_a_cluster(bench, source):
    """As careless clients do: neither side is held up, and each master knows it."""
    target = bench.cluster(masters=3, replicas_per_master=0)
    ferry = Ferry(bench, source, target, {"heartbeat": "false"}).start().wait_streaming()
    with source.client().pipeline(transaction=False) as pipeline:
        for number in range(3000):
            pipeline.execute_command("SCRIPT", "LOAD", APPEND)
            pipeline.execute_command("EVALSHA", sha(APPEND), 1, f"k:{number % 100}", number)
        pipeline.execute()
    ferry.wait_in_step(source)
    assert all(node.command("SCRIPT", "EXISTS", sha(APPEND)) == [1] for node in target.masters())
    assert_same(source, target)
    assert ferry.stop() == 0
