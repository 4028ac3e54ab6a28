"""Every server version as source: to itself and to the newest of its family; and what a target is too old for."""

import pytest

from bench import versions
from bench.ferry import Ferry
from bench.scenario import sync_under_load

MODEST = {"keys": 3000, "rate": 1000, "units": 1500}


def newest(version):
    """The newest version of the same family."""
    return versions.find(version.family)


def test_to_itself(bench, version):
    sync_under_load(bench, bench.server(version), bench.server(version), databases=(0, 9), **MODEST)


@pytest.mark.parametrize("version", [one for one in versions.parameters()
                                     if one.values[0] not in map(newest, versions.available())])
def test_to_the_newest_of_its_family(bench, version):
    sync_under_load(bench, bench.server(version), bench.server(newest(version)), databases=(0, 9), **MODEST)


@pytest.mark.parametrize("name", ["redis-6.0", "redis-8.0-sid", "valkey-9.1"])
def test_cluster_of_three_to_two(bench, name):
    version = versions.find(name)
    source = bench.cluster(version, masters=3, replicas_per_master=0)
    target = bench.cluster(newest(version), masters=2, replicas_per_master=0)
    ferry = sync_under_load(bench, source, target, **MODEST)
    assert ferry.log.count("full resync") == 3


def test_a_value_that_the_target_is_too_old_for(bench):
    source, target = bench.server("redis-8.0-sid"), bench.server("redis-7.0")
    source.command("SET", "plain", "text")
    source.command("HSET", "session:17", "user", "ann", "token", "xyz")
    source.command("HPEXPIREAT", "session:17", 4102444800000, "FIELDS", 1, "token")
    ferry = Ferry(bench, source, target)
    assert ferry.run() == 6
    assert 'key "session:17" (hash, database 0' in ferry.log
    assert f"Redis {target.version.text} knows no expiry of single hash fields" in ferry.log
    assert "Use a newer target" in ferry.log
    assert target.command("EXISTS", "session:17") == 0
