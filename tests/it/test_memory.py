"""keyferry's own memory stays small, whatever passes through it: the peak of its resident memory, as the kernel counts it."""

import concurrent.futures
import os
import pathlib
import re

from bench.compare import assert_same
from bench.data import fill
from bench.ferry import Ferry

MIB = 1 << 20
BOUND = 64 * MIB
SECONDS = 120


def peak_memory(ferry):
    """The most resident memory it has had so far, in bytes; what it maps of the spool's files counts as well."""
    status = pathlib.Path(f"/proc/{ferry.process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def assert_small(ferry):
    peak = peak_memory(ferry)
    # AddressSanitizer needs memory of its own, for the program's and libraries' data too.
    sanitized = "libasan" in pathlib.Path(f"/proc/{ferry.process.pid}/maps").read_text()
    assert peak <= BOUND * (1.5 if sanitized else 1), f"{peak / MIB:.1f} MiB"


def assert_same_values(source, target, *keys):
    """By the servers' own digests: the values are too large to be fetched."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        mine, theirs = pool.map(lambda server: server.command("DEBUG", "DIGEST-VALUE", *keys), (source, target))
    assert mine == theirs
    assert bytes(20).hex().encode() not in mine     # a key that is not there


def append(server, key, megabytes):
    """Bytes that do not compress."""
    noise = os.urandom(10 * MIB)
    for _ in range(0, megabytes, 10):
        server.command("APPEND", key, noise)


def fill_hash(server, key, fields):
    server.command("EVAL", "for n = 1, ARGV[1] do redis.call('HSET', KEYS[1], 'field:' .. n, n * 7) end", 1, key, fields)


def test_large_values_in_the_snapshot(bench):
    source, target = bench.server(), bench.server()
    append(source, "string", 300)
    fill_hash(source, "hash", 2_000_000)
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target).start().wait_streaming(SECONDS)
    ferry.wait_in_step(source)
    assert_small(ferry)
    assert target.command("STRLEN", "string") == 300 * MIB
    assert target.command("HLEN", "hash") == 2_000_000
    assert_same_values(source, target, "string", "hash")
    assert source.command("DBSIZE") == target.command("DBSIZE") - len(target.command("KEYS", "keyferry:task:*")) + source.command("EXISTS", "DTS_REDIS_TIMESTAMP_HEARTBEAT")


def test_large_values_in_the_snapshot_of_a_cluster(bench):
    """Three links share one process."""
    source, target = bench.cluster(replicas_per_master=0), bench.server()
    keys = [f"{{{tag}}}" for tag in range(12)]
    for key in keys:
        append(source.master_of(key), key, 20)
    ferry = Ferry(bench, source, target).start().wait_streaming(SECONDS)
    ferry.wait_in_step(*source.masters())
    assert_small(ferry)
    for key in keys:
        assert_same_values(source.master_of(key), target, key)


def test_large_values_in_the_stream(bench):
    unlimited = {"client-output-buffer-limit": ("replica", "0", "0", "0")}
    source, target = bench.server(config=unlimited), bench.server()
    ferry = Ferry(bench, source, target).start().wait_streaming()
    source.command("SET", "whole", os.urandom(200 * MIB))
    append(source, "in parts", 100)
    source.command("SETRANGE", "far", 200 * MIB, "end")
    source.command("RPUSH", "list", os.urandom(50 * MIB), "small", os.urandom(50 * MIB))
    ferry.wait_in_step(source)
    assert_small(ferry)
    assert_same_values(source, target, "whole", "in parts", "far", "list")


def test_frozen_target(bench):
    """The source is written to at full speed meanwhile: all that waits for the target lies on disk."""
    unlimited = {"client-output-buffer-limit": ("replica", "0", "0", "0")}
    source, target = bench.server(config=unlimited), bench.server()
    ferry = Ferry(bench, source, target).start().wait_streaming()
    target.pause()
    with source.client().pipeline(transaction=False) as pipeline:
        for _ in range(30):
            for number in range(10_000):
                pipeline.set(f"key:{number}", os.urandom(600))
            pipeline.execute()
    goal = source.info("replication")["master_repl_offset"]
    ferry.wait_status(lambda status: status["links"][0]["position"]["received"] >= goal, SECONDS, "all to be received")
    assert ferry.status()["links"][0]["spool"]["bytes"] > 150 * MIB
    assert_small(ferry)
    target.resume()
    ferry.wait_in_step(source)
    assert_small(ferry)
    assert_same(source, target)
