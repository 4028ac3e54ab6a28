"""Selection, mapping, renaming and changing, on real servers: the target holds exactly what the rules say, snapshot and stream alike.

The property: selecting and then comparing equals comparing and then selecting. Rules are drawn at random, the source is filled and
written to while keyferry runs; in the end every key of the source is judged here, in Python, by the same rules, and the target must hold
exactly those that pass."""

import json
import random
import re

import pytest
import redis

from bench.compare import is_heartbeat, is_own, snapshot_of
from bench.data import features_of, fill
from bench.ferry import Ferry
from bench.load import Load
from bench.values import bytes_of_text_form, text_form

SLOTS = 16384


def connect(server, database=0):
    return redis.Redis.from_url(server.url, db=database)


def slot_of(key):
    """CRC-16 (XMODEM) of the key, or of its hash tag."""
    begin = key.find(b"{")
    end = key.find(b"}", begin + 1)
    if begin >= 0 and end > begin + 1:
        key = key[begin + 1:end]
    crc = 0
    for byte in key:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc % SLOTS


# -- the rules, judged in Python -------------------------------------------------------------------------------------------------

def holds(rule, record):
    key = bytes_of_text_form(record["key"])
    checks = {
        "database": lambda wanted: record["db"] in wanted,
        "prefix": lambda wanted: any(key.startswith(one.encode()) for one in wanted),
        "regex": lambda wanted: any(re.search(one.encode(), key, re.DOTALL) for one in wanted),
        "glob": lambda wanted: any(re.fullmatch(one.encode().replace(b"*", b".*"), key, re.DOTALL) for one in wanted),
        "slot": lambda wanted: any(low <= slot_of(key) <= high for low, high in (map(int, one.split("-")) for one in wanted)),
    }
    return all(checks[name](wanted) for name, wanted in rule.items())


def passes(rules, record):
    allow, block = rules["allow"], rules["block"]
    return (not allow or any(holds(rule, record) for rule in allow)) and not any(holds(rule, record) for rule in block)


CONDITIONS = {
    "database": lambda rng: rng.sample([0, 1, 3], rng.randint(1, 2)),
    "prefix": lambda rng: rng.sample(["w:{1", "w:{2", "d:s", "d:h", "d:l", "d:{", "d:int", "d:z", "d:t", "w:"], rng.randint(2, 5)),
    "regex": lambda rng: [rng.choice(["[0-4]$", "^.{4,9}$", "(1|3|5)", "a.*[02468]$", "^[^{]*$"])],
    "glob": lambda rng: [rng.choice(["*1*", "*:*", "*t*:*", "*7"])],
    "slot": lambda rng: [f"{low}-{low + rng.randrange(4000, 9000)}" for low in [rng.randrange(0, 7000)]],
}


def random_rule(rng, names):
    return {name: CONDITIONS[name](rng) for name in rng.sample(names, rng.randint(1, min(2, len(names))))}


def random_rules(rng, names):
    allow = [random_rule(rng, names) for _ in range(rng.randint(0, 2))]
    return {"allow": allow, "block": [random_rule(rng, names) for _ in range(rng.randint(0 if allow else 1, 2))]}


def data_of(server):
    return snapshot_of(server, ignored=lambda key: is_heartbeat(key) or is_own(key))


def document(source, target, **options):
    return {"source": {"address": source.url.split("//")[1].split("/")[0]}, "target": {"address": target.url.split("//")[1].split("/")[0]}} | options


def by_place(records):
    return {(record["db"], bytes_of_text_form(record["key"])): record for record in records}


def assert_records(expected, found):
    expected, found = by_place(expected), by_place(found)
    missing, extra = expected.keys() - found.keys(), found.keys() - expected.keys()
    assert not missing and not extra, f"{len(missing)} missing {sorted(map(str, missing))[:5]}, {len(extra)} extra {sorted(map(str, extra))[:5]}"
    different = [place for place in expected if expected[place] != found[place]]
    assert not different, [(expected[place], found[place]) for place in different[:3]]


# The writer's keys of one unit, transactions included, share a slot: with rules by slot alone it may do everything. Otherwise it keeps
# to commands that have one key, or act on each by itself.
@pytest.mark.parametrize("seed, mode, names", [(seed, "safe", sorted(CONDITIONS)) for seed in range(1, 5)] + [(5, "all", ["slot"]), (6, "all", ["slot"])])
def test_selecting_then_comparing_equals_comparing_then_selecting(bench, seed, mode, names):
    rules = random_rules(random.Random(seed), names)
    source, target = bench.server(), bench.server()
    fill(source, keys=3000, databases=(0, 1, 3), functions=True, features=features_of(source, target))
    ferry = Ferry(bench, None, None, document=document(source, target, filter=rules, on_conflict="skip"))
    with Load(source, rate=1500, databases=(0, 1, 3), mode=mode, seed=seed) as load:
        ferry.start().wait_streaming()
        before = load.acknowledged
        ferry.wait_status(lambda status: load.acknowledged > before + 1500, what="more units of the writer")
    assert not load.errors
    ferry.wait_in_step(source)
    every = data_of(source)
    selected = [record for record in every if passes(rules, record)]
    assert_records(selected, data_of(target))
    assert 0 < len(selected) < len(every), f"rules that show nothing: {rules}"
    assert ferry.stop() == 0
    assert "skipped as on_conflict" not in ferry.log, f"{json.dumps(rules)}\n{ferry.log_tail()}"


def test_types(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=2000, databases=(0,), features=features_of(source, target))
    ferry = Ferry(bench, None, None, document=document(source, target, filter={"allow": [{"type": ["hash", "zset"]}]})).start().wait_streaming()
    writer = connect(source)
    writer.hset("becomes-a-string", "f", "v")
    writer.set("becomes-a-string", "v")
    writer.set("becomes-a-hash", "v")
    writer.delete("becomes-a-hash")
    writer.hset("becomes-a-hash", "f", "v")
    writer.zadd("union", {"a": 1})
    writer.sadd("members", "a")
    writer.set("union", "v")
    with writer.pipeline(transaction=True) as pipe:
        pipe.set("in-transaction", 1)
        pipe.hset("hash-in-transaction", "f", "v")
        pipe.execute()
    ferry.wait_in_step(source)
    assert_records([record for record in data_of(source) if record["type"] in ("hash", "zset")], data_of(target))
    assert connect(target).exists("becomes-a-string", "union", "members") == 0
    assert connect(target).hget("hash-in-transaction", "f") == b"v"
    assert ferry.stop() == 0


def test_databases_are_mapped_and_keys_renamed_in_transactions_too(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=1500, databases=(0, 1, 2), features=features_of(source, target))
    ferry = Ferry(bench, None, None, document=document(
        source, target, rename=[{"database": 2, "prefix": "", "to": "two:"}, {"match": "^hash:(.*)$", "to": "h/$1"}]) | {
            "target": {"address": document(source, target)["target"]["address"], "database_map": {"1": 7, "2": 0}}})
    with Load(source, rate=800, databases=(0, 1, 2), mode="safe") as load:
        ferry.start().wait_streaming()
        before = load.acknowledged
        ferry.wait_status(lambda status: load.acknowledged > before + 800, what="more units of the writer")
    with connect(source, 1).pipeline(transaction=True) as pipe:
        pipe.set("hash:t", 1)
        pipe.execute_command("SELECT", 2)
        pipe.set("hash:t", 2)
        pipe.execute_command("SELECT", 0)
        pipe.incr("counted")
        pipe.execute()
    connect(source, 1).execute_command("MOVE", "hash:t", 0)
    ferry.wait_in_step(source)

    def mapped(record):
        key = bytes_of_text_form(record["key"])
        key = b"two:" + key if record["db"] == 2 else re.sub(b"^hash:", b"h/", key)
        return record | {"db": {1: 7, 2: 0}.get(record["db"], record["db"]), "key": text_form(key)}
    # MOVE to database 0: the same name in 7 and in 0, which one MOVE does.
    assert_records([mapped(record) for record in data_of(source)], data_of(target))
    assert connect(target).get("two:hash:t") == b"2" and connect(target).get("counted") == b"1"
    assert ferry.stop() == 0


def test_many_databases_into_one_cluster_and_on_after_a_restart(bench):
    source, target = bench.server(), bench.cluster(masters=3, replicas_per_master=0)
    for database in range(6):
        connect(source, database).mset({f"key:{number}": f"{database}.{number}" for number in range(300)})
    task = document(source, target.masters()[0], rename=[{"match": "^", "to": "${db}/"}])
    task["target"]["database_map"] = {"*": 0}
    ferry = Ferry(bench, None, None, document=task).start().wait_streaming()
    connect(source, 4).mset({f"key:{number}": "later" for number in range(150)})
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    connect(source, 5).delete(*(f"key:{number}" for number in range(300)))
    ferry.start().wait_streaming()
    ferry.wait_in_step(source)
    expected = {(f"{record['db']}/" + record["key"], record["value"]) for record in data_of(source)}
    assert {(record["key"], record["value"]) for record in data_of(target)} == expected
    assert len(expected) == 1500
    assert ferry.stop() == 0


def test_flushes_clear_what_was_copied_and_nothing_else(bench):
    source, target = bench.server(), bench.server()
    connect(target, 9).set("of somebody else", 1)
    for database in (0, 1, 2):
        connect(source, database).set("k", database)
    task = document(source, target)
    task["source"]["databases"] = [0, 1]
    task["target"] |= {"database_map": {"1": 5}, "existing": "merge"}
    task["checkpoint"] = "local"
    ferry = Ferry(bench, None, None, document=task).start().wait_streaming()
    connect(source, 0).flushdb()
    ferry.wait_in_step(source)
    assert connect(target, 0).dbsize() == 0 and connect(target, 5).get("k") == b"1" and connect(target, 2).dbsize() == 0
    connect(source, 0).set("again", 1)
    connect(source, 2).flushall()
    ferry.wait_in_step(source)
    assert [connect(target, database).dbsize() for database in (0, 5, 9)] == [0, 0, 1]
    assert ferry.stop() == 0


def test_a_part_of_a_command_that_cannot_be_done_stops_or_is_skipped(bench):
    source, target = bench.server(), bench.server()
    writer = connect(source)
    writer.mset({"a:1": 1, "b:1": 2})
    task = document(source, target, filter={"allow": [{"prefix": "a:"}]}, checkpoint="local")
    ferry = Ferry(bench, None, None, document=task).start().wait_streaming()
    writer.rename("b:1", "a:2")
    assert ferry.wait() == 6
    assert "what it takes from one that is not" in ferry.log and "rename" in ferry.log.lower()
    again = Ferry(bench, None, None, document=task | {"on_conflict": "skip"}, arguments=("--name", "another"))
    again.data = ferry.data
    connect(target).flushall()
    again.start().wait_streaming()
    writer.rename("a:1", "b:9")
    writer.rename("b:9", "a:3")
    again.wait_in_step(source)
    assert again.status()["links"][0]["conflicts"] == 1 if "conflicts" in again.status()["links"][0] else "skipped as on_conflict" in again.log
    assert connect(target).keys("*") == [b"a:2"]
    assert again.stop() == 0


def test_times_and_script(bench):
    source, target = bench.server(), bench.server()
    writer = connect(source)
    writer.set("session:1", "v", ex=100)
    writer.set("keep:1", "v", ex=100)
    writer.set("secret:1", "v")
    script = """
        return function(event)
          if event.key:sub(1, 7) == 'secret:' then return false end
          if event.argv and event.argv[1]:upper() == 'SET' and event.key:sub(1, 4) == 'two:' then
            return {event, {db = 3, argv = {'SADD', 'names', event.key}}}
          end
        end
    """
    task = document(source, target, expiry=[{"prefix": "session:", "set": "10m"}, {"prefix": "keep:", "drop": True}], lua={"script": script},
                    checkpoint="local")
    ferry = Ferry(bench, None, None, document=task).start().wait_streaming()
    writer.set("session:2", "v", ex=100)
    writer.set("keep:2", "v", ex=100)
    writer.set("two:1", "v")
    with writer.pipeline(transaction=True) as pipe:
        pipe.set("two:2", "v")
        pipe.set("secret:2", "v")
        pipe.incr("n")
        pipe.execute()
    ferry.wait_in_step(source)
    reader = connect(target)
    assert sorted(reader.keys("*")) == [b"keep:1", b"keep:2", b"n", b"session:1", b"session:2", b"two:1", b"two:2"]
    assert connect(target, 3).smembers("names") == {b"two:1", b"two:2"}
    for number in (1, 2):
        assert 590 < reader.ttl(f"session:{number}") <= 600
        assert reader.ttl(f"keep:{number}") == -1
    assert ferry.stop() == 0


BAD = [
    ({"filter": {"allow": [{"prefx": "a"}]}}, "filter.allow[0].prefx", "did you mean 'prefix'", "prefix: "),
    ({"filter": {"block": [{"prefix": "a"}, {"regex": "a("}]}}, "filter.block[1].regex", "a(", "regex"),
    ({"filter": {"allow": "x"}}, "filter.allow", "list of mappings", "prefix"),
    ({"filter": {"allow": [{"type": "hsh"}]}}, "filter.allow[0].type", "hsh", "hash"),
    ({"filter": {"allow": [{"slot": "5-3"}]}}, "filter.allow[0].slot", "5-3", "0-5460"),
    ({"filter": {"block": [{"command": "flushal"}]}}, "filter.block[0].command", "flushal", "flushall"),
    ({"filter": {"block": [{"group": "hashes"}]}}, "filter.block[0].group", "hashes", "scripting"),
    ({"target": {"database_map": {"0": "x"}}}, "target.database_map", "\"x\"", "{1: 0"),
    ({"rename": [{"match": "a", "to": "$1"}]}, "rename[0]", "$1", "${name}"),
    ({"rename": [{"prefix": "a"}]}, "rename[0]", "'to'", "u:$1"),
    ({"expiry": [{"prefix": "a"}]}, "expiry[0]", "scale", "set: 1h"),
    ({"expiry": [{"scale": "x"}]}, "expiry[0].scale", "\"x\"", "1.5"),
    ({"lua": {"script": "return 1"}}, "lua.script", "function(event)", "return function(event)"),
    ({"lua": {"steps": "5"}}, "lua.steps", "5", "1000000"),
    ({"lua": {"file": "/nonexistent.lua"}}, "lua.file", "/nonexistent.lua", ""),
]


@pytest.mark.parametrize("options, place, value, example", BAD, ids=[case[1] for case in BAD])
def test_what_is_wrong_is_named_with_its_place_and_an_example(bench, options, place, value, example):
    task = {"source": {"address": "127.0.0.1:1"}, "target": {"address": "127.0.0.1:2"}}
    for name, mapping in options.items():
        task[name] = task.get(name, {}) | mapping if isinstance(mapping, dict) else mapping
    ferry = Ferry(bench, None, None, document=task, listen=False)
    assert ferry.run() == 2
    for text in (place, value, example):
        assert text in ferry.log, ferry.log
