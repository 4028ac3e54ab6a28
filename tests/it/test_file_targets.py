"""RDB files, append-only files and lines of JSON as target: loaded into real servers and compared exactly; kills in the middle; full disks."""

import json
import os
import pathlib
import resource
import shutil
import subprocess

import pytest

from bench import disk
from bench import ferry as program
from bench.compare import assert_same, compare, compare_functions_with_expected, compare_with_expected
from bench.data import fill
from bench.ferry import Ferry
from bench.load import Load
from bench.recordings import fixtures_folder
from bench.waiting import wait_for
from test_memory import append, assert_same_values, assert_small, fill_hash

MIB = 1 << 20


def loaded(server):
    server.start()
    wait_for(lambda: not server.info("persistence")["loading"], what="all of the file in the server")
    return server


def load_rdb(bench, path, version=None):
    """A server that has loaded a copy of the file."""
    server = bench.new_server(version, name="loader", config={"dbfilename": "dump.rdb", "save": "", "databases": 64})
    server.folder.mkdir(parents=True)
    shutil.copy(path, server.folder / "dump.rdb")
    return loaded(server)


def load_aof(bench, path, version=None, **config):
    """A server that has loaded a copy of it: it writes into what it is started on."""
    server = bench.new_server(version, name="loader", config={"appendonly": "yes", "save": "", "databases": 64, "aof-load-truncated": "no"} | config)
    server.folder.mkdir(parents=True)
    copy = server.folder / ("appendonlydir" if path.is_dir() else "appendonly.aof")
    subprocess.run(["cp", "-r", path, copy], check=True)
    return loaded(server)


def check_rdb(version, path):
    done = subprocess.run([version.program("check-rdb"), path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def jsonl_of(path):
    return subprocess.run([program.binary(), "rdb", path, "--format", "jsonl"], capture_output=True, check=True).stdout.splitlines()


def write_rdb(bench, source, path, code=0, **options):
    ferry = Ferry(bench, source, f"rdb://{path}", **options)
    assert ferry.run() == code, ferry.log
    return ferry


# -- RDB ------------------------------------------------------------------------------------------------------------------

def test_rdb_of_every_version(bench, version):
    """The file is of the source's own version, which loads it and finds the same in it."""
    source = bench.server(version, config={"databases": 64})
    fill(source, keys=400, databases=(0, 3, 40), functions=True)
    path = bench.folder / "out.rdb"
    ferry = write_rdb(bench, source, path, listen=False)
    assert "finished" in ferry.log and not path.with_name("out.rdb.partial").exists()
    check_rdb(source.version, path)
    assert_same(source, load_rdb(bench, path, version))
    assert path.read_bytes()[:5] in (b"REDIS", b"VALKE")


def test_no_trace_in_the_source_of_a_snapshot_alone(bench):
    source = bench.server()
    source.command("SET", "a", "1")
    write_rdb(bench, source, bench.folder / "out.rdb", listen=False)
    assert source.command("DBSIZE") == 1


def test_every_recorded_dump_through_the_converter(bench):
    """RDB file to RDB file: the same data for `keyferry rdb`, byte for byte; what modules keep beside their keys too."""
    done = 0
    for dump in sorted(fixtures_folder().glob("*/dump*.rdb")):
        path = bench.folder / f"out-{done}.rdb"
        write_rdb(bench, f"rdb://{dump}", path, listen=False)
        assert jsonl_of(path) == jsonl_of(dump), dump
        done += 1
    assert done > 60


def test_converter_with_selection(bench):
    dump = fixtures_folder() / "redis-7.0.15/dump.rdb"
    path = bench.folder / "hashes.rdb"
    write_rdb(bench, f"rdb://{dump}", path, options={"filter.allow": "[{type: hash}]", "rename": '[{match: "^(.*)$", to: "copy:$1"}]',
                                                    "target.database_map": "{0: 5}"})
    wanted = [json.loads(line) for line in jsonl_of(dump)]
    found = [json.loads(line) for line in jsonl_of(path)]
    assert len(found) == sum(record["type"] == "hash" for record in wanted) > 10
    assert {record["type"] for record in found} == {"hash"}
    assert {record["db"] for record in found} == {record["db"] or 5 for record in wanted if record["type"] == "hash"}
    text = [record["key"] for record in found if isinstance(record["key"], str)]
    assert text and all(key.startswith("copy:") for key in text)
    server = load_rdb(bench, path, "redis-7.0")
    assert compare_with_expected(server, found).equal
    assert not compare_functions_with_expected(server, dump.with_name("functions.json"))


def test_two_keys_of_one_name_are_refused(bench):
    """No server would load such a file; it is found out, however many keys there are between them."""
    source = bench.server()
    fill(source, keys=500, databases=(0, 1))
    path = bench.folder / "out.rdb"
    ferry = write_rdb(bench, source, path, code=6, options={"target.database_map": '{"*": 0}'})
    assert "more than once" in ferry.log and not path.exists()


def test_cluster_into_one_file_each(bench):
    source = bench.cluster(masters=3, replicas_per_master=0)
    fill(source, keys=2000)
    path = bench.folder / "out.rdb"
    ferry = write_rdb(bench, source, path, code=3)
    assert "3 masters" in ferry.log and "{shard}" in ferry.log and not list(bench.folder.glob("out*"))
    write_rdb(bench, source, bench.folder / "files" / "out-%7Bshard%7D.rdb")
    files = sorted((bench.folder / "files").iterdir())
    assert [file.name for file in files] == ["out-0.rdb", "out-1.rdb", "out-2.rdb"]
    assert_same(source, [load_rdb(bench, file) for file in files])


def test_rdb_after_kills_in_the_snapshot(bench):
    """Each run goes on where the state says; the file is what one run would have made, checksum included."""
    source = bench.server()
    fill(source, keys=30000, databases=(0, 2))
    path = bench.folder / "out.rdb"
    ferry = Ferry(bench, source, f"rdb://{path}", {"limit.records_per_second": 3000, "spool.segment_size": "1MiB", "spool.max_size": "4MiB"})
    reached = 0
    for _ in range(3):
        ferry.start().wait_status(lambda status: status["links"][0]["snapshot"]["bytes_done"] > reached + 1_200_000, what=f"more than {reached} bytes")
        reached = ferry.status()["links"][0]["snapshot"]["bytes_done"]
        ferry.kill()
        assert not path.exists() and path.with_name("out.rdb.partial").exists()
    assert ferry.run("--set", "limit.records_per_second=unlimited") == 0
    check_rdb(source.version, path)
    assert_same(source, load_rdb(bench, path))


def test_a_start_after_the_end(bench):
    source = bench.server()
    source.command("SET", "a", "1")
    path = bench.folder / "out.rdb"
    ferry = write_rdb(bench, source, path)
    before = path.read_bytes()
    source.command("SET", "b", "1")
    assert ferry.run() == 0 and path.read_bytes() == before
    path.unlink()
    assert ferry.run() == 0 and not path.exists()   # it has been written; where it went since is nobody's business
    assert source.info("stats")["sync_full"] == 1


@pytest.mark.parametrize("renamed", [False, True])
def test_killed_while_the_file_takes_its_place(bench, renamed):
    """Between the state that says "whole" and the state that says "done", before the rename or behind it."""
    source = bench.server()
    fill(source, keys=200)
    path = bench.folder / "out.rdb"
    ferry = write_rdb(bench, source, path)
    before = path.read_bytes()
    state_path = ferry.data / "links/0/state.json"
    state = json.loads(state_path.read_text())
    assert state["file"]["phase"] == "done" and state["file"]["length"] == len(before)
    state["file"]["phase"] = "whole"
    state_path.write_text(json.dumps(state))
    if not renamed:
        path.rename(path.with_name("out.rdb.partial"))
    assert ferry.run() == 0, ferry.log
    assert path.read_bytes() == before and not path.with_name("out.rdb.partial").exists()
    assert source.info("stats")["sync_full"] == 1


def test_a_partial_file_that_is_gone(bench):
    source = bench.server()
    fill(source, keys=8000)
    path = bench.folder / "out.rdb"
    ferry = Ferry(bench, source, f"rdb://{path}", {"limit.records_per_second": 1500}).start()
    ferry.wait_status(lambda status: status["links"][0]["snapshot"]["keys_done"] > 1000 and (ferry.data / "links/0/state.json").exists(), what="keys")
    ferry.kill()
    partial = path.with_name("out.rdb.partial")
    partial.write_bytes(partial.read_bytes()[:100])
    assert ferry.run() == 5
    assert "has 100 bytes, and the task had written" in ferry.log


def test_large_values_take_no_memory(bench):
    source = bench.server()
    append(source, "string", 120)
    fill_hash(source, "hash", 100_000)
    path = bench.folder / "aof"
    ferry = Ferry(bench, source, f"aof://{path}").start().wait_streaming()
    source.command("SET", "stream", os.urandom(MIB) * 80)
    ferry.wait_in_step(source)
    assert_small(ferry)
    assert ferry.stop() == 0
    assert_same_values(source, load_aof(bench, path), "string", "hash", "stream")


def test_existing(bench):
    source = bench.server()
    source.command("SET", "a", "1")
    path = bench.folder / "out.rdb"
    path.write_bytes(b"mine")
    ferry = write_rdb(bench, source, path, code=3)
    assert f"{path} exists already" in ferry.log and path.read_bytes() == b"mine"
    ferry = write_rdb(bench, source, path, code=2, options={"target.existing": "merge"})
    assert "target.existing" in ferry.log
    write_rdb(bench, source, path, options={"target.existing": "flush"})
    assert len(jsonl_of(path)) == 1
    ferry = write_rdb(bench, source, bench.folder, code=5, options={"target.existing": "flush"})
    assert "is a folder" in ferry.log
    ferry = write_rdb(bench, source, bench.folder / "no" / "such" / "folder.rdb", code=5)
    assert "cannot make the folder" in ferry.log


@pytest.mark.parametrize("arguments", [
    {"target.mode": "rdb"}, {"target.mode": "aof", "target.path": "/tmp/x", "target.address": "127.0.0.1:1"},
    {"target.mode": "rdb", "target.path": "/tmp/x", "snapshot": "false"}, {"target.path": "/tmp/x", "target.address": "127.0.0.1:1"},
    {"target.mode": "jsonl", "target.path": "/tmp/x", "snapshot": "false", "target.follow": "false"},
    {"source.mode": "aof", "target.mode": "rdb", "target.path": "/tmp/x"}, {"source.mode": "rdb", "target.mode": "rdb", "target.path": "/src"},
])
def test_what_cannot_be_meant(bench, arguments):
    options = {"source.path": "/src"} if arguments.get("source.mode") else {"source.address": "127.0.0.1:1"}
    ferry = Ferry(bench, None, None, document=_document(options | arguments), listen=False)
    assert ferry.run() == 2, ferry.log


def _document(options):
    document = {}
    for name, value in options.items():
        *groups, leaf = name.split(".")
        place = document
        for group in groups:
            place = place.setdefault(group, {})
        place[leaf] = value == "true" if value in ("true", "false") else value
    return document


# -- append-only files ----------------------------------------------------------------------------------------------------

def test_aof_of_every_version(bench, version):
    """Snapshot and stream of each server, as the files that it reads itself."""
    source = bench.server(version, config={"databases": 64})
    fill(source, keys=300, databases=(0, 40), functions=True)
    single = not source.version.at_least(7, 0)
    path = bench.folder / ("out.aof" if single else "appendonlydir")
    options = {"target.aof_format": "single"} if single else {}
    ferry = Ferry(bench, source, f"aof://{path}", options).start().wait_streaming()
    with Load(source, rate=2000, databases=(0, 40)) as load:
        wait_for(lambda: load.acknowledged > 3000, what="3000 units")
        load.stop()
    fill(source, keys=100, seed=2, databases=(0, 40), prefix=b"later:")
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    assert_same(source, load_aof(bench, path, version), as_replica=True, expiry_tolerance_ms=0 if source.version.at_least(7, 0) else 2000)


def test_aof_of_a_cluster_after_kills_under_load(bench):
    """Counters and lists tell exactly what came twice or not at all. Each kill -9 is at another place; one in the snapshot, others in the stream."""
    source = bench.cluster(masters=3, replicas_per_master=0)
    fill(source, keys=6000)
    ferry = Ferry(bench, source, "aof://" + str(bench.folder / "parts-%7Bshard%7D"), {"limit.records_per_second": 6000})
    with Load(source, rate=3000) as load:
        ferry.start().wait_status(lambda status: all(link["snapshot"]["keys_done"] > 300 for link in status["links"]), what="a part of the snapshots")
        ferry.kill()
        for number in range(1, 5):
            ferry.start().wait_status(lambda status: all(link["counters"]["commands_applied"] > 700 * number for link in status["links"]),
                                      what="commands")
            ferry.kill()
        ferry.start().wait_streaming()
        load.stop()
    ferry.wait_in_step(*source.masters())
    ferry.kill()    # no clean stop at all, but all is in the files: written, if not all of it known to the state
    assert ferry.run("--stop-when", "caught-up") == 0
    assert load.counters["acknowledged"] > 2000
    assert_same(source, [load_aof(bench, path) for path in sorted(bench.folder.glob("parts-*"))], as_replica=True)


def test_transactions_and_databases(bench):
    source = bench.server()
    path = bench.folder / "aof"
    ferry = Ferry(bench, source, f"aof://{path}", {"source.databases": "0,3", "target.database_map": "{3: 7}"}).start().wait_streaming()
    with source.client() as client:
        pipe = client.pipeline(transaction=True)
        pipe.execute_command("SET", "a", "1").execute_command("SELECT", "3").execute_command("SET", "b", "2")
        pipe.execute_command("SELECT", "9").execute_command("SET", "not", "here").execute_command("SELECT", "0").execute_command("INCR", "a")
        pipe.execute()
        client.execute_command("SELECT", "9")
        client.pipeline(transaction=True).execute_command("SET", "neither", "x").execute()
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    written = next(path.glob("*.incr.aof")).read_bytes().split(b"\r\n")
    words = [word.decode() for word in written if word and word[:1] not in (b"*", b"$")]
    assert words == ["SELECT", "0", "MULTI", "SET", "a", "1", "SELECT", "7", "SET", "b", "2", "SELECT", "0", "INCR", "a", "EXEC"]
    loaded = load_aof(bench, path)
    assert loaded.command("GET", "a") == b"2" and loaded.info("keyspace").keys() == {"db0", "db7"}


def test_flushes_of_a_source_that_is_copied_in_part(bench):
    """All that is in the file is the link's own, so the command clears what it has to."""
    source = bench.server()
    fill(source, keys=200, databases=(0, 3))
    path = bench.folder / "aof"
    ferry = Ferry(bench, source, f"aof://{path}", {"filter.allow": '[{prefix: "d:"}]'}).start().wait_streaming()
    source.command("DEL", "")    # not selected
    with source.client(db=3) as client:
        client.flushdb()
        client.set("d:new", "1")
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    assert_same(source, load_aof(bench, path), as_replica=True)


def test_stopped_inside_a_transaction(bench):
    """The file ends with a whole transaction, also where the source's next one has come half."""
    source = bench.server()
    path = bench.folder / "aof"
    ferry = Ferry(bench, source, f"aof://{path}", {"limit.records_per_second": 600}).start().wait_streaming()
    with source.client() as client:
        pipe = client.pipeline(transaction=True)
        for number in range(6000):
            pipe.execute_command("RPUSH", "list", str(number))
        pipe.execute()
    increment = next(path.glob("*.incr.aof"))
    wait_for(lambda: b"RPUSH" in increment.read_bytes(), what="a part of the transaction in the file")
    assert ferry.stop() == 0
    assert b"RPUSH" not in increment.read_bytes()
    assert load_aof(bench, path).command("LLEN", "list") == 0
    assert ferry.run("--stop-when", "caught-up", "--set", "limit.records_per_second=unlimited") == 0, ferry.log
    assert_same(source, load_aof(bench, path))


def test_full_resync_replaces_the_parts(bench):
    """The folder has the old snapshot and its commands until the new one is whole."""
    source = bench.server(config={"repl-backlog-size": "16kb", "repl-backlog-ttl": 1})
    fill(source, keys=500)
    path = bench.folder / "aof"
    ferry = Ferry(bench, source, f"aof://{path}").start().wait_streaming()
    source.command("SET", "mine", "1")
    ferry.wait_in_step(source)
    ferry.kill()
    source.command("FLUSHALL")
    fill(source, keys=700, seed=3)
    source.stop(save=True)
    source.start()
    ferry.start().wait_log("full resync").wait_streaming()
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    assert sorted(file.name for file in path.iterdir()) == ["appendonly.aof.2.base.rdb", "appendonly.aof.2.incr.aof", "appendonly.aof.manifest"]
    assert_same(source, load_aof(bench, path))


def test_a_folder_that_a_server_was_started_on(bench):
    source = bench.server()
    source.command("SET", "a", "1")
    path = bench.folder / "aof"
    ferry = Ferry(bench, source, f"aof://{path}").run_until_caught_up()
    server = bench.new_server(config={"dir": str(path.parent), "appenddirname": path.name, "appendonly": "yes"}).start()
    server.command("BGREWRITEAOF")
    wait_for(lambda: (path / "appendonly.aof.2.base.rdb").exists() and not (path / "appendonly.aof.1.base.rdb").exists(), what="the server's own base")
    server.stop()
    assert ferry.run() != 0 and "is not as the task had written it" in ferry.log


def test_stream_without_snapshot(bench):
    source = bench.server()
    source.command("SET", "before", "1")
    path = bench.folder / "aof"
    ferry = Ferry(bench, source, f"aof://{path}", {"snapshot": "false"}).start().wait_streaming()
    source.command("SET", "after", "1")
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    loaded = load_aof(bench, path)
    assert (loaded.command("EXISTS", "before"), loaded.command("GET", "after")) == (0, b"1")


def test_append_only_files_to_append_only_files(bench):
    """Of each form to each form, with a selection on the way."""
    source = bench.server(config={"appendonly": "yes"})
    fill(source, keys=300)
    fill(source, keys=300, prefix=b"tmp:", seed=2)
    for name, form in (("parts", "multi-part"), ("one.aof", "single")):
        path = bench.folder / name
        ferry = Ferry(bench, f"aof://{source.folder}/appendonlydir", f"aof://{path}",
                      {"filter.block": '[{prefix: "tmp:"}]', "target.aof_format": form})
        assert ferry.run() == 0, ferry.log
        # What a group has read is not in a server's own file either.
        assert_same(source, load_aof(bench, path), ignore=["tmp:*"], as_replica=True)


# -- lines of JSON --------------------------------------------------------------------------------------------------------

def test_jsonl_is_what_the_rdb_command_prints(bench):
    for dump in (fixtures_folder() / "redis-7.0.15/dump.rdb", fixtures_folder() / "valkey-9.1.0/dump.rdb", fixtures_folder() / "redis-2.8.24/dump.rdb"):
        if not dump.exists():
            continue
        path = bench.folder / f"{dump.parent.name}.jsonl"
        ferry = Ferry(bench, f"rdb://{dump}", f"jsonl://{path}", listen=False)
        assert ferry.run() == 0, ferry.log
        assert sorted(path.read_bytes().splitlines()) == sorted(jsonl_of(dump))


def test_jsonl_follows_and_goes_on_after_kills(bench):
    """Every command once, in order; offsets are those of the stream."""
    source = bench.server()
    fill(source, keys=3000)
    path = bench.folder / "out.jsonl"
    ferry = Ferry(bench, source, f"jsonl://{path}", {"limit.records_per_second": 4000})
    for number in range(4):
        ferry.start()
        if number == 0:
            ferry.wait_status(lambda status: status["links"][0]["snapshot"]["keys_done"] > 500, what="keys")
        else:
            ferry.wait_streaming()
            for _ in range(1000):
                source.command("INCR", "counter")
            ferry.wait_status(lambda status: status["links"][0]["counters"]["commands_applied"] > 200, what="commands")
        ferry.kill()
    assert ferry.run("--stop-when", "caught-up") == 0
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    keys = [record for record in records if "key" in record]
    increments = [record for record in records if record.get("command") == ["INCR", "counter"]]
    assert len(increments) == 3000
    offsets = [record["offset"] for record in increments]
    assert offsets == sorted(set(offsets))
    source.command("DEL", "counter", "DTS_REDIS_TIMESTAMP_HEARTBEAT")
    assert compare_with_expected(source, keys).equal


def test_jsonl_of_the_snapshot_alone(bench):
    source = bench.server()
    fill(source, keys=500)
    path = bench.folder / "out.jsonl"
    assert Ferry(bench, source, f"jsonl://{path}", {"target.follow": "false"}).run() == 0
    assert compare_with_expected(source, [json.loads(line) for line in path.read_bytes().splitlines()]).equal


# -- trouble --------------------------------------------------------------------------------------------------------------

@pytest.fixture
def small_disk(bench):
    """A file system of 8 MiB; skipped where none may be mounted."""
    return disk.small_disk(bench, bench.folder / "disk", 8)


def wait_full(ferry):
    return ferry.wait_status(lambda status: "No space left" in (status["links"][0]["waiting_for"] or ""), what="a full disk")


@pytest.mark.parametrize("mode", ["rdb", "aof"])
def test_full_disk_in_the_snapshot(bench, small_disk, mode):
    """It is waited out: nothing under the final name, and nothing lost or twice once there is room."""
    source = bench.server()
    for number in range(12):
        source.command("SET", f"noise:{number}", os.urandom(MIB))
    fill(source, keys=300)
    path = small_disk.folder / "out"
    ferry = wait_full(Ferry(bench, source, f"{mode}://{path}", {"spool.segment_size": "1MiB"}).start())
    assert not (path / "appendonly.aof.manifest" if mode == "aof" else path).exists()
    small_disk.resize(64)
    if mode == "aof":
        ferry.wait_streaming()
        assert ferry.stop() == 0
        assert_same(source, load_aof(bench, path))
    else:
        assert ferry.wait() == 0
        assert_same(source, load_rdb(bench, path))


@pytest.mark.parametrize("mode", ["aof", "jsonl"])
@pytest.mark.parametrize("kill", [False, True])
def test_full_disk_in_the_stream(bench, small_disk, mode, kill):
    source = bench.server()
    source.command("SET", "a", "1")
    path = small_disk.folder / "out"
    ferry = Ferry(bench, source, f"{mode}://{path}").start().wait_streaming()
    (small_disk.folder / "other").write_bytes(bytes(8 * MIB - 200_000))
    with source.client() as client:
        pipe = client.pipeline(transaction=False)
        for number in range(3000):
            pipe.execute_command("RPUSH", "list", f"{number}".zfill(100))
        pipe.execute()
    wait_full(ferry)
    if kill:
        ferry.kill()
        ferry.start()
        wait_full(ferry)
    (small_disk.folder / "other").unlink()
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    if mode == "aof":
        assert_same(source, load_aof(bench, path))
        return
    pushed = [record["command"][2] for record in map(json.loads, path.read_bytes().splitlines()) if "command" in record]
    assert pushed == [f"{number}".zfill(100) for number in range(3000)]


def test_a_file_may_not_be_so_large(bench):
    """A limit of the system that waiting does not mend: the link stops, and goes on when it is gone."""
    source = bench.server()
    for number in range(8):
        source.command("SET", f"noise:{number}", os.urandom(MIB))
    path = bench.folder / "out.rdb"
    ferry = Ferry(bench, source, f"rdb://{path}", {"spool.segment_size": "1MiB"})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, before[1]))
    try:
        ferry.start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert ferry.wait() == 5, ferry.log
    assert "ulimit -f" in ferry.log and not path.exists()
    assert ferry.run() == 0
    assert_same(source, load_rdb(bench, path))


def test_two_tasks_on_one_file(bench):
    source = bench.server()
    path = bench.folder / "out.jsonl"
    first = Ferry(bench, source, f"jsonl://{path}").start().wait_streaming()
    second = Ferry(bench, source, f"jsonl://{path}", arguments=["--name", "second"])
    assert second.run() == 3
    assert first.stop() == 0


def test_status(bench):
    source = bench.server()
    fill(source, keys=200)
    path = pathlib.Path(bench.folder) / "aof"
    ferry = Ferry(bench, source, f"aof://{path}").start().wait_streaming()
    link = ferry.status()["links"][0]
    assert link["target_file"]["path"] == str(path) and link["target_file"]["bytes"] == 0
    source.command("SET", "a", "1")
    ferry.wait_in_step(source)
    wait_for(lambda: ferry.status()["links"][0]["target_file"]["bytes"] == next(path.glob("*.incr.aof")).stat().st_size > 0, what="the bytes")
    assert ferry.stop() == 0
    assert compare(source, load_aof(bench, path)).equal
