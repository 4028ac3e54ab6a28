"""RDB and append-only files as source: every recorded dump, files of real servers, tails that were cut off, damage, resuming."""

import os
import shutil

import pytest

from bench.compare import assert_same, compare_functions_with_expected, compare_with_expected, read_expected
from bench.data import features_of, fill
from bench.ferry import Ferry, unused_address
from bench.recordings import fixtures_folder
from bench.waiting import wait_for

# Modules of these would have to be loaded in the target.
NEEDS_MODULES = ("module", "module-aux", "vectorset")


def sync_files(bench, url, target, code=0, **options):
    """One run over the files to its end; returns the Ferry."""
    ferry = Ferry(bench, url, target, **options)
    assert ferry.run() == code, ferry.log
    return ferry


# -- RDB files ----------------------------------------------------------------------------------------------------------

def dumps():
    """(version folder, suffix) of every recorded dump."""
    found = sorted(fixtures_folder().glob("*/dump*.rdb"))
    return [(path.parent.name, path.stem.removeprefix("dump").removeprefix("-")) for path in found]


def target_version(name):
    """The first available version that takes everything which such a server's dump holds."""
    family, _, number = name.partition("-")
    number = tuple(map(int, number.split(".")))
    if family == "valkey":
        return "valkey-9.1"
    return "redis-8.0-sid" if number >= (7, 2) else "redis-7.0"


def test_every_recorded_dump(bench):
    """One target of each version; the target is emptied between two dumps, which is an option too."""
    targets, done = {}, 0
    for folder, suffix in dumps():
        if suffix in NEEDS_MODULES:
            continue
        target = targets.setdefault(target_version(folder), None) or bench.server(target_version(folder))
        targets[target_version(folder)] = target
        path = fixtures_folder() / folder / f"dump{'-' if suffix else ''}{suffix}.rdb"
        ferry = sync_files(bench, f"rdb://{path}", target, options={"target.existing": "flush"}, listen=False)
        report = compare_with_expected(target, path.with_name(path.name.replace("dump", "expected")).with_suffix(".jsonl"))
        assert report.equal and report.source_keys > 0, f"{path}: {report}"
        assert f"{report.source_keys} keys in a snapshot" in ferry.log
        functions = path.with_name(path.name.replace("dump", "functions")).with_suffix(".json")
        if functions.exists():
            assert not compare_functions_with_expected(target, functions)
            target.command("FUNCTION", "FLUSH")
        done += 1
    assert done >= 60


def test_modules_that_the_target_has_not(bench):
    path = fixtures_folder() / "redis-6.2.16/dump-module.rdb"
    ferry = sync_files(bench, f"rdb://{path}", bench.server("redis-7.0"), code=6)
    assert "hellotype" in ferry.log or "module" in ferry.log


def test_rdb_into_a_cluster(bench):
    """Database 0 alone; the others are refused before anything is written, unless they are left out."""
    path = fixtures_folder() / "redis-7.0.15/dump.rdb"
    target = bench.cluster(masters=3, replicas_per_master=0)
    ferry = sync_files(bench, f"rdb://{path}", target, code=3)
    assert "database 15" in ferry.log and "source.databases" in ferry.log
    assert all(node.command("DBSIZE") == 0 for node in target.masters())
    sync_files(bench, f"rdb://{path}", target, options={"source.databases": "0"})
    report = compare_with_expected(target, [record for record in read_expected(path.with_name("expected.jsonl")) if record["db"] == 0])
    assert report.equal and report.source_keys > 100, str(report)


def test_policies_for_keys_that_the_target_holds(bench):
    source, target = bench.server(), bench.server()
    source.command("SET", "both", "theirs")
    source.command("SET", "mine", "x")
    source.command("SAVE")
    url = f"rdb://{source.folder}/dump.rdb"
    target.command("SET", "both", "ours")
    ferry = sync_files(bench, url, target, code=3)
    assert "holds 1 keys already" in ferry.log
    assert sync_files(bench, url, target, code=6, options={"target.existing": "merge", "target.conflict": "stop"})
    assert target.command("GET", "both") == b"ours"
    sync_files(bench, url, target, options={"target.existing": "merge", "target.conflict": "skip"})
    assert (target.command("GET", "both"), target.command("GET", "mine")) == (b"ours", b"x")
    sync_files(bench, url, target, options={"target.existing": "merge"})
    assert_same(source, target)


def test_status_and_a_start_after_the_end(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=20000)
    source.command("SAVE")
    ferry = Ferry(bench, f"rdb://{source.folder}/dump.rdb", target, {"limit.records_per_second": 6000}).start()
    documents = []

    def begun(status):
        documents.append(status)
        return status["links"][0]["snapshot"]["bytes_done"] > 0
    ferry.wait_status(begun, what="the first bytes")
    status = documents[-1]
    link = status["links"][0]
    assert status["state"] == "snapshot" == link["state"]
    assert link["source"] == str(source.folder / "dump.rdb")
    assert link["snapshot"]["bytes_total"] == (source.folder / "dump.rdb").stat().st_size
    assert link["lag"]["seconds"] is None
    assert ferry.wait() == 0
    assert_same(source, target)
    target.command("SET", "later", "x")
    assert ferry.run() == 0
    assert "in this run 0 keys" in ferry.log and target.command("GET", "later") == b"x"


def test_resumes_after_kills_and_stops(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=20000, databases=(0, 3))
    source.command("SAVE")
    ferry = Ferry(bench, f"rdb://{source.folder}/dump.rdb", target, {"limit.records_per_second": 2000, "spool.max_size": "4MiB",
                                                                     "spool.segment_size": "1MiB"})

    def bytes_done(status):
        return status["links"][0]["snapshot"]["bytes_done"]

    reached = 0
    for kill in (True, False, True):
        ferry.start().wait_status(lambda status: bytes_done(status) > reached + 800_000, what=f"more than {reached} bytes")
        reached = bytes_done(ferry.status())
        if kill:
            ferry.kill()
        else:
            assert ferry.stop() == 0
            assert "position kept: byte" in ferry.log
    assert ferry.run("--set", "limit.records_per_second=unlimited") == 0
    assert int(ferry.log.rsplit("in this run ", 1)[1].split()[0]) < 30000    # of 40000
    assert_same(source, target)


def test_another_file_in_the_same_work_directory(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=500)
    source.command("SAVE")
    ferry = sync_files(bench, f"rdb://{source.folder}/dump.rdb", target)
    source.command("SET", "more", "x")
    source.command("SAVE")
    assert ferry.run() == 2
    assert "its bytes have changed" in ferry.log


def test_damage_is_found_before_anything_is_written(bench):
    target, folder = bench.server(), bench.folder
    good = (fixtures_folder() / "redis-7.0.15/dump.rdb").read_bytes()
    path = f"{folder}/damaged.rdb"

    def refused(content, text):
        with open(path, "wb") as file:
            file.write(content)
        ferry = sync_files(bench, f"rdb://{path}", target, code=4, listen=False)
        assert text in ferry.log and path in ferry.log, ferry.log
        assert not target.info("keyspace")

    at = len(good) // 2
    refused(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:], path)    # a value's structure, or the checksum
    refused(good[:-8] + b"\1" * 8, f"the checksum at byte {len(good) - 8}")
    refused(good[:at], f"it ends at byte {at}")
    refused(good[:-1], f"it ends at byte {len(good) - 1}")
    refused(b"", "neither REDIS nor VALKEY")
    refused(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n", "source.mode: aof")
    refused(good + b"*1\r\n$4\r\nPING\r\n", "source.mode: aof")
    ferry = sync_files(bench, f"rdb://{folder}/none.rdb", target, code=4)
    assert "No such file" in ferry.log


def test_target_that_cannot_be_reached(bench):
    path = fixtures_folder() / "redis-7.0.15/dump.rdb"
    sync_files(bench, f"rdb://{path}", f"redis://{unused_address()}", code=5)


# -- append-only files --------------------------------------------------------------------------------------------------

def write_some(server, part):
    """Commands of many kinds; each part makes keys of its own and changes those of the parts before."""
    client = server.client()
    for number in range(200):
        client.set(f"{part}:s{number}", number)
        client.incr("counter")
        client.rpush(f"list{number % 5}", f"{part}-{number}")
    client.set(f"{part}:volatile", "x", px=3_600_000)
    client.expire("list1", 7200)
    client.setex(f"{part}:short", 5000, "y")
    with client.pipeline(transaction=True) as transaction:
        transaction.incrby("counter", 1000).sadd(f"{part}:set", "a", "b").hset("hash", part, "v").delete(f"{part}:s7")
        transaction.execute()
    other = server.client(db=9)
    other.zadd("zset", {part: 1.5, "all": 2})
    other.xadd("stream", {"part": part})
    client.append("text", part)
    client.spop(f"{part}:set")
    client.eval("return redis.call('incr', KEYS[1])", 1, "counter")


def rewrite(server):
    server.command("BGREWRITEAOF")
    wait_for(lambda: server.info("persistence")["aof_rewrite_in_progress"] == 0
             and server.info("persistence")["aof_rewrite_scheduled"] == 0, what="the rewrite")
    assert server.info("persistence")["aof_last_bgrewrite_status"] == "ok"


def aof_path(server):
    """The server's append-only file, or its folder."""
    folder = server.folder / "appendonlydir"
    return folder if folder.exists() else server.folder / "appendonly.aof"


def aof_server(bench, version, preamble=True, **config):
    return bench.server(version, config={"appendonly": "yes", "appendfsync": "no", "aof-use-rdb-preamble": "yes" if preamble else "no",
                                         **config})


def close_aof(server, reader):
    """Stops the server, so that its files are whole, and starts `reader` on a copy of them: what the files say, by the
    server itself. Returns the copy's path."""
    server.shutdown()
    copy = reader.folder / aof_path(server).name
    reader.folder.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if aof_path(server).is_dir() else shutil.copy)(aof_path(server), copy)
    reader.start()
    return aof_path(server)


@pytest.mark.parametrize("preamble", [True, False], ids=["preamble", "plain"])
def test_files_of_every_version(bench, version, preamble):
    """Written, rewritten, and written to again; the target is of the same version."""
    config = {"appendonly": "yes", "appendfsync": "no", "aof-use-rdb-preamble": "yes" if preamble else "no"}
    if version.at_least(7, 0):
        config["aof-timestamp-enabled"] = "yes"
    source, target = bench.server(version, config=config), bench.server(version)
    write_some(source, "first")
    rewrite(source)
    write_some(source, "second")
    reader = bench.new_server(version, config=config)
    path = close_aof(source, reader)
    ferry = sync_files(bench, f"aof://{path}", target)
    report = assert_same(reader, target)
    assert report.source_keys > 390
    assert ("0 keys in a snapshot" in ferry.log) == (not preamble)


def test_several_increments_and_forms_of_the_path(bench):
    """A rewrite that has begun but not ended leaves two increments; folder, manifest and name in quotes are the same."""
    source = aof_server(bench, "redis-7.0")
    write_some(source, "first")
    rewrite(source)
    write_some(source, "second")
    reader = bench.new_server("redis-7.0", config={"appendonly": "yes"})
    folder = close_aof(source, reader)
    manifest = folder / "appendonly.aof.manifest"
    last = next(folder.glob("*.incr.aof"))
    whole = last.read_bytes()
    middle = whole.index(b"*3\r\n$3\r\nSET\r\n", len(whole) // 3)
    last.write_bytes(whole[:middle])
    seq = int(last.name.split(".")[-3])
    (folder / f"appendonly.aof.{seq + 1}.incr.aof").write_bytes(b"")
    # Without a SELECT of its own: a file begins with database 0.
    (folder / f"part {seq + 2}").write_bytes(whole[middle:])
    text = manifest.read_text()
    assert f"seq {seq} type i" in text
    manifest.write_text("# a comment\n" + text + f"file appendonly.aof.{seq + 1}.incr.aof seq {seq + 1} type i startoffset 0\n"
                        f"file gone.aof seq 1 type h\ntype i seq {seq + 2} file \"part\\x20{seq + 2}\"\n")
    for url in (f"aof://{folder}", f"aof://{manifest}"):
        target = bench.server()
        sync_files(bench, url, target)
        assert_same(reader, target)


def commands(*words):
    return b"".join(b"*%d\r\n" % len(one.split()) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in one.split())
                    for one in words)


def test_tails_that_were_cut_off(bench):
    """Back to the last whole command, or to the MULTI without its EXEC."""
    target = bench.server()
    whole = commands("SELECT 0", "SET a 1", "INCR n")
    transaction = commands("MULTI", "INCR n", "SET b 2", "EXEC")
    path = f"{bench.folder}/appendonly.aof"
    for length in [*range(len(transaction)), len(transaction)]:
        if length % 5 and length < len(transaction) - 3:    # a fifth of the places, and the last ones
            continue
        with open(path, "wb") as file:
            file.write(whole + transaction[:length])
        ferry = sync_files(bench, f"aof://{path}", target, options={"target.existing": "flush"}, listen=False)
        done = length == len(transaction)
        assert target.command("MGET", "a", "n", "b") == ([b"1", b"2", b"2"] if done else [b"1", b"1", None])
        cut = f"ends at byte {len(whole) + length} inside a " + ("transaction" if length >= 15 else "command")
        assert (cut in ferry.log) == (not done and length > 0), ferry.log


def test_damage_of_append_only_files(bench):
    target = bench.server()
    path = bench.folder / "appendonly.aof"
    begin = commands("SELECT 0", "SET a 1")

    def refused(content, text):
        path.write_bytes(content)
        ferry = sync_files(bench, f"aof://{path}", target, code=4, listen=False)
        assert text in ferry.log and target.command("DBSIZE") == 0, ferry.log

    refused(begin + b"\0" * 100, f"at byte {len(begin)} no command begins")
    refused(begin + b"SET b 2\r\n", f"at byte {len(begin)} no command begins")
    refused(begin + b"*1\r\n$-4\r\n" + begin, "command stream at position")
    refused(begin + commands("EXEC"), "EXEC without MULTI")
    preamble = (fixtures_folder() / "redis-7.0.15/dump-nocompress.rdb").read_bytes()
    refused(preamble[:-20], "cut off")
    folder = bench.folder / "appendonlydir"
    folder.mkdir()
    ferry = sync_files(bench, f"aof://{folder}", target, code=4)
    assert "no manifest" in ferry.log
    (folder / "a.manifest").write_text("file one seq 1 type i\nfile two seq 2 type i\n")
    (folder / "one").write_bytes(begin[:-3])
    ferry = sync_files(bench, f"aof://{folder}", target, code=4)
    assert "two cannot be read" in ferry.log
    (folder / "two").write_bytes(begin)
    ferry = sync_files(bench, f"aof://{folder}", target, code=4)
    assert "Only the last file may be cut off" in ferry.log
    (folder / "a.manifest").write_text("file ../one seq 1 type i\n")
    ferry = sync_files(bench, f"aof://{folder}", target, code=4)
    assert "line 1" in ferry.log and "slash" in ferry.log


PASSED = commands("SELECT 0", "SET gone 1", "PEXPIREAT gone 1700000000000", "SET kept 1")


def test_times_that_have_passed(bench):
    """A server keeps such a key while it loads, so that a later command can save it; so does keyferry, up to the file's end."""
    target = bench.server()
    future = 4_000_000_000_000
    path = bench.folder / "appendonly.aof"
    path.write_bytes(PASSED + commands(
        "SET counter 5", "PEXPIREAT counter 1700000000000", "INCR counter", f"PEXPIREAT counter {future}",
        "RPUSH list a", "PEXPIREAT list 1700000000000", "RPUSH list b", "PERSIST list",
        f"SET later 1 PXAT {future}", "SET again 1 PXAT 1700000000000", "APPEND again 2"))
    ferry = sync_files(bench, f"aof://{path}", target)
    assert "keys whose time has passed are gone" in ferry.log and "times of expiry in it have passed" not in ferry.log
    assert sorted(target.command("KEYS", "*")) == [b"counter", b"kept", b"later", b"list"]
    assert target.command("GET", "counter") == b"6"
    assert target.command("LRANGE", "list", 0, -1) == [b"a", b"b"]
    assert [target.command("PEXPIRETIME", key) for key in ("counter", "later", "list")] == [future, future, -1]
    # Cut off between the last command and the times, the next start goes on with these.
    ferry.start()
    assert ferry.wait() == 0
    assert target.command("PEXPIRETIME", "counter") == future


def test_times_that_have_passed_are_told(bench):
    """Without the guard the target removes such a key at once."""
    target = bench.server()
    path = bench.folder / "appendonly.aof"
    path.write_bytes(PASSED)
    ferry = sync_files(bench, f"aof://{path}", target, options={"target.expiry_guard": "off"})
    assert "1 times of expiry in it have passed" in ferry.log
    assert target.command("KEYS", "*") == [b"kept"]


def test_an_empty_append_only_file(bench):
    path = bench.folder / "appendonly.aof"
    path.write_bytes(b"")
    ferry = sync_files(bench, f"aof://{path}", bench.server())
    assert ferry.run() == 0


def test_aof_into_a_cluster_resumed(bench):
    """Killed in the snapshot and in the commands behind it. Counters show what is applied twice: after a clean stop nothing."""
    source, target = aof_server(bench, "redis-7.0"), bench.cluster(masters=3, replicas_per_master=0)
    fill(source, keys=10000, features=features_of(source, target))
    rewrite(source)
    client = source.client()
    with client.pipeline(transaction=False) as pipeline:
        for number in range(20000):
            pipeline.incr(f"n{number % 100}")
        pipeline.execute()
    reader = bench.new_server("redis-7.0", config={"appendonly": "yes"})
    path = close_aof(source, reader)
    ferry = Ferry(bench, f"aof://{path}", target, {"limit.records_per_second": 5000})
    ferry.start().wait_status(lambda status: status["links"][0]["snapshot"]["keys_done"] > 3000, what="keys")
    ferry.kill()
    ferry.start().wait_status(lambda status: status["links"][0]["counters"]["commands_applied"] > 3000, what="commands")
    assert ferry.stop() == 0
    assert ferry.run("--set", "limit.records_per_second=unlimited") == 0
    assert_same(reader, target)
    assert "position kept: byte" in ferry.log


def test_a_pipe_is_no_file(bench):
    os.mkfifo(bench.folder / "pipe")
    ferry = Ferry(bench, f"rdb://{bench.folder}/pipe", bench.server())
    assert ferry.run() == 4
    assert "is not a file" in ferry.log


# -- options ------------------------------------------------------------------------------------------------------------

def test_by_document(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=100)
    source.command("SAVE")
    ferry = Ferry(bench, None, None, document={"name": "from-backup", "source": {"mode": "rdb", "path": str(source.folder / "dump.rdb")},
                                               "target": {"address": [target.address]}})
    assert ferry.run() == 0
    assert_same(source, target)


@pytest.mark.parametrize("options, text", [
    ({"source.mode": "rdb"}, "source.path is missing"),
    ({"source.path": "/x"}, "source.path is for files"),
    ({"source.mode": "aof", "source.path": "/x", "source.address": "h:1"}, "source.address is for servers"),
    ({"source.mode": "aof", "source.path": "/x", "snapshot": "false"}, "snapshot is false"),
])
def test_options_that_do_not_go_together(bench, options, text):
    path = bench.folder / "task.json"
    path.write_text('{"target": {"address": ["127.0.0.1:1"]}}' if options.get("source.mode") else
                    '{"source": {"address": ["127.0.0.1:2"]}, "target": {"address": ["127.0.0.1:1"]}}')
    ferry = Ferry(bench, None, None, options, arguments=[path])
    assert ferry.run() == 2 and text in ferry.log, ferry.log
