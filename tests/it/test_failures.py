"""What an operator may get wrong or meet: the exit code says whose matter it is, and the message names the place, the
cause and what to do. And stopping: by a signal or by force, keyferry goes on where it was."""

import contextlib
import http.server
import os
import re
import resource
import signal
import threading

import pytest

from bench.compare import assert_same
from bench.data import fill
from bench.disk import small_disk
from bench.ferry import Ferry, unused_address
from bench.load import Load
from bench.proxy import Proxy

INTERNAL, USAGE, PRECHECK, SOURCE, TARGET, CONFLICT, BUSY = 1, 2, 3, 4, 5, 6, 8


def link_of(ferry):
    return ferry.status()["links"][0]


def assert_fails(ferry, code, *words, started=False, quick=60):
    """It ends by itself with this exit code, and its last lines hold all these words."""
    ended = ferry.wait(quick) if started else ferry.run(timeout=quick)
    assert ended == code, ferry.log
    for word in words:
        assert word in ferry.log, f"{word!r} is not in\n{ferry.log}"


def more_of(load, ferry, units=1000):
    """The writer goes on for so many units, with keyferry running."""
    goal = load.acknowledged + units
    ferry.wait_status(lambda status: load.acknowledged >= goal, what=f"{units} more units of the writer")


@contextlib.contextmanager
def web_server():
    """The address of an HTTP server, which is what people connect to by mistake."""
    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


# -- before anything is written -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("side", ["source", "target"])
class TestOneSide:
    """The same mistakes on either side."""

    @staticmethod
    def ferry(bench, side, wrong, options=None):
        good = bench.server()
        return Ferry(bench, *((wrong, good) if side == "source" else (good, wrong)), options)

    @staticmethod
    def code(side):
        return SOURCE if side == "source" else TARGET

    def test_wrong_password(self, bench, side):
        server = bench.server(password="right")
        ferry = self.ferry(bench, side, server.url_for(None, "not-the-one"))
        assert_fails(ferry, self.code(side), server.address, "wrong user name or password", f"{side}.password")
        assert "not-the-one" not in ferry.log

    def test_no_password(self, bench, side):
        server = bench.server(password="right")
        ferry = self.ferry(bench, side, f"redis://{server.address}")
        assert_fails(ferry, self.code(side), server.address, "asks for a password", f"{side}.password")

    def test_unknown_user(self, bench, side):
        server = bench.server()
        ferry = self.ferry(bench, side, server.url_for("nobody", "secret"))
        assert_fails(ferry, self.code(side), server.address, "wrong user name or password", f"{side}.username")

    def test_nobody_listens(self, bench, side):
        address = unused_address()
        ferry = self.ferry(bench, side, f"redis://{address}")
        assert_fails(ferry, self.code(side), f"{side} {address}", "connection refused", f"{side}.address")

    def test_name_unknown(self, bench, side):
        ferry = self.ferry(bench, side, "redis://no-such-host.invalid:6379")
        assert_fails(ferry, self.code(side), f"{side} no-such-host.invalid", "not found", f"{side}.address")

    def test_not_a_redis(self, bench, side):
        with web_server() as address:
            ferry = self.ferry(bench, side, f"redis://{address}")
            assert_fails(ferry, self.code(side), address, "not a Redis")

    def test_tls_where_there_is_none(self, bench, side):
        """Redis takes the beginning of TLS for a command whose end is still to come."""
        server = bench.server()
        ferry = self.ferry(bench, side, server.url.replace("redis://", "rediss://"), {"timeouts.connect": "500ms"})
        assert_fails(ferry, self.code(side), server.address, "TLS")

    def test_frozen_server(self, bench, side):
        server = bench.server()
        ferry = self.ferry(bench, side, server, {"timeouts.connect": "500ms"})
        server.pause()
        assert_fails(ferry, self.code(side), server.address, "0.5 s")


def test_replica_given_as_source(bench):
    master, replica = bench.replica_pair()
    assert_fails(Ferry(bench, replica, bench.server()), PRECHECK, replica.address, f"is a replica of {master.address}",
                 "prefer-replica")


def test_replica_given_as_target(bench):
    master, replica = bench.replica_pair()
    assert_fails(Ferry(bench, bench.server(), replica), PRECHECK, replica.address, "read-only replica", master.address)


def test_full_target(bench):
    source, target = bench.server(), bench.server(config={"maxmemory": "500kb"})
    fill(source, keys=10)
    assert_fails(Ferry(bench, source, target), PRECHECK, target.address, "is full", "maxmemory")
    assert target.command("DBSIZE") == 0


@contextlib.contextmanager
def open_files_limited(soft, hard):
    """For processes that are started within."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(os.getpid(), resource.RLIMIT_NOFILE, (soft, hard))
    try:
        yield
    finally:
        resource.prlimit(os.getpid(), resource.RLIMIT_NOFILE, before)


def test_open_files(bench):
    """The soft limit is no obstacle, and too low a hard one is told before anything is written."""
    source, target = bench.server(), bench.server()
    fill(source, keys=100)
    ferry = Ferry(bench, source, target)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with open_files_limited(60, most):
        ferry.start()
    ferry.wait_streaming().wait_in_step(source)
    assert f"process_max_fds {most}\n" in ferry.get("/metrics")
    assert_same(source, target)
    assert ferry.stop() == 0
    shell = ["sh", "-c", 'ulimit -Sn 60; ulimit -Hn 60; exec "$@"', "sh"]
    limited = Ferry(bench, source, target, {"target.existing": "flush"}, wrapper=shell)
    assert_fails(limited, INTERNAL, "may have 60 files and connections open", "LimitNOFILE")
    assert_same(source, target)


def test_source_and_target_the_same(bench):
    """The same address twice is a mistake in the task; a server by two addresses is found out by asking it."""
    server = bench.server()
    assert_fails(Ferry(bench, server, server), USAGE, server.address, "the same server")
    proxy = Proxy(bench, server)
    assert_fails(Ferry(bench, server, proxy), PRECHECK, server.address, proxy.address, "the same server")


def test_several_databases_to_a_cluster(bench):
    source, target = bench.server(), bench.cluster(replicas_per_master=0)
    fill(source, keys=50, databases=(0, 5))
    assert_fails(Ferry(bench, source, target), PRECHECK, "database 5", "source.databases")
    assert target.size() == 0
    ferry = Ferry(bench, source, target, {"source.databases": "[0]"}).run_until_caught_up()
    assert_same(source, target, databases=[0], as_replica=True)
    assert ferry.process.exit_code == 0


@pytest.fixture(name="occupied")
def make_occupied(bench):
    """(source, target): both hold the key "both", each with a value of its own, and a key that the other has not."""
    source, target = bench.server(), bench.server()
    for server, name in ((source, "source"), (target, "target")):
        server.command("SET", "both", name)
        server.command("SET", f"of {name}", "x")
    return source, target


def test_target_not_empty(bench, occupied):
    source, target = occupied
    assert_fails(Ferry(bench, source, target), PRECHECK, target.address, "holds 2 keys", "target.existing", "merge", "flush")
    assert target.command("GET", "both") == b"target"


def test_target_merged(bench, occupied):
    source, target = occupied
    Ferry(bench, source, target, {"target.existing": "merge", "checkpoint": "local"}).run_until_caught_up()
    assert sorted(target.command("KEYS", "*")) == [b"both", b"of source", b"of target"]
    assert target.command("GET", "both") == b"source"


def test_target_flushed(bench, occupied):
    source, target = occupied
    ferry = Ferry(bench, source, target, {"target.existing": "flush"}).run_until_caught_up()
    assert_same(source, target)
    assert "its 2 keys were removed" in ferry.log


def test_conflict_skip(bench, occupied):
    source, target = occupied
    ferry = Ferry(bench, source, target, {"target.existing": "merge", "target.conflict": "skip"}).start().wait_streaming()
    assert target.command("GET", "both") == b"target"
    assert target.command("GET", "of source") == b"x"
    assert link_of(ferry)["counters"]["keys_skipped"] == 1


def test_conflict_stop(bench, occupied):
    source, target = occupied
    ferry = Ferry(bench, source, target, {"target.existing": "merge", "target.conflict": "stop"})
    assert_fails(ferry, CONFLICT, target.address, '"both"', "database 0", "target.conflict")
    assert target.command("GET", "both") == b"target"


def test_unknown_option(bench):
    ferry = Ferry(bench, bench.server(), bench.server(), {"target.existin": "merge"})
    assert_fails(ferry, USAGE, "--set target.existin", "did you mean 'target.existing'")


def test_value_out_of_range(bench):
    ferry = Ferry(bench, bench.server(), bench.server(), {"target.existing": "perhaps"})
    assert_fails(ferry, USAGE, "target.existing", "perhaps", "fail", "merge", "flush")


def test_two_on_one_work_directory(bench):
    source, target = bench.server(), bench.server()
    first = Ferry(bench, source, target).start().wait_streaming()
    second = Ferry(bench, source, target)
    second.data.symlink_to(first.data)
    assert_fails(second, BUSY, str(first.process.pid), "--data")
    first.check_running()
    assert first.stop() == 0


def test_work_directory_that_cannot_be_made(bench):
    ferry = Ferry(bench, bench.server(), bench.server())
    (ferry.folder / "file").touch()
    ferry.data.symlink_to(ferry.folder / "file" / "below")
    assert_fails(ferry, USAGE, "work directory", "--data")


# -- what the target cannot take ----------------------------------------------------------------------------------------

def test_refused_command_stops(bench):
    """Somebody else has written to the target. Once that is mended, the task goes on at that very command; what had been
    sent behind it already is sent again."""
    source, target = bench.server(), bench.server()
    ferry = Ferry(bench, source, target).start().wait_streaming()
    source.command("RPUSH", "before", "1")
    target.command("SET", "key", "of somebody else")
    source.command("RPUSH", "key", "1")
    source.command("SET", "after", "1")
    assert_fails(ferry, CONFLICT, target.address, "RPUSH", '"key"', "database 0", "WRONGTYPE", "on_conflict", started=True)
    assert re.search(r"offset \d+", ferry.log)
    target.command("DEL", "key")
    ferry.start().wait_streaming().wait_in_step(source)
    assert_same(source, target)


def test_refused_command_skipped(bench):
    source, target = bench.server(), bench.server()
    ferry = Ferry(bench, source, target, {"on_conflict": "skip"}).start().wait_streaming()
    target.command("SET", "key", "of somebody else")
    for number in range(3):
        source.command("RPUSH", "key", number)
        source.command("RPUSH", "other", number)
    ferry.wait_in_step(source)
    assert target.command("GET", "key") == b"of somebody else"
    assert target.command("LRANGE", "other", 0, -1) == [b"0", b"1", b"2"]
    assert link_of(ferry)["counters"]["conflicts"] == 3
    assert ferry.log.count('RPUSH of key "key"') == 3
    assert ferry.stop() == 0


def test_command_that_no_cluster_can_do(bench):
    """It reads keys that its arguments do not name."""
    source, target = bench.server(), bench.cluster(replicas_per_master=0)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    source.command("RPUSH", "numbers", "2", "1")
    source.command("SORT", "numbers", "BY", "weight:*", "STORE", "sorted")
    assert_fails(ferry, CONFLICT, "SORT", "numbers", "database 0", started=True)
    assert re.search(r"offset \d+", ferry.log)
    assert target.run("EXISTS", "sorted") == 0


def test_database_selected_later(bench):
    """The cluster has no other database than 0, and the source begins to use one."""
    source, target = bench.server(), bench.cluster(replicas_per_master=0)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    source.client(db=3).set("key", 1)
    assert_fails(ferry, CONFLICT, '"key"', "database 3", "source.databases", started=True)


# -- what is waited for -------------------------------------------------------------------------------------------------

def append_to_lists(source, units):
    """Commands whose number and order shows, and which all need memory."""
    with source.client().pipeline(transaction=False) as pipeline:
        for number in range(units):
            pipeline.rpush(f"list:{number % 7}", number)
            pipeline.append(f"text:{number % 7}", f"{number},")
            pipeline.incr("count")
        pipeline.execute()


def test_target_out_of_memory(bench):
    """Redis refuses just the commands that need memory, so these are all of that kind: nothing is lost, doubled or reordered."""
    source, target = bench.server(), bench.server()
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    append_to_lists(source, 1000)
    target.config_set("maxmemory", target.info("memory")["used_memory"] // 2)
    append_to_lists(source, 3000)
    ferry.wait_status(lambda status: "OOM" in (status["links"][0]["waiting_for"] or ""), what="the reason of waiting")
    ferry.wait_log(f"waiting for target {target.address}")
    append_to_lists(source, 1000)
    assert target.command("GET", "count") != source.command("GET", "count")
    target.config_set("maxmemory", 0)
    ferry.wait_log("takes commands again")
    append_to_lists(source, 100)
    ferry.wait_in_step(source)
    assert_same(source, target, as_replica=True)
    assert ferry.log.count("it goes on by itself") == 1, ferry.log


def write_much(source, megabytes):
    """APPENDs to 20 keys."""
    with source.client().pipeline(transaction=False) as pipeline:
        for _ in range(megabytes):
            for number in range(20):
                pipeline.append(f"much:{number}", os.urandom(25_000).hex())
            pipeline.execute()


def test_small_spool(bench):
    """The spool is full all the time: the source is read as fast as the target takes it."""
    source, target = bench.server(config={"client-output-buffer-limit": ("replica", "0", "0", "0")}), bench.server()
    fill(source, keys=2000)
    write_much(source, 10)
    small = {"spool.max_size": "4MiB", "spool.segment_size": "1MiB"}
    ferry = Ferry(bench, source, target, small).start().wait_streaming()
    target.pause()
    write_much(source, 20)
    ferry.wait_status(lambda status: status["links"][0]["spool"]["disk_bytes"] > 3_000_000, what="a full spool")
    target.resume()
    write_much(source, 20)
    ferry.wait_in_step(source)
    assert_same(source, target, as_replica=True)
    link = link_of(ferry)
    assert (link["resyncs"], link["reconnects"]) == (0, 0)
    assert link["spool"]["disk_bytes"] < 5_000_000


def test_value_larger_than_the_spool(bench):
    source, target = bench.server(), bench.server()
    ferry = Ferry(bench, source, target, {"spool.max_size": "4MiB", "spool.segment_size": "1MiB"}).start().wait_streaming()
    source.command("SET", "large", b"x" * 6_000_000)
    assert_fails(ferry, CONFLICT, "larger than the spool", "spool.max_size", started=True)


def test_disk_of_the_spool_full(bench):
    """It waits, says so once, and goes on when there is room."""
    source = bench.server(config={"client-output-buffer-limit": ("replica", "0", "0", "0")})
    target = bench.server()
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target, {"spool.segment_size": "1MiB"})
    disk = small_disk(bench, ferry.data, 12)
    ferry.start().wait_streaming()
    target.pause()
    write_much(source, 20)
    ferry.wait_log("No space left on device")
    write_much(source, 5)
    ferry.check_running()
    disk.resize(64)
    ferry.wait_log("takes bytes again")
    target.resume()
    ferry.wait_in_step(source)
    assert_same(source, target, as_replica=True)
    link = link_of(ferry)
    assert (link["resyncs"], link["reconnects"]) == (0, 0)
    # The state has no room either, which is another matter.
    assert ferry.log.count("cannot be written: disk full: No space left on device") == 1, ferry.log
    assert ferry.stop() == 0


# -- stopping and going on ----------------------------------------------------------------------------------------------

def test_stopped_and_started_again(bench):
    """By SIGTERM, in the snapshot and in the stream, with commands that must not be applied twice."""
    source, target = bench.server(), bench.cluster(replicas_per_master=0)
    fill(source, keys=20000)
    ferry = Ferry(bench, source, target)
    slow = ("--set", "limit.records_per_second=2000")
    with Load(source, rate=1000, keys=1000) as load:
        for done in (1000, 4000):
            ferry.start(*slow)
            # Received to its end, else it would be taken again; and applied in part.
            ferry.wait_status(lambda status, done=done: status["links"][0]["position"]["received"] is not None
                              and status["links"][0]["snapshot"]["keys_done"] > done, what="some of the snapshot")
            assert ferry.stop() == 0
            assert "it goes on there" in ferry.log
        ferry.start().wait_streaming()
        for _ in range(5):
            more_of(load, ferry, 300)
            assert ferry.stop() == 0
            ferry.start()
        ferry.wait_streaming()
        more_of(load, ferry, 300)
    ferry.wait_in_step(source)
    assert_same(source, target, as_replica=True)
    assert ferry.log.count("full resync") == 1
    assert ferry.stop() == 0


def test_killed_and_started_again(bench):
    """By SIGKILL: the last second may be applied twice (mode "safe"), and nothing is missing."""
    source, target = bench.cluster(replicas_per_master=0), bench.server()
    fill(source, keys=20000)
    ferry = Ferry(bench, source, target)
    with Load(source, mode="safe") as load:
        for _ in range(2):
            ferry.start("--set", "limit.records_per_second=4000")
            ferry.wait_status(lambda status: all(link["snapshot"]["keys_done"] > 1000 and link["position"]["received"] is not None
                                                 for link in status["links"]), what="some of the snapshot")
            ferry.kill()
        ferry.start().wait_streaming()
        for _ in range(5):
            more_of(load, ferry, 300)
            ferry.kill()
            ferry.start().wait_streaming()
        more_of(load, ferry, 300)
    ferry.wait_in_step(*source.masters())
    assert_same(source, target, as_replica=True)
    assert ferry.log.count("full resync") == 3
    assert ferry.stop() == 0


def test_stopped_while_the_target_is_away(bench):
    """Where nobody could find out later what came of what was sent, the first signal leaves the target some time to answer; the second one does not. What was
    not applied is applied after the next start. Where it can be found out nothing is waited for: test_events.py."""
    source, target = bench.server(), bench.server()
    ferry = Ferry(bench, source, target, {"checkpoint": "local"}).start().wait_streaming()
    target.pause()
    for number in range(100):
        source.command("SET", f"key:{number}", number)
    ferry.wait_status(lambda status: status["links"][0]["spool"]["bytes"] > 0, what="something that is not applied")
    os.kill(ferry.process.pid, signal.SIGTERM)
    ferry.wait_log("a second signal stops at once")
    os.kill(ferry.process.pid, signal.SIGTERM)
    assert ferry.wait() == -signal.SIGTERM
    target.resume()
    ferry.start().wait_streaming().wait_in_step(source)
    assert_same(source, target)


def test_task_refused_leaves_no_trace(bench):
    """After a failed precheck the same command works once the cause is mended."""
    source, target = bench.server(), bench.server()
    fill(source, keys=100)
    target.command("SET", "in the way", 1)
    ferry = Ferry(bench, source, target)
    assert_fails(ferry, PRECHECK, "holds 1 keys")
    target.command("FLUSHALL")
    ferry.run_until_caught_up()
    assert_same(source, target)
