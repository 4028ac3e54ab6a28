"""`keyferry precheck` and the gate before every start: each item shown failing on real servers, and mended as its remedy says.

What no server can be brought to in a test (another clock, a full machine) is judged in tests/unit/precheck."""

import json
import os
import re
import shutil
import subprocess

import pytest

from bench.compare import assert_same
from bench.data import fill
from bench.ferry import Ferry, binary, unused_address
from bench.load import Load
from bench.precheck import do_as_told, precheck, run

PASSED, SKIPPED, WARNING, FAILED = "passed", "skipped", "warning", "failed"
USAGE, PRECHECK, SOURCE, TARGET = 2, 3, 4, 5


def untouched(server):
    """What must not change by being asked."""
    persistence, stats = server.info("persistence"), server.info("stats")
    return (server.command("DBSIZE"), persistence["rdb_changes_since_last_save"], persistence["rdb_bgsave_in_progress"], stats["sync_full"],
            server.info("replication")["connected_slaves"])


@pytest.fixture(name="pair")
def make_pair(bench):
    return bench.server(), bench.server()


def assert_mended(bench, pair, item, side, result, options=None):
    """The item has that result; after its remedy was done it passes."""
    server = pair[0] if side == "source" else pair[1]
    row = precheck(bench, *pair, options).of(item, side)
    assert row["result"] == result and row["cause"] and row["remedy"], row
    do_as_told(server, row["remedy"])
    assert precheck(bench, *pair, options).result(item, side) == PASSED


# -- all is well --------------------------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_nothing_to_say_and_nothing_touched(bench, version):
    """Servers of every version, as they are installed."""
    source, target = bench.server(version), bench.server(version)
    source.client().mset({"a": 1, "b": 2})
    before = [untouched(server) for server in (source, target)]
    report = precheck(bench, source, target)
    assert report.code == 0 and not report.found(WARNING, FAILED, SKIPPED), report.items
    assert [untouched(server) for server in (source, target)] == before
    assert target.command("DBSIZE") == 0 and report.page["passed"] is True


def test_clusters(bench, wait_for):
    source, target = (bench.cluster(masters=2, replicas_per_master=1) for _ in range(2))
    for slot_of_each in ("a", "b"):
        source.run("SET", slot_of_each, 1, key=slot_of_each)
    # Masters of 7.0 take replicas without an offset for such as are loading.
    wait_for(lambda: all(precheck(bench, source, target).of("connect", "source", node.address) for node in source.nodes), what="replicas to be told of")
    report = precheck(bench, source, target)
    assert report.code == 0 and not report.found(WARNING, FAILED, SKIPPED), report.items
    assert all(report.result("connect", "source", node.address) == PASSED for node in source.nodes)
    for side, cluster in (("source", source), ("target", target)):
        for node in cluster.masters():
            assert report.result("cluster-state", side, node.address) == PASSED
            assert report.of("clock", side, node.address)


def test_to_files_and_from_them(bench):
    """Items that compare with a server are not there."""
    source = bench.server()
    source.command("SET", "k", "v")
    path = bench.folder / "out.rdb"
    report = precheck(bench, source, f"rdb://{path}")
    assert report.code == 0 and report.result("target-files") == PASSED and not report.of("same-server") and not path.exists()
    source.command("SAVE")
    dump = source.folder / source.config_get("dbfilename")
    report = precheck(bench, f"rdb://{dump}", bench.server())
    assert report.code == 0 and report.result("source-files") == PASSED and not report.of("psync"), report.items
    path.write_bytes(b"of somebody else")
    report = precheck(bench, source, f"rdb://{path}")
    assert report.code == PRECHECK and report.result("target-files") == FAILED
    assert precheck(bench, source, f"rdb://{path}", {"target.existing": "flush"}).code == 0
    dump.write_bytes(dump.read_bytes()[:-12])
    report = precheck(bench, f"rdb://{dump}", bench.server())
    assert report.code == SOURCE and report.result("source-files") == FAILED


def test_one_file_for_several_masters(bench):
    source = bench.cluster(masters=2, replicas_per_master=0)
    report = precheck(bench, source, f"rdb://{bench.folder}/out.rdb")
    assert report.code == PRECHECK and "{shard}" in report.of("target-files")["remedy"]
    assert precheck(bench, source, f"rdb://{bench.folder}/out-{{shard}}.rdb").result("target-files") == PASSED


# -- who can be reached ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("side, code", [("source", SOURCE), ("target", TARGET)])
def test_nobody_there(bench, side, code):
    """The other side is judged all the same."""
    there, nobody = bench.server(), unused_address()
    report = precheck(bench, *(nobody, there) if side == "source" else (there, nobody))
    other = "target" if side == "source" else "source"
    assert report.code == code and report.result("connect", side) == FAILED
    assert report.result("connect", other) == PASSED and report.of("clock", other)
    assert not report.of("same-server") and not report.of("types") and not report.of("databases")


def test_wrong_password(bench):
    source = bench.server(password="right-secret")
    done = run(bench, source.url_for(None, "wrong-secret"), bench.server())
    assert done.returncode == SOURCE and "wrong user name or password" in done.stdout and "secret" not in done.stdout + done.stderr


@pytest.mark.parametrize("side, code", [("source", SOURCE), ("target", TARGET)])
def test_one_master_of_a_cluster_is_down(bench, side, code):
    """It is named, and all others are judged."""
    cluster, server = bench.cluster(masters=3, replicas_per_master=0, node_timeout=60000), bench.server()
    first, second, third = cluster.masters()
    second.kill()
    report = precheck(bench, *(first, server) if side == "source" else (server, first))
    assert report.code == code, report.items
    assert report.result("connect", side, second.address) == FAILED
    assert report.result("connect", side, third.address) == PASSED and report.of("clock", side, third.address)
    second.start()
    cluster.wait_ok()
    assert precheck(bench, *(first, server) if side == "source" else (server, first)).result("connect", side, second.address) == PASSED


# -- rights ---------------------------------------------------------------------------------------------------------------

SOURCE_RULES = "+info +psync +replconf +setex ~DTS_REDIS_TIMESTAMP_HEARTBEAT*"
TARGET_RULES = "~* +@write +info +select +multi +exec +discard +hmget +hgetall"
ASK_BY_DRY_RUN = "+acl|whoami +acl|dryrun +ping"


def users(source, target, source_rules, target_rules):
    source.set_user("sync", f"on >pass {source_rules}")
    target.set_user("sync", f"on >pass {target_rules}")
    return source.url_for("sync", "pass"), target.url_for("sync", "pass")


@pytest.mark.parametrize("name", ["redis-6.0", "redis-7.0", "redis-8.0", "valkey-9.1"])
@pytest.mark.parametrize("how", ["", ASK_BY_DRY_RUN], ids=["asking", "dry-run"])
def test_each_right(bench, name, how):
    source, target = bench.server(name), bench.server(name)
    if how and not source.version.at_least(7, 0):
        pytest.skip("ACL DRYRUN came with Redis 7.0")
    source.client(db=1).set("in another database", "x")
    before = untouched(source), untouched(target)
    report = precheck(bench, *users(source, target, f"{SOURCE_RULES} {how}", f"{TARGET_RULES} {how}"))
    assert not report.found(FAILED, WARNING), report.items
    assert report.result("psync") == (PASSED if source.version.at_least(6, 2) else SKIPPED)
    for word in ("+multi", "+exec", "+hmget ", "+select", "+@write"):
        ferry_users = users(source, target, f"{SOURCE_RULES} {how}", f"{TARGET_RULES.replace(word, '')} {how}")
        report = precheck(bench, *ferry_users)
        row = report.of("rights", "target")
        assert report.code == TARGET and row["result"] == FAILED, (word, report.items)
        assert "+hset +set +restore +del +pexpireat" in row["cause"] if word == "+@write" else f" {word.strip()} " in row["cause"], row
        do_as_told(target, row["remedy"])
        assert precheck(bench, *ferry_users).result("rights", "target") == PASSED
    for word, item in (("+psync", "psync"), ("+replconf", "psync"), ("+setex", "heartbeat")):
        ferry_users = users(source, target, f"{SOURCE_RULES.replace(word, '')} {how}", f"{TARGET_RULES} {how}")
        report = precheck(bench, *ferry_users)
        row = report.of(item, "source")
        if word == "+psync" and not source.version.at_least(6, 2):
            assert row["result"] == SKIPPED and "shows at the start" in row["cause"]     # without +multi it cannot be asked
            source.command("ACL", "SETUSER", "sync", "+multi")
            row = precheck(bench, *ferry_users).of(item, "source")
        assert row["result"] == (WARNING if item == "heartbeat" else FAILED) and word in row["remedy"], row
        assert report.code == (0 if item == "heartbeat" or word == "+psync" and not source.version.at_least(6, 2) else SOURCE)
        assert item == "heartbeat" or "source.mode: scan" in row["remedy"]
        do_as_told(source, row["remedy"])
        told = source.version.at_least(6, 2) or item == "heartbeat" or word == "+psync"
        assert precheck(bench, *ferry_users).result(item, "source") == (PASSED if told else SKIPPED)
    # Nothing of this has written, replicated or left an error behind in a transaction.
    assert (untouched(source), untouched(target)) == before


def test_rights_for_marks_need_their_keys(bench, pair):
    ferry_users = users(*pair, SOURCE_RULES, TARGET_RULES.replace("~*", "~orders:*"))
    report = precheck(bench, *ferry_users)
    assert "~keyferry:mark:* ~keyferry:task:*" in report.of("rights", "target")["remedy"]
    do_as_told(pair[1], report.of("rights", "target")["remedy"])
    assert precheck(bench, *ferry_users).result("rights", "target") == PASSED
    assert precheck(bench, *users(*pair, SOURCE_RULES, TARGET_RULES.replace("~*", "~orders:*")), {"checkpoint": "local"}).result("rights", "target") == PASSED


def test_rights_to_commands_that_were_used(bench, pair):
    pair[0].command("ZADD", "z", 1, "a")
    pair[0].command("ZPOPMIN", "z")
    ferry_users = users(*pair, f"{SOURCE_RULES} +info", f"{TARGET_RULES} -zadd -zpopmin")
    row = precheck(bench, *ferry_users).of("rights", "target")
    assert row["result"] == WARNING and {"+zadd", "+zpopmin"} <= set(re.findall(r"\+\w+", row["cause"])) and "filter.block" in row["remedy"], row
    do_as_told(pair[1], row["remedy"])
    assert precheck(bench, *ferry_users).result("rights", "target") == PASSED


def test_what_is_not_told_is_skipped(bench, pair):
    """A user with the least rights: said so, and no obstacle."""
    report = precheck(bench, *users(*pair, SOURCE_RULES, TARGET_RULES))
    assert report.code == 0
    assert report.found(SKIPPED) >= {("output-buffer", "source"), ("repl-timeout", "source"), ("min-replicas", "target"), ("loop", "target"), ("other-task", "target")}
    assert "+config|get" in report.of("repl-timeout", "source")["remedy"]


@pytest.mark.parametrize("name", ["redis-6.0", "redis-7.0", "valkey-9.1"])
def test_psync_is_not_there(bench, name):
    """As at managed services; read by SCAN it is not needed."""
    source, target = bench.server(name, config={"rename-command": [("PSYNC", "")]}), bench.server(name)
    report = precheck(bench, source, target)
    assert report.code == SOURCE and report.result("psync") == FAILED and "source.mode: scan" in report.of("psync")["remedy"]
    report = precheck(bench, source, target, {"source.mode": "scan"})
    assert report.code == PRECHECK and not report.of("psync") and "notify-keyspace-events" in report.of("scan")["cause"]
    do_as_told(source, report.of("scan")["remedy"])
    report = precheck(bench, source, target, {"source.mode": "scan"})
    assert report.code == 0 and report.result("scan") == PASSED


# -- roles, loops, other tasks --------------------------------------------------------------------------------------------

def test_replicas_and_one_server_twice(bench):
    (master, replica), other = bench.replica_pair(), bench.server()
    report = precheck(bench, replica, other)
    assert report.code == PRECHECK and report.result("role", "source") == FAILED and master.address in report.of("role", "source")["remedy"]
    report = precheck(bench, replica, other, {"source.read_from": "prefer-replica"})
    assert report.code == 0 and report.result("psync") == PASSED, report.items
    report = precheck(bench, other, replica)
    assert report.code == PRECHECK and report.result("role", "target") == FAILED
    report = precheck(bench, replica, master, {"source.read_from": "prefer-replica", "target.existing": "merge"})
    assert report.code == PRECHECK and report.of("loop")["side"] == "source" and "is a replica of target" in report.of("loop")["cause"]
    report = precheck(bench, master, master.url.replace("127.0.0.1", "localhost"))
    assert report.code == PRECHECK and report.result("same-server") == FAILED


def test_tasks_that_go_round_or_meet(bench):
    one, two, three = (bench.server() for _ in range(3))
    back = Ferry(bench, two, one, arguments=["--name", "back"]).start().wait_streaming()
    report = precheck(bench, one, two)
    assert report.code == PRECHECK and "'back'" in report.of("loop")["cause"], report.items
    # The same gate stops a start.
    ferry = Ferry(bench, one, two)
    assert ferry.run() == PRECHECK and "every write would go round for ever" in ferry.log
    report = precheck(bench, three, one, {"target.existing": "merge"})
    assert report.code == 0 and report.result("other-task") == WARNING and "back" in report.of("other-task")["cause"]
    # A cascade is no loop, and the task itself no other one.
    assert precheck(bench, one, three).found(WARNING, FAILED) == set()
    assert precheck(bench, two, one, arguments=["--name", "back"], data=back.data).found(WARNING, FAILED) == set()
    assert back.stop() == 0
    report = precheck(bench, one, two, {"target.existing": "merge"})
    assert report.code == 0 and report.result("loop") == PASSED


# -- clusters -------------------------------------------------------------------------------------------------------------

def test_state_of_a_cluster(bench, wait_for):
    cluster, server = bench.cluster(masters=2, replicas_per_master=1), bench.server()
    first, second = cluster.masters()
    move = cluster.begin_slot_move(0, second)
    report = precheck(bench, first, server)
    assert report.code == 0 and report.result("cluster-state", "source", first.address) == WARNING and "slots are on the move: 0" in report.of(
        "cluster-state", "source", first.address)["cause"]
    move.migrate_all().finish()
    replica = cluster.replicas(first)[0]
    replica.kill()
    wait_for(lambda: any(view.failed for view in cluster.views(first)), what="the replica to be taken for failed")
    row = precheck(bench, server, first).of("cluster-state", "target", first.address)
    assert row["result"] == WARNING and replica.address in row["cause"]
    replica.start()
    cluster.wait_ok()
    slot = 16383
    for node in (first, second):
        node.command("CLUSTER", "DELSLOTS", slot)
    report = precheck(bench, server, second)
    assert report.code == PRECHECK and report.result("slots", "target") == FAILED
    for node in (first, second):
        assert report.result("cluster-state", "target", node.address) == FAILED
    second.command("CLUSTER", "ADDSLOTS", slot)
    cluster.wait_ok()
    report = precheck(bench, server, second)
    assert report.code == 0 and report.result("slots", "target") == PASSED


def test_a_replica_that_cannot_be_used(bench, wait_for):
    """After a failover to it the task would stand still."""
    cluster = bench.cluster(masters=1, replicas_per_master=1)
    master, replica, target = cluster.masters()[0], cluster.replicas()[0], bench.server()
    cluster.run("SET", "a", 1, key="a")
    wait_for(lambda: precheck(bench, master, target).of("connect", "source", replica.address), what="the replica to be told of")
    replica.command("ACL", "SETUSER", "default", "off")
    report = precheck(bench, master, target)
    assert report.code == 0 and report.result("connect", "source", replica.address) == WARNING, report.items


# -- settings of the source -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["redis-6.0", "redis-8.0", "valkey-9.1"])
def test_settings_are_mended_as_told(bench, name):
    pair = bench.server(name), bench.server(name)
    source, target = pair
    source.config_set("repl-timeout", 5)
    assert_mended(bench, pair, "repl-timeout", "source", WARNING)
    source.config_set("repl-diskless-sync", "yes")
    source.config_set("repl-diskless-sync-delay", 100)
    assert_mended(bench, pair, "repl-diskless-sync", "source", WARNING)
    for side, server, result in (("source", source, WARNING), ("target", target, FAILED)):
        server.config_set("min-replicas-to-write", 1)
        assert_mended(bench, pair, "min-replicas", side, result)
    target.config_set("maxmemory", "100mb")
    target.config_set("maxmemory-policy", "allkeys-lru")
    assert_mended(bench, pair, "eviction", "target", WARNING)
    row = precheck(bench, *pair, {"timeouts.replication": "8s"}).of("repl-timeout", "source")
    assert row["result"] == WARNING and "timeouts.replication is 8.00 s" in row["cause"]


def test_buffers_against_the_rate_of_writes(bench, pair, wait_for):
    source, _ = pair
    source.config_set("repl-backlog-size", 16384)
    source.config_set("client-output-buffer-limit", "slave 1 0 0")
    fill(source, keys=2000)
    with Load(source, rate=1000) as load:
        wait_for(lambda: load.acknowledged > 1000, what="the writer to be under way")
        assert_mended(bench, pair, "repl-backlog-size", "source", WARNING)
        assert_mended(bench, pair, "output-buffer", "source", WARNING)
    # By the offset, which moves once there is a replica.
    ferry = Ferry(bench, *pair).start().wait_streaming()
    with Load(source, rate=1000) as load:
        wait_for(lambda: load.acknowledged > 1000, what="the writer to be under way")
        measured = precheck(bench, *pair, {"target.existing": "merge"}).of("repl-backlog-size")["measured"]
        assert re.search(r", [1-9][0-9.]* [KM]iB/s$", measured), measured
    assert ferry.stop() == 0


def test_snapshot_under_a_limit(bench, pair):
    fill(pair[0], keys=3000)
    pair[0].command("DEBUG", "POPULATE", 2000000) if pair[0].config_get("enable-debug-command") in (None, "yes") else None
    row = precheck(bench, *pair).of("snapshot")
    assert row["result"] == PASSED and re.match(r"\d+ keys, <= [0-9.]+ MiB, ~", row["measured"]), row
    row = precheck(bench, *pair, {"limit.bytes_per_second": "1KiB", "limit.spec": "1"}).of("snapshot")
    assert row["measured"].endswith("(limit.records_per_second)") or row["measured"].endswith("(limit.bytes_per_second)")


# -- persistence ------------------------------------------------------------------------------------------------------------

def server_to_break(bench, name=None):
    """Its folder may be changed under way, which since 7.0 has to be allowed."""
    version = bench.version(name)
    return bench.server(version, config={"enable-protected-configs": "yes"} if version.at_least(7, 0) else None)


def make_again(server, folder):
    folder.mkdir()
    server.config_set("dir", str(folder))   # it stood in the one that is gone


def break_saving(server, wait_for):
    """BGSAVE fails as on a broken disk; returns the folder to be made again."""
    folder = server.folder / "gone"
    folder.mkdir()
    server.config_set("save", "900 1")
    server.config_set("dir", str(folder))
    folder.rmdir()
    server.command("BGSAVE")
    wait_for(lambda: server.info("persistence")["rdb_last_bgsave_status"] == "err", what="BGSAVE to fail")
    return folder


def mend_saving(server, folder, wait_for):
    make_again(server, folder)
    server.command("BGSAVE")
    wait_for(lambda: server.info("persistence")["rdb_last_bgsave_status"] == "ok", what="BGSAVE to succeed")


@pytest.mark.parametrize("name", ["redis-6.0", "valkey-9.1"])
def test_target_that_cannot_be_saved(bench, name, wait_for):
    pair = bench.server(name), server_to_break(bench, name)
    folder = break_saving(pair[1], wait_for)
    report = precheck(bench, *pair)
    assert report.code == PRECHECK and report.result("persistence", "target") == FAILED
    # A user who may not read settings is answered by the server itself.
    report = precheck(bench, *users(*pair, SOURCE_RULES, TARGET_RULES))
    assert report.result("persistence", "target") == FAILED and "MISCONF" in report.of("persistence", "target")["cause"]
    mend_saving(pair[1], folder, wait_for)
    assert precheck(bench, *pair).result("persistence", "target") == PASSED
    shutil.rmtree(folder)


def test_waived_it_starts_and_shows(bench, wait_for):
    """The gate: a failed item stops the start before anything is written; waived it is told, and the task runs."""
    source, target = pair = server_to_break(bench), bench.server()
    fill(source, keys=500)
    source.config_set("repl-diskless-sync", "no")
    source.config_set("stop-writes-on-bgsave-error", "no")
    folder = break_saving(source, wait_for)
    report = precheck(bench, *pair)
    assert report.code == PRECHECK and report.found(FAILED) == {("persistence", "source")}, report.items
    ferry = Ferry(bench, source, target)
    assert ferry.run() == PRECHECK and "could not write its last snapshot" in ferry.log
    assert target.command("DBSIZE") == 0
    waived = {"precheck.waive": "persistence,clock"}
    report = precheck(bench, *pair, waived)
    assert report.code == 0 and report.of("persistence", "source")["waived"] and report.result("persistence", "source") == FAILED
    assert report.page["counts"]["waived"] == 1 and not report.of("clock", "source")["waived"]
    text = run(bench, *pair, waived, as_text=True, environment={"LANG": "C"}).stdout
    assert re.search("^waived +persistence +source", text, re.M) and text.endswith(" 0 failed, 1 waived\n")
    make_again(source, folder)      # it works again; the status is still that of the last one
    ferry = Ferry(bench, source, target, waived).run_until_caught_up()
    assert "waived: source" in ferry.log and "(precheck item persistence)" in ferry.log
    assert_same(source, target)


def test_what_is_waited_out_is_no_obstacle_for_a_task_that_goes_on(bench, pair):
    source, target = pair
    source.command("SET", "a", 1)
    ferry = Ferry(bench, source, target).start().wait_streaming().wait_in_step(source)
    assert ferry.stop() == 0
    target.config_set("min-replicas-to-write", 1)
    assert Ferry(bench, source, target, arguments=["--name", "new"]).run() == PRECHECK
    report = precheck(bench, source, target, data=ferry.data)
    assert report.code == 0 and report.result("min-replicas", "target") == WARNING and report.result("target-empty") == PASSED
    ferry.start().wait_log("refuses writes for want of replicas")
    target.config_set("min-replicas-to-write", 0)
    source.command("SET", "a", 2)
    ferry.wait_streaming().wait_in_step(source)
    assert ferry.stop() == 0
    assert_same(source, target)


# -- room at the target -------------------------------------------------------------------------------------------------------

def test_target_holds_keys(bench, pair):
    source, target = pair
    target.command("SET", "k", "v")
    report = precheck(bench, *pair)
    assert report.code == PRECHECK and report.result("target-empty") == FAILED and "holds 1 keys" in report.of("target-empty")["cause"]
    assert precheck(bench, *pair, {"target.existing": "merge"}).result("target-empty") == PASSED
    report = precheck(bench, *pair, {"target.existing": "flush"})
    assert report.code == 0 and report.result("target-empty") == WARNING and target.command("DBSIZE") == 1
    target.command("FLUSHALL")
    assert precheck(bench, *pair).result("target-empty") == PASSED


@pytest.mark.parametrize("name", ["redis-6.0", "valkey-9.1"])
def test_memory_of_the_target(bench, name):
    source, target = bench.server(name), bench.server(name)
    target.config_set("maxmemory", "500kb")
    report = precheck(bench, source, target)
    assert report.code == PRECHECK and report.result("target-memory") == FAILED and "is full" in report.of("target-memory")["cause"]
    # Settings are not told: the server's own answer to a write that is never made.
    report = precheck(bench, *users(source, target, SOURCE_RULES, TARGET_RULES))
    assert report.code == PRECHECK and report.result("target-memory") == FAILED
    target.config_set("maxmemory", "4mb")
    fill(source, keys=30000)
    assert source.info("memory")["used_memory_dataset"] > 4 << 20
    report = precheck(bench, source, target)
    assert report.code == 0 and report.result("target-memory") == WARNING and "has room for" in report.of("target-memory")["cause"]
    target.config_set("maxmemory", 0)
    assert precheck(bench, source, target).result("target-memory") == PASSED


def test_databases(bench):
    source, standalone, cluster = bench.server(), bench.server(config={"databases": 2}), bench.cluster(masters=1, replicas_per_master=0)
    for db in (0, 3):
        source.client(db=db).set("k", "v")
    for target, number in ((standalone, "2 databases"), (cluster, "database 0 alone")):
        report = precheck(bench, source, target)
        assert report.code == PRECHECK and number in report.of("databases")["cause"]
        assert precheck(bench, source, target, {"source.databases": "0"}).result("databases") == PASSED
        report = precheck(bench, source, target, {"target.database_map": '{"*": 0}'})
        assert report.code == 0 and report.result("databases") == WARNING and "databases 0, 3 of the source" in report.of("databases")["cause"]


# -- data and commands -------------------------------------------------------------------------------------------------------

def test_versions_types_and_commands(bench):
    source, target = bench.server("redis-8.0"), bench.server("redis-6.0")
    for number in range(50):
        source.command("VADD", f"v{number}", "VALUES", 2, 1, 2, "e")
    source.command("ZADD", "z", 1, "a")
    source.command("ZRANGESTORE", "y", "z", 0, -1)
    source.command("HSETEX", "h", "EX", 1000, "FIELDS", 1, "f", "v")
    report = precheck(bench, source, target)
    assert report.code == PRECHECK and report.result("types") == FAILED and "vectorset" in report.of("types")["cause"]
    assert report.result("versions") == WARNING and "no vector sets" in report.of("versions")["cause"]
    assert report.result("commands") == WARNING
    assert set(re.search(r"does not know: ([^.]*)", report.of("commands")["cause"]).group(1).split(", ")) == {"vadd", "zrangestore", "hsetex"}
    report = precheck(bench, source, target, {"target.downgrade": "lossy"})
    assert report.code == 0 and report.result("types") == WARNING
    report = precheck(bench, source, bench.server("redis-8.0"))
    assert not report.found(FAILED, WARNING), report.items


def test_commands_across_slots_and_databases(bench):
    source, cluster = bench.server(), bench.cluster(masters=2, replicas_per_master=0)
    assert precheck(bench, source, cluster).result("across-slots") == PASSED
    source.command("SET", "a", 1)
    source.command("RENAME", "a", "b")
    row = precheck(bench, source, cluster).of("across-slots")
    assert row["result"] == WARNING and "rename (1)" in row["cause"]
    # What they take of the target's user.
    cluster_user = [users(source, node, SOURCE_RULES, f"{TARGET_RULES} +cluster|slots") for node in cluster.nodes][0]
    row = precheck(bench, *cluster_user).of("rights", "target", cluster.nodes[0].address)
    assert row["result"] == WARNING and "+asking +dump +lindex +pexpiretime" in row["cause"] and "(ASK, RENAME)" in row["cause"], row
    for node in cluster.nodes:
        do_as_told(node, row["remedy"])
    assert precheck(bench, *cluster_user).result("rights", "target", cluster.nodes[0].address) == PASSED
    source.command("MOVE", "b", 3)
    source.client(db=3).flushdb()
    rows = [row for row in precheck(bench, source, cluster).items if row["item"] == "across-slots"]
    assert len(rows) == 2 and "move (1)" in rows[0]["cause"] and "filter.block" in rows[0]["remedy"]
    source.command("CONFIG", "RESETSTAT")
    assert precheck(bench, source, cluster).result("across-slots") == PASSED


# -- this machine --------------------------------------------------------------------------------------------------------------

def test_work_directory_and_disk(bench, pair):
    report = precheck(bench, *pair)
    assert report.result("work-directory") == PASSED and report.result("disk") == PASSED
    file = bench.folder / "file"
    file.write_text("")
    report = precheck(bench, *pair, data=file / "below")
    assert report.code == USAGE and report.result("work-directory") == FAILED
    # A file system without room.
    report = precheck(bench, *pair, data="/proc/keyferry")
    assert report.result("disk") == FAILED and "has 0 B left" in report.of("disk")["cause"]
    assert not os.path.exists(report.of("work-directory")["measured"])


# -- its output ----------------------------------------------------------------------------------------------------------------

def listed(*arguments):
    return subprocess.run([binary(), "precheck", "--list", *arguments], check=True, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"}).stdout


def test_json_schema(bench, pair):
    """The form of the document: programs rely on it."""
    pair[1].command("SET", "k", "v")
    page = precheck(bench, *pair, {"precheck.waive": "clock"}).page
    assert set(page) == {"task", "passed", "exit_code", "counts", "items"}
    assert isinstance(page["task"], str) and page["passed"] is False and page["exit_code"] == PRECHECK
    assert set(page["counts"]) == {PASSED, SKIPPED, WARNING, FAILED, "waived"} and sum(page["counts"].values()) == len(page["items"])
    known = {item["item"]: item for item in json.loads(listed("--format", "json"))}
    for row in page["items"]:
        assert set(row) == {"item", "side", "node", "result", "waived", "waivable", "measured", "cause", "remedy"}
        assert row["item"] in known and row["side"] in ("source", "target", "here") and row["result"] in (PASSED, SKIPPED, WARNING, FAILED)
        assert isinstance(row["waived"], bool) and (row["node"] is None or re.fullmatch(r"127\.0\.0\.1:\d+", row["node"]))
        assert (row["cause"] is None) == (row["result"] == PASSED)
        for field in ("measured", "cause", "remedy"):
            assert row[field] is None or (isinstance(row[field], str) and row[field])
    for item in known.values():
        assert set(item) == {"item", "source", "target", "what", "waivable"} and isinstance(item["waivable"], bool)


@pytest.mark.parametrize("arguments, environment, chinese", [
    ([], {"LANG": "C"}, False), ([], {"LANG": "zh_CN.UTF-8"}, True), (["--lang", "zh"], {"LANG": "C"}, True), (["--lang", "en"], {"LANG": "zh_CN.UTF-8"}, False)])
def test_languages(bench, pair, arguments, environment, chinese):
    pair[1].command("SET", "k", "v")
    done = run(bench, *pair, arguments=arguments, environment=environment, as_text=True)
    words = ("失败", "已有 1 个键", "清空它") if chinese else ("failed", "holds 1 keys already", "Empty it")
    assert done.returncode == PRECHECK and all(word in done.stdout for word in words), done.stdout
    assert bool(re.search("[\u4e00-\u9fff]", done.stdout)) == chinese


def test_options_that_are_wrong(bench, pair):
    for options, arguments, words in [
            ({"precheck.waive": "clok"}, [], "did you mean 'clock'?"), ({"precheck.waive": "target-empty"}, [], "cannot be waived"),
            ({}, ["--lang", "fr"], "en or zh"), ({}, ["--format", "xml"], "text or json"), ({}, ["--format", "markdown"], "text or json")]:
        done = run(bench, *pair, options, arguments=arguments, as_text=True)
        assert done.returncode == USAGE and words in done.stderr and not done.stdout, done
    ferry = Ferry(bench, *pair, {"precheck.waive": "[clock, clok]"})
    assert ferry.run() == USAGE and "did you mean 'clock'?" in ferry.log


def test_list_of_items():
    text = listed()
    assert "repl-backlog-size" in text and "(cannot be waived)" in text
    assert listed("--lang", "zh").count("\n") == text.count("\n") and "（不可豁免）" in listed("--lang", "zh")
