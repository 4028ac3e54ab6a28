"""Snapshot and stream under load between all kinds of deployments, with an exact comparison at the end."""

import pytest

from bench.scenario import sync_under_load

pytestmark = pytest.mark.sanitize

UNEVEN_FOUR = [[(0, 999), (9000, 9999)], [(1000, 5000)], [(5001, 8999), (16000, 16383)], [(10000, 15999)]]
THREE_OTHER = [[(0, 2000), (12000, 13000)], [(2001, 9000)], [(9001, 11999), (13001, 16383)]]


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
