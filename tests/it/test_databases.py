"""Databases, and commands that clear them: each link clears what it has brought and nothing else; several databases on one cluster."""

import random
import re

import pytest
import redis

from bench.compare import assert_same, is_heartbeat, is_own, snapshot_of
from bench.ferry import Ferry
from bench.load import Load
from bench.slots import key_slot, slot_tag
from bench.transform import transform
from bench.waiting import wait_for


def connect(server, database=0):
    return redis.Redis.from_url(server.url, db=database)


def address(server):
    return server.url.split("//")[1].split("/")[0]


def document(source, target, **options):
    return {"source": {"address": address(source)}, "target": {"address": address(target), "existing": "merge"}} | options


def keys_of(server):
    """{(database, key)} without keyferry's own."""
    return {(record["db"], record["key"]) for record in snapshot_of(server, ignored=lambda key: is_heartbeat(key) or is_own(key))}


def start(bench, task, **options):
    return Ferry(bench, None, None, document=task, **options).start().wait_streaming()


# -- several source masters ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["cluster", "standalone"])
def test_one_source_master_clears_its_own_keys(bench, kind):
    """What is behind it in its stream stays; so do the keys of the other masters."""
    source = bench.cluster(masters=3, replicas_per_master=0)
    target = bench.cluster(masters=2, replicas_per_master=0) if kind == "cluster" else bench.server()
    client = source.client()
    for number in range(600):
        client.set(f"key:{number}", number)
    ferry = start(bench, document(source.masters()[0], target.masters()[0] if kind == "cluster" else target))
    first, second, third = source.masters()
    mine = f"{{{slot_tag(source.layout()[first][0][0])}}}" if isinstance(source.layout(), dict) else f"{{{slot_tag(0)}}}"
    owner = source.master_of(mine)
    before = keys_of(source)
    pipe = owner.client().pipeline(transaction=False)
    pipe.set(mine + "before", 1).flushall().set(mine + "after", 1).execute()
    ferry.wait_in_step(*source.masters())
    assert keys_of(target) == keys_of(source)
    assert 0 < len(keys_of(target)) < len(before) and (0, mine + "after") in keys_of(target)
    assert len(re.findall("keys of this link were removed", ferry.log)) == 1
    for master in (first, second, third):
        if master is not owner:
            master.client().flushdb()
            break
    ferry.wait_in_step(*source.masters())
    assert keys_of(target) == keys_of(source)
    assert ferry.stop() == 0


def test_clearing_while_slots_of_the_target_move(bench):
    """Under load of the other masters, with keys that change their master in both directions of the scan."""
    source = bench.cluster(masters=2, replicas_per_master=0)
    target = bench.cluster(masters=3, replicas_per_master=0)
    client = source.client()
    for number in range(3000):
        client.set(f"key:{number}", number)
    ferry = start(bench, document(source.masters()[0], target.masters()[0]))
    one, another = source.masters()
    ferry.wait_in_step(one, another)
    a, _, c = target.masters()
    slots = sorted({key_slot(f"key:{number}") for number in range(3000)})
    for end, (slot, to) in enumerate([(slots[0], c), (slots[1], c), (slots[-1], a), (slots[-2], a)]):
        move = target.begin_slot_move(slot, to)
        move.migrate_some(1)
        (one if end % 2 == 0 else another).client().flushall()
        move.migrate_all()
        move.finish()
        ferry.wait_in_step(one, another)
        assert keys_of(target) == keys_of(source)
        for number in range(0, 3000, 7):
            client.set(f"key:{number}", end)
    ferry.wait_in_step(one, another)
    assert_same(source, target)
    assert ferry.stop() == 0


def test_clearing_with_a_migration_that_is_left_open(bench):
    """It ends all the same."""
    source = bench.cluster(masters=2, replicas_per_master=0)
    target = bench.cluster(masters=2, replicas_per_master=0)
    client = source.client()
    for number in range(500):
        client.set(f"key:{number}", number)
        client.set(f"{{key:1}}{number}", number)
    ferry = start(bench, document(source.masters()[0], target.masters()[0]))
    slot = key_slot("key:1")
    move = target.begin_slot_move(slot, next(node for node in target.masters() if node is not target.owner(slot)))
    move.migrate_some(100)
    for master in source.masters():
        master.client().flushall()
    ferry.wait_in_step(*source.masters())
    assert keys_of(target) == set()
    move.migrate_all()
    move.finish()
    assert ferry.stop() == 0


def test_clearing_survives_kill_and_lost_target(bench):
    source, target = bench.cluster(masters=2, replicas_per_master=0), bench.cluster(masters=2, replicas_per_master=0)
    client = source.client()
    for number in range(2000):
        client.set(f"key:{number}", number)
    ferry = start(bench, document(source.masters()[0], target.masters()[0]))
    ferry.wait_in_step(*source.masters())
    target.masters()[1].pause()
    for master in source.masters():
        master.client().flushall()
    client.set("after", 1)
    ferry.wait_status(lambda status: all(link["lag"]["bytes"] for link in status["links"]), what="links that wait")
    ferry.kill()
    target.masters()[1].resume()
    ferry.start()
    ferry.wait_in_step(*source.masters())
    assert keys_of(target) == {(0, "after")}
    assert ferry.stop() == 0


@pytest.mark.parametrize("kind", ["standalone", "cluster"])
def test_clearing_in_a_transaction(bench, kind):
    """Alone, or beside what is not copied, it is cleared at EXEC: so does another keyferry in front of this one clear its cluster. Beside others it is refused."""
    source = bench.cluster(masters=2, replicas_per_master=0)
    target = bench.cluster(masters=2, replicas_per_master=0) if kind == "cluster" else bench.server()
    client = source.client()
    for number in range(300):
        client.set(f"key:{number}", number)
    ferry = start(bench, document(source.masters()[0], target.masters()[0] if kind == "cluster" else target))

    def flush(*others):
        for node in source.masters():
            tag = next(name for name in map(str, range(1000)) if source.owner(key_slot(name)) is node)
            with node.client().pipeline() as pipeline:
                pipeline.execute_command("FLUSHALL")
                for prefix in others:
                    pipeline.execute_command("HSET", f"{prefix}{{{tag}}}", "link", "x")
                pipeline.execute()
    flush("keyferry:mark:")
    client.set("after", 1)
    ferry.wait_in_step(*source.masters())
    assert_same(source, target, ignore=["keyferry:*"])
    ferry.kill()
    ferry.start().wait_in_step(*source.masters())
    assert_same(source, target, ignore=["keyferry:*"])
    flush("other:")
    assert ferry.wait() == 6
    assert "FLUSHALL (database 0" in ferry.log and "stands in a transaction beside other commands" in ferry.log


# -- parts of databases ----------------------------------------------------------------------------------------------------------

def test_clearing_of_a_selection(bench):
    """Names, types and databases as the rules say; in order with the stream; foreign keys stay."""
    source, target = bench.server(), bench.server()
    foreign = connect(target)
    foreign.mset({"b:foreign": 1, "other": 1, "keyferry:mark:x": 1})
    foreign.rpush("a:of another type", 1)
    connect(target, 3).set("a:1", "in a database that is not chosen")
    for database in (0, 1, 3):
        for number in range(1500):
            connect(source, database).set(f"a:{number}", number) if number < 3 else None
        with connect(source, database).pipeline(transaction=False) as pipe:
            for number in range(1500):
                pipe.set(f"a:{number}", number)
                pipe.sadd(f"b:{number}", number)
            pipe.execute()
    task = document(source, target, filter={"allow": [{"prefix": "a:", "type": "string"}, {"prefix": "b:", "type": ["set", "zset"]}]})
    task["source"]["databases"] = [0, 1]
    ferry = start(bench, task)
    zero = connect(source)
    zero.pipeline(transaction=False).set("a:before", 1).flushdb().set("a:after", 1).execute()
    ferry.wait_in_step(source)
    stay = {(0, "b:foreign"), (0, "other"), (0, "a:of another type"), (3, "a:1")}
    assert {key for key in keys_of(target) if key[0] != 1} == stay | {(0, "a:after")}
    assert {key for key in keys_of(target) if key[0] == 1} == {key for key in keys_of(source) if key[0] == 1}
    connect(source, 3).flushdb()
    connect(source, 3).flushall(asynchronous=True)
    ferry.wait_in_step(source)
    assert keys_of(target) == stay and foreign.get("keyferry:mark:x") == b"1"
    assert ferry.stop() == 0


@pytest.mark.parametrize("kind", ["cluster", "standalone"])
def test_clearing_of_databases_kept_apart_by_names(bench, kind):
    """Sixteen databases in one: each is cleared by itself, and foreign names stay."""
    source = bench.server()
    target = bench.cluster(masters=2, replicas_per_master=0) if kind == "cluster" else bench.server()
    node = target.masters()[0] if kind == "cluster" else target
    (target.client() if kind == "cluster" else connect(target)).set("foreign:1", 1)
    for database in range(16):
        connect(source, database).mset({f"key:{number}": database for number in range(50)} | {"user:1:x": 1})
    task = document(source, node, rename=[{"database": [0, 1], "match": "^user:(?<id>[0-9]+):(.*)$", "to": "${db}/u/$2/${id}"}, {"prefix": "", "to": "${db}/"}])
    task["target"]["database_map"] = {"*": 0}
    ferry = start(bench, task)
    connect(source, 1).flushdb()
    connect(source, 11).flushdb()
    ferry.wait_in_step(source)
    left = keys_of(target)
    assert not [key for _, key in left if re.match("(1|11)/", key)]
    assert len(left) == 14 * 51 + 1
    connect(source, 5).flushall()
    connect(source, 5).set("again", 1)
    ferry.wait_in_step(source)
    assert keys_of(target) == {(0, "foreign:1"), (0, "5/again")}
    assert ferry.stop() == 0


def test_clearing_that_cannot_be_told(bench):
    """Merged databases, names that cannot be led back, transactions: refused with what to do; nothing is removed."""
    source, target = bench.server(), bench.server()
    writer = connect(source)
    for database in (0, 1):
        connect(source, database).set("k", database)

    def refused(words, text, **options):
        connect(target).flushall()
        ferry = start(bench, document(source, target) | options)
        if callable(words):
            words()
        else:
            writer.execute_command(*words)
        assert ferry.wait() == 6
        assert text in ferry.log, ferry.log_tail()
        assert connect(target).dbsize() > 0
        for database in (0, 1):
            connect(source, database).set("k", database)
    task = {"target": {"address": address(target), "existing": "merge", "database_map": {"1": 0}}}
    refused(["FLUSHDB"], "brings together in one", **task)
    refused(["FLUSHDB"], "takes something of the key away", rename=[{"match": "k.*$", "to": "x"}])
    refused(lambda: writer.pipeline(transaction=True).flushdb().set("k", 1).execute(), "stands in a transaction", filter={"allow": [{"prefix": "k"}]})
    # One key may come from both databases, others not: told when it is met.
    refused(["FLUSHDB"], "cannot be told", filter={"allow": [{"database": 0, "prefix": "k"}, {"database": 1, "key": "k"}]}, **task)


# -- several databases on a cluster ------------------------------------------------------------------------------------------------

def test_databases_of_a_valkey_cluster(bench):
    """As they are: snapshot, stream, transactions, MOVE, COPY, clearing; each is where it was after a restart, too."""
    source = bench.server("valkey-9.1")
    target = bench.cluster("valkey-9.1", masters=3, replicas_per_master=0, config={"cluster-databases": 16})
    for database in range(16):
        connect(source, database).mset({f"key:{number}": f"{database}.{number}" for number in range(100)})
    ferry = start(bench, document(source, target.masters()[0]))
    with Load(source, rate=600, databases=(0, 5, 15), mode="safe") as load:
        ferry.wait_status(lambda status: load.acknowledged > 1200, what="units of the writer")
    with connect(source, 2).pipeline(transaction=True) as pipe:
        pipe.set("{t}a", 1)
        pipe.execute_command("SELECT", 9)
        pipe.incr("{t}b")
        pipe.execute()
    connect(source, 3).move("key:1", 4) if connect(source, 4).delete("key:1") else None
    connect(source, 3).execute_command("COPY", "key:2", "key:2", "DB", 6, "REPLACE")
    connect(source, 7).flushdb()
    connect(source, 8).pipeline(transaction=False).flushdb().set("again", 1).execute()
    ferry.wait_in_step(source)
    assert_same(source, target, databases=range(16))
    assert ferry.stop() == 0
    connect(source, 12).set("later", 1)
    ferry.start().wait_in_step(source)
    assert_same(source, target, databases=range(16))
    connect(source, 1).flushall()
    connect(source, 1).set("only", 1)
    ferry.wait_in_step(source)
    assert_same(source, target, databases=range(16))
    connect(source, 1).swapdb(1, 2)
    assert ferry.wait() == 6
    assert "SWAPDB" in ferry.log and "cluster" in ferry.log


def test_a_valkey_cluster_with_too_few_databases(bench):
    source = bench.server()
    target = bench.cluster("valkey-9.1", masters=1, replicas_per_master=0, config={"cluster-databases": 4})
    connect(source, 7).set("k", 1)
    ferry = Ferry(bench, None, None, document=document(source, target.masters()[0]))
    assert ferry.run() == 3
    assert "only 4 databases (cluster-databases)" in ferry.log
    connect(source, 7).flushall()
    ferry = start(bench, document(source, target.masters()[0]))
    connect(source, 3).set("k", 1)
    ferry.wait_in_step(source)
    connect(source, 4).set("k", 1)
    assert ferry.wait() == 6
    assert "only 4 databases" in ferry.log
    assert keys_of(target) == {(3, "k")}


def test_a_source_cluster_with_databases(bench):
    source = bench.cluster("valkey-9.1", masters=2, replicas_per_master=0, config={"cluster-databases": 8})
    target = bench.cluster("valkey-9.1", masters=3, replicas_per_master=0, config={"cluster-databases": 8})
    for database in (0, 3, 7):
        for number in range(200):
            source.run("SET", f"key:{number}", database, key=f"key:{number}", database=database)
    ferry = start(bench, document(source.masters()[0], target.masters()[0]))
    connect(source.masters()[0], 3).flushdb()
    connect(source.masters()[1]).flushall()
    ferry.wait_in_step(*source.masters())
    assert_same(source, target, databases=range(8))
    assert {database for database, _ in keys_of(target)} == {0, 7}
    assert ferry.stop() == 0


# -- random rules, random commands ---------------------------------------------------------------------------------------------------

# (the rule, the same in Python); none makes two keys one.
RENAMES = [
    ([], lambda database, key: key),
    ([{"prefix": "a:", "to": "alpha/"}], lambda database, key: re.sub("^a:", "alpha/", key)),
    ([{"database": [1, 2], "match": "^(a|b):([0-9]+)$", "to": "$2/${db}/$1"}],
     lambda database, key: re.sub("^(a|b):([0-9]+)$", rf"\2/{database}/\1", key) if database in (1, 2) else key),
    ([{"match": "[0-9]$", "to": "<$0>"}], lambda database, key: re.sub("[0-9]$", r"<\g<0>>", key)),
    ([{"match": "^", "to": "${db}|"}], lambda database, key: f"{database}|{key}"),
]
ALLOWS = [
    ([], lambda database, key, kind: True),
    ([{"prefix": ["a:", "b:"]}], lambda database, key, kind: key[0] in "ab"),
    ([{"type": ["string", "hash"]}], lambda database, key, kind: kind in ("string", "hash")),
    ([{"prefix": "a:", "type": "set"}, {"prefix": "b:"}], lambda database, key, kind: (key[0] == "a" and kind == "set") or key[0] == "b"),
    ([{"database": [0, 1]}], lambda database, key, kind: database in (0, 1)),
    ([{"database": 1, "glob": "*[02468]"}, {"database": [0, 2], "regex": "^.:[3-7]"}],
     lambda database, key, kind: key[-1] in "02468" if database == 1 else key[2] in "34567"),
    ([{"slot": "0-8000"}], lambda database, key, kind: key_slot(key) <= 8000),
]


def random_command(rng):
    def key():
        return f"{rng.choice('abc')}:{rng.randrange(12)}"
    return rng.choices([
        ("SET", key(), rng.randrange(100)), ("MSET", key(), 1, key(), 2), ("HSET", key(), "f", rng.randrange(100)), ("SADD", key(), rng.randrange(5)),
        ("RPUSH", key(), rng.randrange(5)), ("DEL", key(), key()), ("RENAME", key(), key()), ("COPY", key(), key(), "REPLACE"),
        ("COPY", key(), key(), "DB", rng.randrange(3)), ("MOVE", key(), rng.randrange(3)), ("SUNIONSTORE", key(), key(), key()), ("SMOVE", key(), key(), 1),
        ("LMOVE", key(), key(), "LEFT", "RIGHT"), ("INCR", key()), ("EXPIRE", key(), 1000), ("FLUSHDB",), ("FLUSHALL", rng.choice(["SYNC", "ASYNC"])),
        ("SWAPDB", rng.randrange(3), rng.randrange(3))],
        weights=[6, 3, 5, 5, 3, 2, 4, 3, 3, 3, 2, 3, 2, 3, 2, .5, .25, .5])[0]


@pytest.mark.parametrize("seed", range(1, 9))
def test_random_rules_and_commands(bench, seed):
    """What is refused is left out beforehand; with all else, selecting then comparing equals comparing then selecting. Foreign keys stay."""
    rng = random.Random(seed)
    (rename, named), (allow, selected) = RENAMES[seed % len(RENAMES)], ALLOWS[seed % len(ALLOWS)]
    mapped = rng.choice([{}, {"1": 5}, {"*": 0} if rename and "^" == rename[0].get("match") else {"2": 7}])
    source, target = bench.server(), bench.server()
    for database in range(8):
        connect(target, database).rpush("foreign", database)
    task = document(source, target, rename=rename, filter={"allow": allow})
    task["source"]["databases"] = [0, 1, 2]
    task["target"]["database_map"] = mapped
    commands = [(rng.randrange(3), random_command(rng)) for _ in range(4000)]
    kept = [pair for pair, outcome in zip(commands, transform(task, commands)) if outcome.kind != "refused"]
    assert len(kept) > 2000
    ferry = start(bench, task)
    connections = [connect(source, database) for database in range(3)]
    for database, words in kept:
        try:
            connections[database].execute_command(*words)
        except redis.ResponseError:
            pass  # of another type, or not there: nothing is streamed
    ferry.wait_in_step(source)
    expected = {(mapped.get(str(record["db"]), mapped.get("*", record["db"])), named(record["db"], record["key"]), record["type"], str(record["value"]))
                for record in snapshot_of(source, ignored=is_heartbeat) if selected(record["db"], record["key"], record["type"])}
    found = {(record["db"], record["key"], record["type"], str(record["value"])) for record in snapshot_of(target) if record["key"] != "foreign"}
    assert found == expected, f"missing {sorted(expected - found)[:5]}, extra {sorted(found - expected)[:5]}"
    assert "were removed" in ferry.log or (not rename and all(set(rule) == {"database"} for rule in allow))
    assert ferry.stop() == 0
    # What the rules would have brought under this very name may be cleared, or exchanged with its database.
    brought = {mapped.get(str(database), mapped.get("*", database)) for database in range(3)
               if selected(database, "foreign", "list") and named(database, "foreign") == "foreign"}
    swapped = any(words[0] == "SWAPDB" for _, words in kept)
    assert swapped or all(connect(target, database).exists("foreign") for database in set(range(8)) - brought)


def test_clearing_in_import_mode(bench):
    """A target in import mode shows keys whose time has passed to the import's source alone; they have to go as well, else the next APPEND finds them."""
    source, target = bench.server("valkey-8.1"), bench.server("valkey-8.1", config={"import-mode": "yes"})
    document = {"source": {"address": source.address}, "target": {"address": target.address, "database_map": {"*": 0}},
                "rename": [{"match": "^", "to": "${db}:"}]}
    ferry = Ferry(bench, None, None, document=document).start().wait_streaming()
    source.command("DEBUG", "SET-ACTIVE-EXPIRE", "0")       # nobody deletes it
    source.command("SET", "key", "old", "PX", "20")
    source.command("SET", "other", "1")
    ferry.wait_in_step(source)
    wait_for(lambda: target.command("EXISTS", "0:key") == 0, what="the key's time to pass")
    source.command("FLUSHDB")
    source.command("APPEND", "key", "new")
    ferry.wait_in_step(source)
    assert target.command("GET", "0:key") == b"new"
    assert target.command("EXISTS", "0:other") == 0
    assert ferry.stop() == 0
