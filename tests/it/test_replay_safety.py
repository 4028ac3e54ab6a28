"""What src/wire/command.h calls replay-safe, attacked on a real server: commands that are, applied a second time from any of them
on, have to give the same data; the examples of docs/replay-safety.md why others are not have to fail. (tests/unit/wire/test_command.c
checks that the table calls these very forms safe or not.)"""

import random

import pytest
import redis

KEYS = ["a", "b", "c"]
MEMBERS = ["m", "n"]
FAR = 4102444800000  # 2100-01-01


# The replay-safe commands by the type they work on; k is a key, m and n are members, i is a digit.
ANY_TYPE = [
    lambda k, m, n, i: ("SET", k, m),
    lambda k, m, n, i: ("SET", k, m, "XX"),
    lambda k, m, n, i: ("SET", k, m, "PXAT", FAR + i),
    lambda k, m, n, i: ("MSET", k, m, KEYS[i % 3], n),
    lambda k, m, n, i: ("DEL", k),
    lambda k, m, n, i: ("UNLINK", k, KEYS[i % 3]),
]
SAFE = {
    "string": [
        lambda k, m, n, i: ("SET", k, m, "NX"),
        lambda k, m, n, i: ("SETNX", k, m),
        lambda k, m, n, i: ("SETRANGE", k, i, m),
        lambda k, m, n, i: ("SETBIT", k, i * 3, i % 2),
        lambda k, m, n, i: ("PFADD", k, m, n),
    ],
    "hash": [
        lambda k, m, n, i: ("HSET", k, m, i),
        lambda k, m, n, i: ("HMSET", k, m, i, n, i + 1),
        lambda k, m, n, i: ("HSETNX", k, m, i),
    ],
    "set": [
        lambda k, m, n, i: ("SADD", k, m),
        lambda k, m, n, i: ("SADD", k, m, n),
    ],
    "zset": [
        lambda k, m, n, i: ("ZADD", k, i, m),
        lambda k, m, n, i: ("ZADD", k, "NX", i, m),
        lambda k, m, n, i: ("ZADD", k, "NX", "CH", i, m, i, n),
        lambda k, m, n, i: ("ZADD", k, "GT", i, m, 4, n),
        lambda k, m, n, i: ("ZADD", k, "LT", i, m, 4, n),
        lambda k, m, n, i: ("GEOADD", k, i, 1, m),
        lambda k, m, n, i: ("GEOADD", k, "NX", i, 1, m, 2, 2, n),
    ],
    "stream": [
        lambda k, m, n, i: ("XDEL", k, f"1-{i}"),
        lambda k, m, n, i: ("XTRIM", k, "MAXLEN", i),
        lambda k, m, n, i: ("XTRIM", k, "MINID", f"1-{i}"),
        lambda k, m, n, i: ("XACK", k, "group", f"1-{i}"),
    ],
}


def safe_commands(pick, kind):
    """A random sequence of few kinds on few keys and members: it is the repetitions that would do harm."""
    kinds = pick.sample(SAFE[kind], pick.randrange(1, len(SAFE[kind]) + 1))
    if pick.random() < 0.5:
        kinds += pick.sample(ANY_TYPE, 1) + pick.choice(list(SAFE.values()))
    keys = KEYS[:pick.choice([1, 1, 3])]
    return [pick.choice(kinds)(pick.choice(keys), pick.choice(MEMBERS), pick.choice(MEMBERS), pick.randrange(10))
            for _ in range(pick.randrange(2, 16))]


BEGINNINGS = {
    "string": lambda key: [("SET", key, "beginning")],
    "hash": lambda key: [("HSET", key, "m", "x")],
    "set": lambda key: [("SADD", key, "m")],
    "zset": lambda key: [("ZADD", key, 5, "m")],
    "stream": lambda key: [("XADD", key, f"1-{i}", "f", "v") for i in range(1, 9)] + [
        ("XGROUP", "CREATE", key, "group", "0"), ("XREADGROUP", "GROUP", "group", "c", "STREAMS", key, ">")],
}


def beginning(pick, kind):
    """Commands that make the data before, some with an expiry."""
    commands = []
    for key in KEYS:
        if pick.random() < 0.7:
            commands += BEGINNINGS[kind](key)
        if pick.random() < 0.5:
            commands.append(("PEXPIREAT", key, FAR + 100))
    return commands


def apply(client, commands):
    """Applies them as a sender does that does not mind errors: in a replay a key may already have its later type."""
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    pipeline.execute(raise_on_error=False)


def restart(client, commands):
    client.flushall()
    apply(client, commands)


def value_of(client, key):
    kind = client.type(key)
    expiry = client.pexpiretime(key)
    if kind == b"stream":
        return kind, expiry, client.xrange(key), client.xinfo_groups(key) and client.xpending(key, "group")["pending"]
    return kind, expiry, {
        b"none": lambda: None,
        b"string": lambda: client.get(key),
        b"list": lambda: client.lrange(key, 0, -1),
        b"hash": lambda: client.hgetall(key),
        b"set": lambda: client.smembers(key),
        b"zset": lambda: client.zrange(key, 0, -1, withscores=True),
    }[kind]()


def state_of(client):
    return {key: value_of(client, key) for key in KEYS}


def replicated(client, candidates):
    """Applies the commands and returns those that changed something: a master sends no others."""
    def changes():
        return client.info("persistence")["rdb_changes_since_last_save"]

    sent = []
    before = changes()
    for command in candidates:
        try:
            client.execute_command(*command)
        except redis.exceptions.ResponseError:
            continue
        after = changes()
        if after != before:
            sent.append(command)
        before = after
    return sent


@pytest.mark.parametrize("kind", SAFE)
def test_safe_commands_may_be_applied_again(bench, kind):
    client = bench.server(config={"save": ""}).client()
    pick = random.Random(kind)
    for _ in range(500):
        begin = beginning(pick, kind)
        restart(client, begin)
        commands = replicated(client, safe_commands(pick, kind))
        expected = state_of(client)
        done = pick.randrange(len(commands) + 1)
        restart(client, begin + commands[:done])
        apply(client, commands)
        assert state_of(client) == expected, f"after {begin}: {commands[:done]}, then {commands}"


UNSAFE = {
    "a removal may take the key away, and its expiry": (
        [("SADD", "a", "m"), ("PEXPIREAT", "a", FAR)],
        [("SADD", "a", "n"), ("SREM", "a", "n"), ("SADD", "a", "n"), ("SREM", "a", "m")]),
    "the same for hashes": (
        [("HSET", "a", "m", 1), ("PEXPIREAT", "a", FAR)],
        [("HSET", "a", "n", 1), ("HDEL", "a", "n"), ("HSET", "a", "n", 1), ("HDEL", "a", "m")]),
    "the same for sorted sets": (
        [("ZADD", "a", 1, "m"), ("PEXPIREAT", "a", FAR)],
        [("ZADD", "a", 1, "n"), ("ZREM", "a", "n"), ("ZADD", "a", 1, "n"), ("ZREM", "a", "m")]),
    "XX finds a member that was not there": (
        [("ZADD", "a", 1, "m")],
        [("ZADD", "a", "XX", 9, "n", 9, "m"), ("ZADD", "a", "NX", 5, "n")]),
    "a time that has passed deletes what was prolonged": (
        [("SET", "a", "x")],
        [("PEXPIREAT", "a", 1), ("PERSIST", "a")]),
}


@pytest.mark.parametrize("why", UNSAFE)
def test_commands_that_only_look_safe(bench, why):
    begin, commands = UNSAFE[why]
    client = bench.server(config={"save": ""}).client()
    restart(client, begin)
    # The time of the last example was still to come when it was applied first.
    apply(client, [command for command in commands if command != ("PEXPIREAT", "a", 1)])
    expected = state_of(client)
    apply(client, commands)
    assert state_of(client) != expected
