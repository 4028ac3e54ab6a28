"""Options of a task, each by what it does: the form of the snapshot, databases, limits, heartbeat, documents, pages, log."""

import collections
import datetime
import json
import re
import time

import pytest

from bench.compare import assert_same, is_heartbeat
from bench.data import fill
from bench.deployment import Deployment
from bench.ferry import Ferry
from bench.load import Load
from bench.metrics import read_metrics
from bench.scenario import finish_in_step, sync_under_load

SMALL = {"keys": 2000, "rate": 800, "units": 800}
HEARTBEAT = "DTS_REDIS_TIMESTAMP_HEARTBEAT"


def link_of(status):
    (link,) = status["links"]
    return link


# -- the source's ways --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["redis-6.0", "redis-8.0-sid", "valkey-9.1"])
@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_disk_based_and_diskless_source(bench, name, diskless):
    source = bench.server(name, config={"repl-diskless-sync": diskless})
    ferry = sync_under_load(bench, source, bench.server(name), **SMALL)
    assert ("sent straight from memory" in ferry.log) == (diskless == "yes")
    assert (re.search(r"the snapshot begins: \d+ bytes", ferry.log) is not None) == (diskless == "no")


# -- selection ----------------------------------------------------------------------------------------------------------

def keys_by_database(server):
    return {int(name[2:]): facts["keys"] for name, facts in server.info("keyspace").items()}


def test_databases(bench):
    """Those chosen, from the snapshot and the stream; what is left out is counted."""
    source, target = bench.server(), bench.server()
    fill(source, keys=500, databases=(0, 2, 7))
    ferry = Ferry(bench, source, target, {"source.databases": "2,7", "checkpoint": "local"})
    with Load(source, rate=800, databases=(0, 2, 7)) as load:
        ferry.start().wait_streaming()
        ferry.wait_status(lambda status: load.acknowledged > 2000, what="the writer")
    ferry.wait_in_step(source)
    assert sorted(keys_by_database(target)) == [2, 7]
    assert_same(source, target, databases=[2, 7], as_replica=True)
    assert link_of(ferry.status())["counters"]["left_out"] > 500
    assert ferry.stop() == 0


def test_one_database_by_url(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=100, databases=(0, 2))
    Ferry(bench, source.url_for(database=2), target, {"checkpoint": "local"}).run_until_caught_up()
    assert sorted(keys_by_database(target)) == [2]
    assert_same(source, target, databases=[2])


def test_database_that_the_target_does_not_have(bench):
    """It stops before anything lands in another database."""
    source, target = bench.server(), bench.server(config={"databases": 4})
    ferry = Ferry(bench, source, target, {"checkpoint": "local"}).start().wait_streaming()
    source.client(db=9).set("key", "x")
    assert ferry.wait() == 6
    assert "has no database 9" in ferry.log and "source.databases" in ferry.log
    assert keys_by_database(target) == {}
    # Known before the start it is refused at once.
    again = Ferry(bench, source, target)
    assert again.run() == 3
    assert "the target has only 4 databases" in again.log


def test_without_a_snapshot(bench):
    """Only what is written from then on arrives."""
    source, target = bench.server(), bench.server()
    fill(source, keys=500)
    source.command("SET", "number", 41)
    ferry = Ferry(bench, source, target, {"snapshot": "false", "checkpoint": "local"}).start().wait_streaming()
    assert target.command("DBSIZE") == 0
    source.command("SET", "later", "x")
    source.command("INCR", "number")
    ferry.wait_in_step(source)
    assert sorted(target.command("KEYS", "*")) == [b"later", b"number"]
    assert target.command("GET", "number") == b"1"
    assert ferry.stop() == 0
    # Stopped, it keeps its position all the same.
    source.command("SET", "meanwhile", "x")
    ferry.start().wait_in_step(source)
    assert target.command("DBSIZE") == 3
    assert ferry.log.count("full resync") <= 1


# -- limits -------------------------------------------------------------------------------------------------------------

def measured(ferry, counter, least):
    """Units a second of a counter of the status, over at least so many of them: (not less than, not more than), for a status is made at some time between the question and
    its answer."""
    def sample():
        asked = time.monotonic()
        count = counter(link_of(ferry.status()))
        return asked, count, time.monotonic()
    ferry.wait_status(lambda status: counter(link_of(status)) > 0, what="the counter to begin")
    first = last = sample()
    while last[1] - first[1] < least:
        goal = last[1] + least / 10
        ferry.wait_status(lambda status: counter(link_of(status)) >= goal, what=f"{goal} units")
        last = sample()
    units = last[1] - first[1]
    return units / (last[2] - first[0]), units / max(last[0] - first[2], 0.001)


def assert_rate(ferry, counter, rate, least):
    """Never faster than that; nor slower, where the machine has not had other things to do for a while."""
    for attempt in range(2):
        low, high = measured(ferry, counter, least)
        assert low <= 1.2 * rate, f"at least {low} a second"
        if high >= 0.8 * rate:
            return
    raise AssertionError(f"at most {high} a second, in two attempts")


def records(link):
    return link["snapshot"]["keys_done"] + link["counters"]["commands_applied"]


def plain_keys(server, count, size=10, prefix="plain"):
    with server.client().pipeline(transaction=False) as pipeline:
        for at in range(count):
            pipeline.set(f"{prefix}:{at}", size * "x")
        pipeline.execute()


@pytest.mark.parametrize("option", ["limit.records_per_second", "limit.spec"])
def test_records_per_second(bench, option):
    """In the snapshot and in the stream."""
    source, target = bench.server(), bench.server()
    plain_keys(source, 6000)
    ferry = Ferry(bench, source, target, {option: "1000"}).start()
    assert_rate(ferry, records, 1000, 2500)
    ferry.wait_streaming()
    plain_keys(source, 6000, prefix="stream")
    assert_rate(ferry, records, 1000, 2500)
    assert ferry.stop() == 0


def test_named_limit(bench):
    source = bench.server()
    plain_keys(source, 2000)
    ferry = Ferry(bench, source, bench.server(), {"limit.spec": "micro"}).start()
    assert_rate(ferry, records, 200, 600)
    assert ferry.stop() == 0


def test_bytes_per_second(bench):
    source = bench.server()
    plain_keys(source, 2000, 5000)
    source.command("CONFIG", "SET", "rdbcompression", "no")
    ferry = Ferry(bench, source, bench.server(), {"limit.bytes_per_second": "1MiB"}).start()
    assert_rate(ferry, lambda link: link["snapshot"]["bytes_done"], 2**20, 3 * 2**20)
    assert ferry.stop() == 0


# -- heartbeat ----------------------------------------------------------------------------------------------------------

def heartbeats(deployment):
    """[(key, server)] on all masters, ordered by key."""
    with Deployment.of(deployment) as opened:
        return sorted((key, node.connection.call("PTTL", key), node.address) for node in opened.nodes
                      for batch in node.scan(0) for key in batch if is_heartbeat(key))


def test_heartbeat_of_a_standalone_source(bench):
    """There with a time to live and the time as its value, not in the target, and the source of the lag."""
    source, target = bench.server(), bench.server()
    ferry = Ferry(bench, source, target, {"heartbeat.interval": "200ms", "checkpoint": "local"}).start().wait_streaming()
    ferry.wait_status(lambda status: link_of(status)["lag"]["seconds"] is not None, what="the lag")
    first = int(source.command("GET", HEARTBEAT))
    assert abs(first - time.time() * 1000) < 20_000
    assert 0 < source.command("TTL", HEARTBEAT) <= 60
    ferry.wait_status(lambda status: int(source.command("GET", HEARTBEAT)) > first, what="the next heartbeat")
    ferry.wait_in_step(source)
    assert target.command("DBSIZE") == 0
    assert 0 <= link_of(ferry.status())["lag"]["seconds"] < 20
    assert ferry.stop() == 0


def test_heartbeats_of_a_cluster(bench):
    """One for each master, each with a tag that belongs to that master."""
    source, target = bench.cluster(masters=3, replicas_per_master=0), bench.cluster(masters=2, replicas_per_master=0)
    ferry = Ferry(bench, source, target, {"checkpoint": "local"}).start().wait_streaming()
    ferry.wait_status(lambda status: len(heartbeats(source)) == 3, what="three heartbeats")
    found = heartbeats(source)
    assert len({address for _, _, address in found}) == 3
    assert all(re.fullmatch(HEARTBEAT.encode() + rb":\{[^{}]+\}", key) and 0 < life <= 60_000 for key, life, _ in found)
    ferry.wait_in_step(*source.masters())
    assert not heartbeats(target) and target.size() == 0
    assert ferry.stop() == 0


def test_heartbeats_of_a_cascade(bench):
    """That of the first task is not copied by the second from where the first one writes to."""
    first, second, third = (bench.server() for _ in range(3))
    one = Ferry(bench, first, second, {"heartbeat.interval": "200ms", "checkpoint": "local"}).start().wait_streaming()
    two = Ferry(bench, second, third, {"heartbeat.interval": "200ms", "checkpoint": "local"}).start().wait_streaming()
    first.command("SET", "key", "x")
    one.wait_in_step(first)
    two.wait_in_step(second)
    assert third.command("KEYS", "*") == [b"key"]
    assert one.stop() == two.stop() == 0


@pytest.mark.parametrize("option", ["heartbeat", "heartbeat.enabled"])
def test_no_heartbeat(bench, option):
    """The lag is known all the same."""
    source, target = bench.server(), bench.server()
    ferry = Ferry(bench, source, target, {option: "false"})
    with Load(source, rate=500) as load:
        ferry.start().wait_streaming()
        ferry.wait_status(lambda status: load.acknowledged > 1000 and link_of(status)["lag"]["seconds"] is not None,
                          what="the lag")
    assert source.command("EXISTS", HEARTBEAT) == 0
    finish_in_step(ferry, source, target)


# -- ends and documents -------------------------------------------------------------------------------------------------

def test_caught_up_under_constant_writes(bench):
    source, target = bench.cluster(masters=3, replicas_per_master=0), bench.server()
    fill(source, keys=5000)
    with Load(source, rate=1500) as load:
        Ferry(bench, source, target).run_until_caught_up()
        assert load.acknowledged > 0 and not load.errors
    assert sum(1 for _ in target.client().scan_iter(match="d:*", count=1000)) >= 5000


def test_document_in_yaml(bench):
    """With comments, lists in both forms, units, and TLS details; --set is stronger."""
    source, target = bench.server(tls=bench.tls, password="s0urce: secret"), bench.server()
    fill(source, keys=500, databases=(0, 3, 5))
    path = bench.folder / "task.yaml"
    path.write_text(f"""\
# A comment
name: orders-to-new-idc
source:
  mode: standalone
  address:
    - {source.address}        # any node
  password: "s0urce: secret"
  tls: {{ca: {bench.tls.ca}}}
  databases: [0, 3, 5]
target:
  address: [{target.address}]
  existing: fail
  conflict: overwrite
  database_map: {{}}
snapshot: true
heartbeat: {{enabled: true, interval: 500ms}}
limit: {{spec: unlimited}}
filter: {{allow: [], block: []}}
on_conflict: stop
spool: {{max_size: 64MiB, segment_size: 1MiB}}
""")
    ferry = Ferry(bench, None, None, {"source.databases": "0,3"}, [path]).run_until_caught_up()
    assert_same(source, target, databases=[0, 3])
    assert sorted(keys_by_database(target)) == [0, 3]
    assert "task orders-to-new-idc: " in ferry.log and "secret" not in ferry.log


# -- what it shows ------------------------------------------------------------------------------------------------------

@pytest.fixture(name="running")
def make_running(bench):
    """(source, target, Ferry) of a cluster of two masters that is streaming, with something done."""
    source, target = bench.cluster(masters=2, replicas_per_master=0), bench.server()
    fill(source, keys=1000)
    ferry = Ferry(bench, source, target, arguments=["--name", "a-name"])
    with Load(source, rate=500) as load:
        ferry.start().wait_streaming()
        ferry.wait_status(lambda status: load.acknowledged > 500, what="the writer")
    ferry.wait_in_step(*source.masters())
    ferry.wait_status(lambda status: all(link["lag"]["seconds"] is not None for link in status["links"]), what="the lag")
    yield source, target, ferry
    assert ferry.stop() == 0


def test_metrics(running):
    source, _, ferry = running
    types, samples = read_metrics(ferry.get("/metrics"))
    for name, kind in types.items():
        assert (kind == "counter") == name.endswith("_total"), name
        if name.startswith("keyferry_link_"):
            # What is not known yet (the size of a snapshot that is sent from memory) has no sample.
            assert {labels["link"] for labels, _ in samples[name]} in ({server.address for server in source.masters()}, set())
        if name.startswith(("keyferry_link_", "keyferry_task_")):
            assert all(labels["task"] == "a-name" for labels, _ in samples[name])
    for name in ("keyferry_link_lag_seconds", "keyferry_link_lag_bytes", "keyferry_link_applied_commands_total",
                 "keyferry_link_received_bytes_total", "keyferry_link_snapshot_keys_total", "keyferry_link_spool_bytes",
                 "keyferry_link_reconnects_total", "keyferry_link_resyncs_total", "keyferry_link_conflicts_total"):
        assert len(samples[name]) >= 2, name
    assert sum(value for _, value in samples["keyferry_link_snapshot_keys_total"]) >= 1000
    assert {labels["side"] for labels, _ in samples["keyferry_link_reconnects_total"]} == {"source", "target"}
    assert all(value == 1 for _, value in samples["keyferry_link_up"])


NUMBER = (int, float)
LINK = {"source": str, "state": str, "snapshot": {"bytes_total": int, "bytes_done": int, "keys_done": int},
        "position": {"replid": str, "received": int, "applied": int}, "lag": {"seconds": NUMBER, "bytes": int},
        "rates": {"commands_per_second": NUMBER, "bytes_per_second": NUMBER}, "spool": {"bytes": int}, "reconnects": int,
        "resyncs": int, "source_away": type(None)}


def check_schema(value, schema, where=""):
    if isinstance(schema, dict):
        for name, inner in schema.items():
            check_schema(value[name], inner, f"{where}.{name}")
    else:
        assert isinstance(value, schema) and not isinstance(value, bool), where


def test_status(running):
    source, _, ferry = running
    status = ferry.status()
    assert status["task"] == "a-name" and status["state"] == "streaming" and status["error"] is None
    since = datetime.datetime.fromisoformat(status["since"])
    assert since.tzinfo and abs(since.timestamp() - time.time()) < 300
    assert {link["source"] for link in status["links"]} == {server.address for server in source.masters()}
    for link in status["links"]:
        check_schema(link, LINK)
        assert link["state"] == "streaming" and re.fullmatch("[0-9a-f]{40}", link["position"]["replid"])
        assert link["snapshot"]["bytes_done"] == link["snapshot"]["bytes_total"] > 0
        assert link["position"]["applied"] <= link["position"]["received"]


def test_status_before_the_lag_is_known(bench):
    """Numbers that are not known are null, not 0 or -1."""
    source = bench.server()
    plain_keys(source, 3000)
    ferry = Ferry(bench, source, bench.server(), {"limit.spec": "micro"}).start()
    ferry.wait_status(lambda status: link_of(status)["state"] == "snapshot" and link_of(status)["snapshot"]["bytes_total"] > 0,
                      what="the snapshot")
    status = ferry.status()
    link = link_of(status)
    assert status["state"] == "snapshot" and link["lag"]["seconds"] is None and link["position"]["applied"] is None
    assert 0 <= link["snapshot"]["bytes_done"] < link["snapshot"]["bytes_total"]
    read_metrics(ferry.get("/metrics"))
    assert ferry.stop() == 0


def lines_in_json(ferry):
    lines = [json.loads(line) for line in ferry.log.splitlines()]
    for line in lines:
        assert datetime.datetime.fromisoformat(line["time"]).tzinfo and line["level"] and line["message"]
    return lines


def test_log_in_json(bench):
    """Each line, up to the last; also of a task that is refused."""
    source, target = bench.server(), bench.server()
    options = {"target.conflict": "stop", "target.existing": "merge"}
    ferry = Ferry(bench, source, target, options, ["--log-format", "json"]).start().wait_streaming()
    target.command("SET", '"quoted"\\ \n\xff', "x")
    source.command("LPUSH", '"quoted"\\ \n\xff', "x")
    assert ferry.wait() == 6
    lines = lines_in_json(ferry)
    assert {line["level"] for line in lines} == {"info", "error"}
    (error,) = [line["message"] for line in lines if line["level"] == "error"]
    assert r'LPUSH of key "\x22quoted\x22\x5c \x0a\xc3\xbf"' in error
    refused = Ferry(bench, source, target, {"checkpoint": "local"}, ["--log-format", "json"])
    assert refused.run() == 3
    (line,) = lines_in_json(refused)
    assert line["level"] == "error" and "target.existing" in line["message"]
