"""The source insists on a second snapshot: keys that it has deleted meanwhile go from the target too, before the stream goes on, and nothing else does.

The histories break because the source is restarted from an older or other state (it has another replication id then)."""

import pytest

from bench.compare import assert_same
from bench.data import fill
from bench.ferry import Ferry
from bench.load import Load
from bench.scenario import data_keys, finish_in_step, masters_of
from bench.waiting import wait_for

pytestmark = pytest.mark.sanitize


def replace_history(*masters):
    """Each master begins another history, as a restarted one does; its data stay."""
    for master in masters:
        wait_for(lambda master=master: master.command("DEBUG", "CHANGE-REPL-ID") == b"OK", what="another replication id")
        # Without its backlog it cannot continue the old one either.
        master.command("CLIENT", "KILL", "TYPE", "replica")


def wait_resyncs(ferry, count=1):
    ferry.wait_status(lambda status: all(link["resyncs"] == count and link["state"] == "streaming" for link in status["links"]), what="a full resync")


def test_deleted_in_the_gap(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=3000, databases=(0, 3))
    for number in range(200):
        source.command("SET", f"gone:{number}", "x")
    source.command("RPUSH", "again", "old")
    ferry = Ferry(bench, source, target).start().wait_streaming()
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    source.command("DEL", *[f"gone:{number}" for number in range(200)])
    source.command("DEL", "again")
    replace_history(source)
    ferry.start().wait_log("full resync")
    # RPUSH and the like must find what they found at the source: nothing.
    source.command("RPUSH", "again", "new")
    ferry.wait_streaming()
    ferry.wait_in_step(source)
    assert target.command("LRANGE", "again", 0, -1) == [b"new"]
    assert target.command("EXISTS", "gone:7") == 0
    assert "keys of this link that the new snapshot has not: removed" in ferry.log
    finish_in_step(ferry, source, target)


@pytest.mark.parametrize("layout", ["standalone", "cluster"])
def test_under_load(bench, layout):
    """Everything is used, deletions too, and the history breaks three times."""
    source = bench.server() if layout == "standalone" else bench.cluster(masters=3, replicas_per_master=0)
    target = bench.cluster(masters=2, replicas_per_master=0) if layout == "cluster" else bench.server()
    fill(source, keys=3000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source) as load:
        for number in range(1, 4):
            replace_history(*masters_of(source))
            wait_resyncs(ferry, number)
            goal = load.acknowledged + 300
            ferry.wait_status(lambda status, goal=goal: load.acknowledged >= goal, what="more of the writer")
    assert not load.errors
    finish_in_step(ferry, source, target)


def test_selection_and_names(bench):
    """What others have in the target, outside the selection or under other names, stays."""
    source, target = bench.server(), bench.server()
    for key in ("a:1", "a:2", "b:1"):
        source.command("SET", key, key)
    options = {"filter.allow": '[{prefix: "a:"}]', "rename": '[{prefix: "a:", to: "new:"}]'}
    ferry = Ferry(bench, source, target, options).start().wait_streaming()
    for key in ("a:1", "b:1", "other", "new"):
        target.command("SET", key, "theirs")
    source.command("DEL", "a:1")
    ferry.wait_in_step(source)
    source.command("SET", "a:3", "three")
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    source.command("DEL", "a:2")
    replace_history(source)
    ferry.start().wait_streaming()
    ferry.wait_log("the new snapshot has not: removed")
    ferry.wait_in_step(source)
    assert data_keys(target) == [b"a:1", b"b:1", b"new", b"new:3", b"other"]
    assert ferry.stop() == 0


def test_merged_into_what_was_there(bench):
    """Nobody can tell the target's own keys from leftovers: they stay, and it is said; exact removes both."""
    source, target = bench.server(), bench.server()
    source.command("MSET", "mine", "1", "gone", "2")
    target.command("SET", "theirs", "3")
    options = {"target.existing": "merge"}
    ferry = Ferry(bench, source, target, options).start().wait_streaming()
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    source.command("DEL", "gone")
    replace_history(source)
    ferry.start().wait_log("keys that the source has deleted since its last snapshot stay in the target")
    ferry.wait_streaming()
    assert ferry.stop() == 0
    assert data_keys(target) == [b"gone", b"mine", b"theirs"]
    replace_history(source)
    ferry.start("--set", "target.resync=exact").wait_log("the new snapshot has not: removed")
    ferry.wait_streaming()
    ferry.wait_in_step(source)
    assert_same(source, target)
    assert ferry.stop() == 0


def test_killed_in_the_second_snapshot(bench):
    """The names noted so far outlive it; nothing that the snapshot has brought is removed."""
    source, target = bench.server(), bench.server()
    fill(source, keys=20000)
    source.command("SET", "gone", "x")
    ferry = Ferry(bench, source, target).start().wait_streaming()
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    source.command("DEL", "gone")
    replace_history(source)
    slow = ("--set", "limit.records_per_second=4000")
    for share in (0.2, 0.4, 0.6):
        def reached(status, share=share):
            snapshot = status["links"][0]["snapshot"]
            return snapshot["bytes_done"] > share * snapshot["bytes_total"] > 0
        ferry.start(*slow).wait_status(reached, what=f"{share} of the snapshot")
        ferry.kill()
    ferry.start().wait_streaming()
    ferry.wait_log("the target had 1 keys of this link that the new snapshot has not: removed")
    finish_in_step(ferry, source, target)
    assert not (ferry.data / "links" / "0" / "snapshot-names").exists()


def test_what_a_script_has_made_of_commands(bench):
    """No snapshot brings it, and nobody can tell it from leftovers: it stays."""
    source, target = bench.server(), bench.server()
    script = """return function(event)
      if event.kind == "command" and event.argv[1]:upper() == "SET" then
        return {event, {db = 0, argv = {"SADD", "written", event.key}}}
      end
    end"""
    document = {"source": {"address": source.address}, "target": {"address": target.address}, "lua": {"script": script}}
    ferry = Ferry(bench, None, None, document=document).start().wait_streaming()
    source.command("SET", "a", "1")
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    replace_history(source)
    ferry.start().wait_log("keys that the source has deleted since its last snapshot stay in the target")
    ferry.wait_streaming()
    assert target.command("SMEMBERS", "written") == {b"a"}
    assert ferry.stop() == 0
