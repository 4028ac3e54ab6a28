"""What the `bench` fixture is: it makes servers and groups of servers, and ends them all."""

import functools
import itertools
import pathlib
import shutil

from . import versions
from .cluster import Cluster, NODE_TIMEOUT_MS, Node
from .disk import SmallDisk
from .proxy import Proxy
from .sentinel import MASTER_NAME, Sentinel, SentinelGroup
from .servers import Server, start_all
from .tls import Authority


class Bench:
    """Makes servers for one test and ends them all afterwards, whatever happened.

    The `version` of its methods is a Version, a name ("redis-6.0", "valkey": the newest of it; the test is skipped
    when it is missing) or None, the system's own. Options that are not named are those of Server."""

    def __init__(self, folder, authority):
        """authority   a function that makes the session's tls.Authority when it is first needed"""
        self.folder = pathlib.Path(folder)
        self._authority = authority
        self.servers = []
        self._numbers = itertools.count()

    @functools.cached_property
    def tls(self):
        """The session's certificates: bench.server(tls=bench.tls)."""
        return self._authority()

    def another_authority(self):
        """Certificates that nobody trusts."""
        return Authority(self.folder / "another-authority", "a CA that nobody trusts")

    @staticmethod
    def version(wanted=None):
        if wanted is None:
            return versions.system()
        return versions.find(wanted) if isinstance(wanted, str) else wanted

    def new_server(self, version=None, kind=Server, name="server", **options):
        """A server that is not started."""
        number = next(self._numbers)
        server = kind(self.version(version), self.folder / f"{name}-{number}", name=f"{name}-{number}", **options)
        self.servers.append(server)
        return server

    def server(self, version=None, **options):
        """A running standalone server."""
        return self.new_server(version, **options).start()

    def replica_pair(self, version=None, replica_version=None, **options):
        """(master, replica), in sync."""
        master = self.new_server(version, name="master", **options)
        replica = self.new_server(replica_version or version, name="replica", **options)
        start_all([master, replica])
        return master, replica.replicate(master)

    def cluster(self, version=None, masters=3, replicas_per_master=1, layout=None, name="node", node_timeout=NODE_TIMEOUT_MS,
                config=None, ways=False, **options):
        """A running Cluster (see Cluster.make for the layout). ways: with a Proxy in front of each node (Redis 7.0 or newer)."""
        config = {"cluster-node-timeout": node_timeout} | (config or {})

        def new_node():
            node = self.new_server(self.version(version), Node, name, config=config, **options)
            return node.show_at(Proxy(self, node)) if ways else node
        return Cluster.make(new_node, masters, replicas_per_master, layout)

    def sentinel(self, version=None, replicas=1, sentinels=3, quorum=2, sentinel_password=None, master_name=MASTER_NAME, **options):
        """A running SentinelGroup; the options are those of the servers it watches."""
        version = self.version(version)
        servers = [self.new_server(version, name="watched", **options) for _ in range(1 + replicas)]
        secure = {name: options[name] for name in ("tls", "client_certificates") if name in options}
        new_sentinel = functools.partial(self.new_server, version, Sentinel, "sentinel", password=sentinel_password, master_name=master_name, **secure)
        return SentinelGroup.make(servers, new_sentinel, sentinels, quorum)

    def logs(self):
        """The end of every server's log, for the report of a failed test."""
        return "\n".join(server.log_tail() for server in self.servers)

    def keep(self, folder):
        """Copies what the servers and keyferry have on the disk, as it is now, with the status of those that have one."""
        for server in self.servers:
            if hasattr(server, "keep_status"):
                server.keep_status()
        try:
            shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        except shutil.Error as error:
            # Sockets, and what a server that still runs has removed meanwhile: the rest is there.
            print(f"not kept: {error}")

    def close(self):
        """Ends every server, also when ending one of them fails.

        First what connects to others, then all servers, and only then ports are given back: a keyferry that is still looking for its server would find the one
        that another test has started there meanwhile, and write into it; so would nodes of a cluster."""
        problems = []

        def each(action, some):
            for one in some:
                try:
                    action(one)
                except Exception as problem:  # pylint: disable=broad-except
                    problems.append(f"{one!r}: {problem}")
        servers = [one for one in self.servers if isinstance(one, Server)]
        between = [one for one in self.servers if isinstance(one, (Proxy, SmallDisk))]
        each(lambda one: one.close(), [one for one in self.servers if one not in servers and one not in between])
        each(lambda one: one.close(), between)
        each(lambda one: one.kill(), servers)
        each(lambda one: one.close(), servers)
        self.servers = []
        if problems:
            raise RuntimeError("could not end: " + "; ".join(problems))
