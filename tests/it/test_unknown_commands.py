"""Commands that are not in keyferry's table. Real servers learn such names by rename-command: they stream what they were sent."""

from bench.ferry import Ferry

RENAMED = {"rename-command": [("HSET", "MYHSET"), ("RPUSH", "MYRPUSH"), ("SINTERSTORE", "MYSINTERSTORE")]}
KEYS = 200


def test_keys_are_learned_from_a_cluster_target(bench):
    """COMMAND INFO of the target tells where the keys of a command are, so that it reaches its slot, also in a transaction."""
    source = bench.server(config=RENAMED)
    target = bench.cluster(masters=3, replicas_per_master=0, config=RENAMED)
    ferry = Ferry(bench, source, target, {"checkpoint": "local"}).start().wait_streaming()
    for number in range(KEYS):
        source.command("MYHSET", f"hash:{number}", "field", number)
        source.command("SET", f"string:{number}", number)
    transaction = source.client().pipeline(transaction=True)
    transaction.execute_command("MYRPUSH", "list", "a")
    transaction.execute_command("MYRPUSH", "list", "b")
    transaction.execute()
    ferry.wait_in_step(source)
    # The comparator would use the commands' own names.
    for number in range(KEYS):
        assert target.run("HGET", f"hash:{number}", "field", key=f"hash:{number}") == str(number).encode()
        assert target.run("GET", f"string:{number}", key=f"string:{number}") == str(number).encode()
    assert target.run("LRANGE", "list", "0", "-1", key="list") == [b"a", b"b"]
    assert ferry.stop() == 0


def test_what_the_target_does_not_know_either_stops(bench):
    source = bench.server(config=RENAMED)
    target = bench.cluster(masters=1, replicas_per_master=0)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    source.command("MYHSET", "hash", "field", "value")
    assert ferry.wait() == 6
    assert "MYHSET" in ferry.log and "database 0" in ferry.log and "offset" in ferry.log
    assert "not known" in ferry.log


def test_a_standalone_target_gets_them_as_they_are(bench):
    source = bench.server(config=RENAMED)
    target = bench.server(config=RENAMED)
    ferry = Ferry(bench, source, target, {"checkpoint": "local"}).start().wait_streaming()
    source.command("MYHSET", "hash", "field", "value")
    ferry.wait_in_step(source)
    assert target.command("HGET", "hash", "field") == b"value"
    assert ferry.stop() == 0


def test_marks_need_hashes(bench):
    """Where the target has HMSET under another name, the task says what it needs."""
    source, target = bench.server(), bench.server(config={"rename-command": [("HMSET", "MYHMSET")]})
    ferry = Ferry(bench, source, target)
    assert ferry.run() == 5
    assert "unknown command 'HMSET'" in ferry.log and "checkpoint: local" in ferry.log
