"""What src/wire/command.h calls replay-safe, attacked on a real server: commands that are, applied a second time from any of them
on, have to give the same data; the examples of docs/replay-safety.md why others are not have to fail. (tests/unit/wire/test_command.c
checks that the table calls these very forms safe or not.)"""

import random

import pytest
import redis

KEYS = ["a", "b", "c"]
MEMBERS = ["m", "n", "o"]
FAR = 4102444800000  # 2100-01-01


def safe_command(pick):
    """A random command of the replay-safe ones."""
    key, member, other = pick.choice(KEYS), pick.choice(MEMBERS), pick.choice(MEMBERS)
    number = pick.randrange(10)
    return pick.choice([
        ("SET", key, member), ("SET", key, member, "NX"), ("SET", key, member, "XX"), ("SET", key, member, "PXAT", FAR + number),
        ("SETNX", key, member), ("MSET", key, member, pick.choice(KEYS), other),
        ("DEL", key), ("UNLINK", key, pick.choice(KEYS)),
        ("SETRANGE", key, number, member), ("SETBIT", key, number * 3, number % 2),
        ("HSET", key, member, number, other, number + 1), ("HMSET", key, member, number), ("HSETNX", key, member, number),
        ("SADD", key, member, other),
        ("ZADD", key, number, member), ("ZADD", key, "NX", number, member, number, other), ("ZADD", key, "CH", number, member),
        ("ZADD", key, "GT", number, member, 4, other), ("ZADD", key, "LT", number, member, 4, other),
        ("GEOADD", key, number, 1, member), ("GEOADD", key, "NX", number, 1, member, 2, 2, other),
        ("PFADD", key, member, other),
        ("XDEL", key, f"1-{number}"), ("XTRIM", key, "MAXLEN", number), ("XTRIM", key, "MINID", f"1-{number}"),
        ("XACK", key, "group", f"1-{number}"),
    ])


def beginning(pick):
    """Commands that make the data before: any type, some with an expiry."""
    commands = []
    for key in KEYS:
        commands += pick.choice([
            [], [("SET", key, "beginning")], [("HSET", key, "m", "x", "p", "x")], [("SADD", key, "m", "p")],
            [("ZADD", key, 5, "m", 6, "p")], [("RPUSH", key, "m", "p")], [("PFADD", key, "x")],
            [("XADD", key, f"1-{i}", "f", "v") for i in range(1, 9)] +
            [("XGROUP", "CREATE", key, "group", "0"), ("XREADGROUP", "GROUP", "group", "c", "STREAMS", key, ">")],
        ])
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


@pytest.mark.parametrize("seed", range(4))
def test_safe_commands_may_be_applied_again(bench, seed):
    client = bench.server(config={"save": ""}).client()
    pick = random.Random(seed)
    for _ in range(150):
        begin = beginning(pick)
        restart(client, begin)
        commands = replicated(client, [safe_command(pick) for _ in range(pick.randrange(2, 25))])
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
