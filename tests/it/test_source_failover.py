"""The source fails over: the link follows its shard to the new master, and goes on in the stream where that is possible.

A manual failover loses nothing, so commands that must not be applied twice are used. Where a master is killed its replica may lack what
keyferry has applied already; a full resync mends that, but for keys deleted meanwhile, so none are."""

import shutil

import pytest

from bench.compare import assert_same
from bench.data import fill
from bench.ferry import Ferry
from bench.load import Load
from bench.scenario import finish_in_step, masters_of
from bench.waiting import wait_for

pytestmark = pytest.mark.sanitize


def addresses_of(status):
    return {link["source"] for link in status["links"]}


def more_of(load, ferry, units=500):
    goal = load.acknowledged + units
    ferry.wait_status(lambda status: load.acknowledged >= goal, what=f"{units} more units of the writer")


def wait_at(ferry, *masters):
    expected = {server.address for server in masters}
    ferry.wait_status(lambda status: addresses_of(status) == expected and all(link["connected"] for link in status["links"]),
                      what=f"links to {expected}")


def resyncs(ferry):
    return [link["resyncs"] for link in ferry.status()["links"]]


def test_manual_failover_in_a_cluster(bench):
    source, target = bench.cluster(masters=3, replicas_per_master=1), bench.server()
    fill(source, keys=3000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source) as load:
        for _ in range(2):      # there and back again
            for master in source.masters():
                source.failover(source.replicas(master)[0])
                more_of(load, ferry, 200)
            wait_at(ferry, *source.masters())
        more_of(load, ferry)
    assert not load.errors
    assert resyncs(ferry) == [0, 0, 0]
    assert ferry.log.count("failover of the source") == 6
    finish_in_step(ferry, source, target)
    # The next run knows the shards by their new masters.
    source.failover(source.replicas(source.masters()[0])[0])
    with Load(source, prefix=b"again:") as load:
        ferry.start().wait_streaming()
        more_of(load, ferry)
    assert resyncs(ferry) == [0, 0, 0]
    finish_in_step(ferry, source, target)
    assert "full resync" not in ferry.log.rsplit("work directory", 1)[1]


@pytest.mark.parametrize("replicas", [1, 2])
def test_killed_masters_of_a_cluster(bench, replicas):
    source, target = bench.cluster(masters=3, replicas_per_master=replicas), bench.cluster(masters=3, replicas_per_master=0)
    fill(source, keys=3000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    with Load(source, mode="lasting") as load:
        old = source.masters()[1]
        new = source.kill_master(old)
        wait_at(ferry, *source.masters())
        more_of(load, ferry)
        old.start()
        source.wait_ok()
        more_of(load, ferry)
        assert new in source.masters()
    finish_in_step(ferry, source, target)


def test_sentinels(bench):
    source, target = bench.sentinel(), bench.server()
    fill(source.master, keys=2000)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    old = source.master
    ferry.wait_in_step(old)
    new = source.failover()
    wait_at(ferry, new)
    with Load(new, prefix=b"again:") as load:
        more_of(load, ferry)
    ferry.wait_in_step(new)
    assert_same(new, target, as_replica=True)
    new.kill()
    last = source.wait_failover(new)
    wait_at(ferry, last)
    with Load(last, prefix=b"last:", mode="lasting") as load:
        more_of(load, ferry)
    finish_in_step(ferry, source, target)


def test_sentinels_of_both_sides_do_not_meet(bench):
    """They call their masters by the same name, and announce themselves by messages that a master replicates."""
    source, target = bench.sentinel(), bench.sentinel()
    fill(source.master, keys=500)
    ferry = Ferry(bench, source, target).start().wait_streaming()
    master = target.master
    new = source.failover()
    wait_at(ferry, new)
    heard = master.client().pubsub()
    heard.subscribe(HELLO, "after")
    assert announced(source.master) == (own := {sentinel.port for sentinel in source.sentinels})
    # Messages of other channels do go there; behind this one all of the above have arrived.
    new.command("PUBLISH", "after", "end")
    foreign = set()
    while (message := next(heard.listen()))["channel"] == HELLO.encode() or message["type"] != "message":
        foreign |= {port_of(message)} & own
    assert not foreign
    assert target.master is master
    assert {sentinel.master_state()["num-other-sentinels"] for sentinel in target.sentinels} == {"2"}
    finish_in_step(ferry, source, target)


def test_sentinels_choose_another_master_while_it_is_away(bench):
    """The task knows both sides again by their Sentinels, the link by being the only one, and the target's record by the history."""
    source, target = bench.sentinel(), bench.sentinel()
    fill(source.master, keys=500)
    ferry = Ferry(bench, source, target, {"name": "watched"}).start().wait_streaming()
    for way in ("stopped", "running", "moved"):
        with Load(source.master, prefix=way.encode() + b":") as load:
            more_of(load, ferry, 300)
        ferry.wait_in_step(source.master)
        if way == "running":
            wait_at(ferry, source.failover())
        assert ferry.stop() == 0
        if way == "moved":
            shutil.rmtree(ferry.data)
        if way != "running":
            source.failover()
            target.failover()
        with Load(source.master, prefix=b"away:" + way.encode() + b":") as load:
            wait_for(lambda: load.acknowledged > 300, what="units while it is away")
        before = ferry.log.count("full resync")
        ferry.start().wait_streaming()
        ferry.wait_in_step(source.master)
        assert_same(source.master, target.master, as_replica=True)
        assert ferry.log.count("full resync") == before
    assert "going on from what the target has" in ferry.log
    # Another group of the same Sentinels is another source.
    other = bench.sentinel(master_name="other")
    assert ferry.stop() == 0
    assert Ferry(bench, other, target, {"name": "watched"}, data=ferry.data).run() == 3


HELLO = "__sentinel__:hello"


def port_of(message):
    """"host,port,..." of a Sentinel's message; None of another one."""
    return int(message["data"].split(b",")[1]) if message["type"] == "message" else None


def announced(master):
    """The ports of three Sentinels that announce themselves at this master from now on."""
    listener, ports = master.client().pubsub(), set()
    listener.subscribe(HELLO)
    while len(ports) < 3:
        ports |= {port_of(next(listener.listen()))} - {None}
    listener.close()
    return ports


def test_replica_promoted_by_hand(bench):
    """Two servers, both named as the source's addresses."""
    master, target = bench.server(), bench.server()
    replica = bench.server(config={"replicaof": (master.host, str(master.port))})
    wait_for(lambda: replica.info("replication")["master_link_status"] == "up", what="the replica")
    fill(master, keys=2000)
    document = {"source": {"address": [master.address, replica.address]}, "target": {"address": target.address}}
    ferry = Ferry(bench, None, None, document=document).start().wait_streaming()
    with Load(master) as load:
        more_of(load, ferry)
    ferry.wait_in_step(master)
    goal = master.info("replication")["master_repl_offset"]
    wait_for(lambda: replica.info("replication")["slave_repl_offset"] >= goal, what="the replica to have it all")
    master.kill()
    replica.command("REPLICAOF", "NO", "ONE")
    wait_at(ferry, replica)
    assert resyncs(ferry) == [0]
    with Load(replica, prefix=b"again:") as load:
        more_of(load, ferry)
    finish_in_step(ferry, replica, target)


def test_replica_that_is_read_goes(bench):
    """source.read_from: prefer-replica; the link goes on with another server of the shard."""
    source, target = bench.cluster(masters=1, replicas_per_master=2), bench.server()
    fill(source, keys=2000)
    # In the map only once they have told their offsets.
    wait_for(lambda: str(source.nodes[0].command("CLUSTER", "SHARDS")).count("b'online'") == 3, what="healthy replicas")
    ferry = Ferry(bench, source, target, {"source.read_from": "prefer-replica"}).start().wait_streaming()
    with Load(source) as load:
        read = next(node for node in source.replicas() if node.info("replication").get("connected_slaves"))
        read.kill()
        ferry.wait_log(f"{read.address}: is not read any more; going on with {source.masters()[0].address}")
        ferry.wait_status(lambda status: status["links"][0]["connected"], what="the link")
        more_of(load, ferry)
    assert resyncs(ferry) == [0]
    finish_in_step(ferry, masters_of(source)[0], target)
