"""The bench tested by itself: what the scenario tests rely on."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
import redis

from bench import ports, slots
from bench.cluster import SHARD_ID
from bench.process import Process
from bench.servers import StartFailed
from bench.waiting import wait_for

NEWEST = ["redis", "valkey"]


def test_each_version_starts(bench, version):
    server = bench.server(version)
    info = server.info("server")
    assert info["valkey_version" if version.is_valkey else "redis_version"] == version.text
    assert info["process_id"] == server.pid


def test_restart_keeps_data_and_port(bench):
    server = bench.server()
    client = server.client(db=3)
    client.set("key", "saved")
    port = server.port
    server.restart()
    assert server.port == port
    assert client.get("key") == b"saved"
    client.set("key", "not saved")
    server.restart(kill=True)
    assert client.get("key") == b"saved"


def test_paused_server_answers_only_when_resumed(bench):
    server = bench.server()
    client = server.client(socket_timeout=0.2)
    server.pause()
    with pytest.raises(redis.exceptions.TimeoutError):
        client.ping()
    server.resume()
    assert server.client().ping()


def test_port_taken_by_another_process_is_replaced(bench):
    server = bench.new_server()
    taken = server.port
    with socket.create_server((server.host, taken)):
        server.start()
        assert server.port != taken
        assert server.client().ping()


def test_reserved_ports_differ_and_come_back():
    reserved = [ports.reserve() for _ in range(50)]
    numbers = {number for port in reserved for number in (port.number, port.number + ports.BUS_OFFSET)}
    assert len(numbers) == 100
    for port in reserved:
        port.release()


def test_server_that_cannot_start_shows_its_log(bench):
    with pytest.raises(StartFailed, match="no-such-directive"):
        bench.server(config={"no-such-directive": "1"})


def test_server_started_by_a_thread_outlives_the_thread(bench):
    server = bench.new_server()
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    assert server.client().ping()


def test_server_ends_with_the_session(tmp_path, wait_for):
    """A session that is killed cannot tear anything down."""
    session = subprocess.Popen([sys.executable, "-c", "from bench.process import Process\n"
                                f"print(Process(['sleep', '600'], '.', {str(tmp_path / 'log')!r}).pid, flush=True)\n"
                                "import signal; signal.pause()"],
                               stdout=subprocess.PIPE, text=True, cwd=os.path.dirname(__file__))
    pid = int(session.stdout.readline())
    session.send_signal(signal.SIGKILL)
    session.communicate()

    def ended():
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                return file.read().split()[2] == "Z"
        except FileNotFoundError:
            return True
    wait_for(ended, what="the child of a killed session to end")


def test_process_is_stopped_while_paused(tmp_path):
    process = Process(["sleep", "600"], tmp_path, tmp_path / "log")
    process.pause()
    assert process.stop() == -signal.SIGTERM


def test_unix_socket_and_ipv6(bench):
    if not ports.has_ipv6():
        pytest.skip("::1 cannot be bound here")
    server = bench.server(unix_socket=True, ipv6=True)
    server.unix_client(db=1).set("key", "value")
    assert server.client(db=1, host="::1").get("key") == b"value"


def test_password_and_users(bench):
    server = bench.server(password="s3cret", users={"reader": "on >looking ~app:* +@read +ping"})
    server.command("SET", "app:key", "value")
    reader = server.client(username="reader", password="looking")
    assert reader.get("app:key") == b"value"
    for refused in (("SET", "app:key", "other"), ("GET", "other")):
        with pytest.raises(redis.exceptions.NoPermissionError):
            reader.execute_command(*refused)
    server.set_user("late", "on nopass ~* +get")
    assert server.client(username="late", password="any").get("app:key") == b"value"
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(server.host, server.port).get("app:key")
    assert redis.Redis.from_url(server.url_for("reader", "looking")).get("app:key") == b"value"


def test_default_user_switched_off(bench):
    master, replica = bench.replica_pair(users={"default": "off"})
    master.command("SET", "key", "value")
    replica.wait_in_sync(master)
    assert replica.command("GET", "key") == b"value"
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(master.host, master.port).ping()


@pytest.mark.parametrize("family", NEWEST)
def test_tls_with_client_certificates(bench, family):
    master, replica = bench.replica_pair(family, tls=bench.tls, client_certificates="yes")
    master.command("SET", "key", "value")
    replica.wait_in_sync(master)
    assert replica.command("GET", "key") == b"value"
    with pytest.raises(redis.exceptions.ConnectionError):
        redis.Redis(**{**master.connection_options(), "ssl_certfile": None, "ssl_keyfile": None}).ping()
    with pytest.raises(redis.exceptions.ConnectionError):
        master.client(certificate=bench.another_authority().client).ping()


def test_replica_pair_of_two_versions(bench):
    master, replica = bench.replica_pair("redis-6.0", replica_version="redis-7.0")
    master.command("SET", "key", "value")
    replica.wait_in_sync(master)
    assert replica.command("GET", "key") == b"value"
    replica.promote()
    replica.command("SET", "key", "other")


def test_cluster_forms_and_answers(bench, version):
    cluster = bench.cluster(version, replicas_per_master=1)
    assert [ranges for ranges in cluster.layout().values()] == slots.even_layout(3)
    assert cluster.masters() == cluster.nodes[:3]
    assert [cluster.replicas(master) for master in cluster.masters()] == [[node] for node in cluster.nodes[3:]]
    for number in range(30):
        cluster.run("SET", f"key:{number}", number)
    assert cluster.size() == 30
    assert cluster.client().get("key:7") == b"7"


def test_cluster_of_unequal_layout(bench):
    layout = [[(0, 99), (16000, 16383)], [(100, 100)], [(101, 9000)], [(9001, 15999)]]
    cluster = bench.cluster(layout=layout, replicas_per_master=0)
    assert sorted(cluster.layout().values()) == sorted(layout)
    cluster.run("SET", f"{{{slots.slot_tag(100)}}}", "value")
    assert cluster.nodes[1].command("DBSIZE") == 1


@pytest.mark.parametrize("family", NEWEST)
def test_slot_move_step_by_step(bench, family):
    cluster = bench.cluster(family, replicas_per_master=0, config={"cluster-databases": 2} if family == "valkey" else {})
    databases = range(2 if family == "valkey" else 1)
    source, target, _ = cluster.masters()
    slot = 42
    keys = [f"{{{slots.slot_tag(slot)}}}:{number}" for number in range(10)]
    for database in databases:
        for key in keys:
            cluster.run("SET", key, key, database=database)
    move = cluster.begin_slot_move(slot, target)
    assert move.migrate_some(4) == 4
    # In the middle: some keys here, some there, all reachable.
    assert {cluster.run("GET", key) for key in keys} == {key.encode() for key in keys}
    assert source.command("CLUSTER", "COUNTKEYSINSLOT", slot) == 6
    move.migrate_all().finish()
    assert cluster.owner(slot) is target
    for database in databases:
        assert [cluster.run("GET", key, database=database) for key in keys] == [key.encode() for key in keys]
    cluster.move_slots(0, 9, target)
    assert cluster.layout()[source] == [(10, slot - 1), (slot + 1, 5460)]


def test_cluster_failover_and_killed_master(bench):
    cluster = bench.cluster(masters=3, replicas_per_master=1)
    first = cluster.masters()[0]
    cluster.failover(cluster.replicas(first)[0])
    assert cluster.masters()[0] is cluster.nodes[3]
    assert cluster.kill_master(cluster.nodes[3]) is first
    cluster.nodes[3].start()
    cluster.wait_ok()
    assert cluster.replicas(first) == [cluster.nodes[3]]


def test_node_with_foreign_shard_id_starts_again(bench):
    """What Valkey 8 may leave in nodes.conf after a failover, and refuses to start with."""
    cluster = bench.cluster("valkey-8", masters=3, replicas_per_master=1)
    replica = cluster.nodes[3]
    replica.kill()
    path = replica.folder / "nodes.conf"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(SHARD_ID.sub("shard-id=" + "0" * 40, line) if "myself" in line else line for line in lines) + "\n")
    replica.start()
    cluster.wait_ok()
    assert replica in cluster.replicas()


def test_owner_that_has_forgotten_a_slot_is_told(bench):
    cluster = bench.cluster(masters=2, replicas_per_master=0)
    node = cluster.masters()[1]
    slot = cluster.layout()[node][0][0]
    node.command("CLUSTER", "DELSLOTS", slot)
    assert {view.ranges[0][0] for view in cluster.views(node) if view.id == node.id} == {slot + 1}
    cluster.claim_forgotten_slots(node)
    cluster.wait_ok()
    assert cluster.owner(slot) is node


def test_cluster_grows_and_shrinks(bench):
    cluster = bench.cluster(replicas_per_master=0)
    added = cluster.add_node()
    cluster.move_slots(0, 3, added)
    replica = cluster.add_node(master=added)
    assert cluster.masters()[0] is added and cluster.replicas(added) == [replica]
    cluster.remove_node(replica)
    assert replica not in cluster.nodes


def test_cluster_with_tls_and_password(bench):
    cluster = bench.cluster(tls=bench.tls, client_certificates="yes", password="s3cret", replicas_per_master=0)
    key = f"{{{slots.slot_tag(0)}}}"
    cluster.run("SET", key, "value")
    cluster.move_slot(0, cluster.masters()[1])
    assert cluster.run("GET", key) == b"value"
    assert cluster.client().get(key) == b"value"


@pytest.mark.parametrize("family", NEWEST)
def test_sentinel_failover(bench, family):
    group = bench.sentinel(family, password="s3cret", sentinel_password="watch")
    old = group.master
    old.command("SET", "key", "value")
    group.replicas[0].wait_in_sync(old)
    new = group.failover()
    assert new is not old and group.replicas == [old]
    assert new.command("GET", "key") == b"value"


def test_sentinel_failover_that_is_given_up(bench):
    """The replica is silent when it is told to be a master: the Sentinel gives up, and is asked again."""
    group = bench.sentinel()
    old, replica, sentinel = group.master, group.replicas[0], group.sentinels[0]
    sentinel.command("SENTINEL", "SET", group.master_name, "failover-timeout", 2000)
    # The replica is taken for one that may be promoted, also where the Sentinel comes a little later to asking.
    sentinel.command("SENTINEL", "SET", group.master_name, "down-after-milliseconds", 60_000)
    replica.pause()
    failover = threading.Thread(target=group.failover)
    failover.start()
    try:
        wait_for(lambda: "-failover-abort" in sentinel.log_path.read_text(), what="the failover to be given up")
    finally:
        replica.resume()
        failover.join()
    assert group.master is replica and group.replicas == [old]


def test_sentinel_replaces_a_killed_master(bench):
    group = bench.sentinel()
    old = group.master
    old.kill()
    assert group.wait_failover(old) is not old
    old.start()
    group.wait_ok()
    assert group.replicas == [old]
