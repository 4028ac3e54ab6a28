"""The bench tested by itself: what the scenario tests rely on."""

import pytest

from bench import versions


@pytest.mark.parametrize("version", versions.parameters())
def test_each_version_starts(bench, version):
    server = bench.server(version)
    info = server.info("server")
    assert info["valkey_version" if version.is_valkey else "redis_version"] == version.text
    assert info["process_id"] == server.pid


def test_restart_keeps_data_and_port(bench):
    server = bench.server()
    client = server.client(db=3)
    client.set("key", "value")
    port = server.port
    server.restart()
    assert server.port == port
    assert client.get("key") == b"value"


def test_unix_socket(bench):
    server = bench.server(unix_socket=True)
    server.unix_client(db=1).set("key", "value")
    assert server.client(db=1).get("key") == b"value"
