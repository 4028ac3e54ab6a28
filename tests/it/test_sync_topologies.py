"""Snapshot and stream under load between all kinds of deployments, with an exact comparison at the end."""

import pytest

from bench.compare import assert_same
from bench.data import fill, features_of
from bench.ferry import Ferry
from bench.load import Load

UNEVEN_FOUR = [[(0, 999), (9000, 9999)], [(1000, 5000)], [(5001, 8999), (16000, 16383)], [(10000, 15999)]]
THREE_OTHER = [[(0, 2000), (12000, 13000)], [(2001, 9000)], [(9001, 11999), (13001, 16383)]]


def masters_of(deployment):
    return deployment.masters() if hasattr(deployment, "masters") else [deployment]


def sync_under_load(bench, source, target, *, databases=(0,), options=None, keys=20000, rate=1500):
    """Fills the source, starts a writer and keyferry, lets it reach streaming, stops the writer, compares."""
    fill(source, keys=keys, databases=databases, functions=True, features=features_of(source, target))
    ferry = Ferry(bench, source, target, options)
    with Load(source, rate=rate, databases=databases) as load:
        ferry.start().wait_streaming()
        before = load.acknowledged
        ferry.wait_status(lambda status: load.acknowledged > before + 3000, what="3,000 more units of the writer")
    assert not load.errors
    ferry.wait_in_step(*masters_of(source))
    assert_same(source, target, as_replica=True)
    assert ferry.stop() == 0
    return ferry


def test_standalone_to_standalone(bench):
    sync_under_load(bench, bench.server(), bench.server(), databases=(0, 3, 15))


def test_standalone_to_cluster(bench):
    sync_under_load(bench, bench.server(), bench.cluster(masters=3, replicas_per_master=0))


def test_cluster_of_three_to_four(bench):
    source = bench.cluster(masters=3, replicas_per_master=1)
    target = bench.cluster(replicas_per_master=0, layout=UNEVEN_FOUR)
    ferry = sync_under_load(bench, source, target)
    assert ferry.log.count("full resync") == 3


def test_cluster_of_four_to_three(bench):
    source = bench.cluster(replicas_per_master=0, layout=UNEVEN_FOUR)
    sync_under_load(bench, source, bench.cluster(replicas_per_master=0, layout=THREE_OTHER))


def test_cluster_to_standalone(bench):
    sync_under_load(bench, bench.cluster(masters=3, replicas_per_master=0), bench.server())
