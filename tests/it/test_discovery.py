"""How the two sides are found: Sentinels, IPv6, unix sockets, any node of a cluster, several addresses."""

import pytest

from bench import ports
from bench.ferry import Ferry, unused_address
from bench.scenario import by_ipv6, by_unix_socket, sync_under_load

SMALL = {"keys": 2000, "rate": 800, "units": 800}
SENTINEL_PASSWORD = "of the Sentinels: @/?#"


# -- Sentinel -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["redis-7.0", "valkey-9.1"])
def test_sentinel_source(bench, name):
    source = bench.sentinel(name, password="secret")
    ferry = sync_under_load(bench, source, bench.server(name), **SMALL)
    assert "secret" not in ferry.log


def test_sentinels_with_a_password_of_their_own(bench):
    source = bench.sentinel(sentinel_password=SENTINEL_PASSWORD, password="secret", sentinels=1, quorum=1)
    target = bench.server()
    without = Ferry(bench, source, target)
    assert without.run() == 4
    assert "source.sentinel.password" in without.log
    ferry = Ferry(bench, source, target, {"source.sentinel.password": SENTINEL_PASSWORD})
    sync_under_load(bench, source, target, ferry=ferry, **SMALL)
    assert SENTINEL_PASSWORD not in ferry.log


def test_sentinel_target(bench):
    target = bench.sentinel(sentinels=1, quorum=1)
    sync_under_load(bench, bench.server(), target, **SMALL)


def test_sentinels_by_document(bench):
    """The first address may be dead."""
    group, target = bench.sentinel(sentinels=1, quorum=1), bench.server()
    document = {"source": {"mode": "sentinel", "master": group.master_name, "address": [unused_address(), *group.addresses]},
                "target": {"address": target.address}}
    sync_under_load(bench, group, target, ferry=Ferry(bench, None, None, document=document), **SMALL)


def test_unknown_master_name(bench):
    group = bench.sentinel(replicas=0, sentinels=1, quorum=1)
    ferry = Ferry(bench, group.url.replace(f"/{group.master_name}", "/other"), bench.server())
    assert ferry.run() == 4
    assert "knows no master named 'other'" in ferry.log and f'it watches "{group.master_name}"' in ferry.log


# -- addresses ----------------------------------------------------------------------------------------------------------

@pytest.mark.skipif(not ports.has_ipv6(), reason="this machine has no ::1")
def test_ipv6(bench):
    source, target = by_ipv6(bench.server(ipv6=True)), by_ipv6(bench.server(ipv6=True))
    ferry = sync_under_load(bench, source, target, **SMALL)
    assert f"[::1]:{source.server.port}" in ferry.log and source.server.address not in ferry.log


def test_unix_socket(bench):
    source = by_unix_socket(bench.server(unix_socket=True, password="secret"))
    target = by_unix_socket(bench.server(unix_socket=True))
    ferry = sync_under_load(bench, source, target, **SMALL)
    assert source.address in ferry.log and "secret" not in ferry.log


def test_any_node_of_a_cluster(bench):
    """Replicas too, and dead ones among the addresses."""
    source, target = bench.cluster(masters=2, replicas_per_master=1), bench.cluster(masters=2, replicas_per_master=0)
    replica = next(node for node in source.nodes if node not in source.masters())
    document = {"source": {"address": [unused_address(), replica.address]}, "target": {"address": target.masters()[1].address}}
    ferry = sync_under_load(bench, source, target, ferry=Ferry(bench, None, None, document=document), **SMALL)
    assert ferry.log.count("full resync, a snapshot") == 2


def test_the_master_among_several_addresses(bench):
    master, replica = bench.replica_pair()
    document = {"source": {"address": [replica.address, master.address]}, "target": {"address": bench.server().address}}
    ferry = Ferry(bench, None, None, document=document).run_until_caught_up()
    assert f"link {master.address}" in ferry.log
