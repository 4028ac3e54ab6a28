"""A task that goes on must be the task that was begun: other filters, another source or another target are refused, and what has changed is told."""

import json

import pytest

from bench.data import fill
from bench.ferry import Ferry
from bench.scenario import finish_in_step

FILTER = "filter.allow"


@pytest.fixture(name="pair")
def make_pair(bench):
    source, target = bench.server(), bench.server()
    source.command("SET", "a:1", "one")
    source.command("SET", "b:1", "two")
    return source, target


def begun(bench, source, target, options=None):
    """A task that has run; returns what makes the same task again, with other options."""
    first = Ferry(bench, source, target, {"name": "changing"} | (options or {})).start().wait_streaming()
    first.wait_in_step(source)
    assert first.stop() == 0

    def again(other=None, *words, source=source, target=target):
        return Ferry(bench, source, target, {"name": "changing"} | (other or {}), arguments=words, data=first.data)
    return again


@pytest.mark.parametrize("before, after, told", [
    ({FILTER: '[{prefix: "a:"}]'}, {}, ['filter.allow (was [{prefix: "a:"}], is not set)']),
    ({}, {FILTER: '[{prefix: "a:"}]'}, ['filter.allow (was not set, is [{prefix: "a:"}])']),
    ({FILTER: '[{prefix: "a:"}]', "source.databases": "0"}, {FILTER: '[{prefix: "b:"}]', "rename": '[{prefix: "a:", to: "c:"}]'},
     ['filter.allow (was [{prefix: "a:"}], is [{prefix: "b:"}])', "rename (was not set", 'source.databases (was "0", is not set)']),
    ({"lua.script": "return function(event) return true end"}, {"lua.script": "return function(event) return false end"}, ["lua.script (was "]),
    ({"target.database_map": "{1: 0}"}, {"target.database_map": "{1: 2}"}, ['target.database_map (was {1: "0"}, is {1: "2"})']),
])
def test_other_settings_are_refused(bench, pair, before, after, told):
    source, target = pair
    again = begun(bench, source, target, before)
    ferry = again(after)
    assert ferry.run() == 3, ferry.log
    assert all(text in ferry.log for text in told), ferry.log
    assert "--accept-changes" in ferry.log
    # Nothing has been forgotten by being refused.
    ferry = again(before).start().wait_streaming()
    assert ferry.stop() == 0


def test_changes_accepted(bench, pair):
    source, target = pair
    again = begun(bench, source, target, {FILTER: '[{prefix: "a:"}]'})
    ferry = again({FILTER: '[{prefix: "b:"}]'}, "--accept-changes").start().wait_streaming()
    source.command("SET", "a:2", "three")
    source.command("SET", "b:2", "four")
    ferry.wait_in_step(source)
    assert "settings have changed since the task was begun" in ferry.log
    assert ferry.stop() == 0
    assert sorted(target.command("KEYS", "[ab]:*")) == [b"a:1", b"b:2"]
    # From now on these are the task's.
    assert again({FILTER: '[{prefix: "b:"}]'}).start().wait_streaming().stop() == 0


def test_same_settings_written_otherwise(bench, pair):
    """Limits, policies and the notation do not matter."""
    source, target = pair
    again = begun(bench, source, target, {FILTER: '[{prefix: "a:"}]'})
    assert again({FILTER: "[{'prefix': 'a:'}]", "limit.spec": "large", "on_conflict": "skip"}).start().wait_streaming().stop() == 0


@pytest.mark.parametrize("side", ["source", "target"])
def test_another_side_is_refused(bench, pair, side):
    source, target = pair
    again = begun(bench, source, target)
    other = bench.server()
    ferry = again(**{side: other})
    assert ferry.run() == 3, ferry.log
    assert f"the {side} is another one than that which the task in" in ferry.log
    assert other.command("DBSIZE") == 0


def test_members_that_come_and_go(bench):
    """A cluster whose nodes are replaced one by one stays the same one."""
    source, target = bench.server(), bench.cluster(masters=2, replicas_per_master=1)
    fill(source, keys=500)
    again = begun(bench, source, target)
    for master in target.masters():
        target.failover(target.replicas(master)[0])
    ferry = again(target=target.masters()[0]).start().wait_streaming()
    finish_in_step(ferry, source, target)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\x01", '{"settings": 3, "source": {}, "target": 5}'])
def test_damaged_record(bench, pair, text):
    source, target = pair
    again = begun(bench, source, target)
    ferry = again()
    (ferry.data / "task.json").write_text(text)
    if text and text[0] == "{" and len(text) > 1:
        # Nothing to compare with.
        assert ferry.start().wait_streaming().stop() == 0
        assert json.loads((ferry.data / "task.json").read_text())["settings"] == {}
        return
    assert ferry.run() == 2, ferry.log
    assert "task.json is not what keyferry writes there" in ferry.log
