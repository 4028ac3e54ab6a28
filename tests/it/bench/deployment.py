"""A deployment as the data tools see it: its masters, where a key lives, which databases hold keys.

Understands a standalone server, a cluster (found from any of its nodes), the master that Sentinels name, and a list of standalone
masters that form one source together (every proxy-sharded setup).
"""

import dataclasses
import functools

import redis

from . import wire

SCAN_COUNT = 2000
SEED_SECONDS = 5    # how long a node may take to tell the topology; another is asked then


class Node:
    """One master: its address, one connection opened when first needed, and facts about the server."""

    def __init__(self, address, timeout=wire.TIMEOUT_SECONDS):
        self.address = address
        self._timeout = timeout
        self._connection = None
        self._commands = {}

    def __repr__(self):
        return f"<Node {self.address}>"

    @property
    def connection(self):
        if self._connection is None:
            self._connection = wire.Connection(self.address, self._timeout)
        return self._connection

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def info(self, section="server"):
        """INFO as a dict of texts."""
        text = self.connection.call("INFO", section).decode(errors="replace")
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    @functools.cached_property
    def version(self):
        """(family, (major, minor, patch)): ("valkey", (9, 1, 2))."""
        info = self.info()
        family = "valkey" if "valkey_version" in info else "redis"
        return family, tuple(int(part) for part in info[f"{family}_version"].split(".")[:3])

    def has_command(self, name):
        """Does the server know this command?"""
        if name not in self._commands:
            reply = self.connection.call("COMMAND", "INFO", name)
            self._commands[name] = bool(reply and reply[0])
        return self._commands[name]

    def databases(self):
        """Numbers of the databases that hold keys."""
        return sorted(int(name[2:]) for name in self.info("keyspace") if name.startswith("db") and name[2:].isdigit())

    def scan(self, database):
        """Yields lists of keys. A key may come twice, as SCAN has it."""
        connection = self.connection
        connection.select(database)
        cursor = b"0"
        while True:
            cursor, keys = connection.call("SCAN", cursor, "COUNT", SCAN_COUNT)
            yield keys
            if cursor == b"0":
                return


@dataclasses.dataclass(frozen=True)
class Duplicate:
    """A key that two masters of one deployment hold."""

    database: int
    key: bytes
    nodes: tuple


class Deployment:
    """All masters of one deployment. Use as a context manager, or close() it."""

    def __init__(self, addresses, behind=None):
        """addresses: list of wire.Address; of a cluster any one node that answers will do
        behind: of nodes that a cluster shows at the port of a proxy: {that port: the server's own}"""
        self._seeds = list(addresses)
        self._behind = behind or {}
        self.cluster = False
        self.nodes = []
        self._slots = []
        self.refresh()

    @classmethod
    def of(cls, spec, tls=None):
        """From an address or URL, a list of them separated by commas, a bench server, cluster or Sentinel group, a list of any of
        these, or a Deployment (returned as it is)."""
        if isinstance(spec, Deployment):
            return spec
        if hasattr(spec, "sentinels"):
            return Watched(spec)
        return cls(list(_addresses(spec, tls)), getattr(spec, "behind", None))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for node in self.nodes:
            node.close()

    def __str__(self):
        return ",".join(str(node.address) for node in self.nodes)

    @property
    def moves(self):
        """May a key have another master after refresh()?"""
        return self.cluster

    def address_shown(self, host, port):
        """The address of what the cluster calls so."""
        seed = self._seeds[0]
        return seed.at(host or seed.host, self._behind.get(port, port))

    def refresh(self):
        """Reads the topology again (after a failover or a slot move)."""
        self.close()
        problem = None
        for seed in list(self._seeds):
            node = Node(seed, SEED_SECONDS)
            try:
                self.cluster = node.info("cluster").get("cluster_enabled") == "1"
                if not self.cluster:
                    break
                if self._read_slots(node):
                    return
            except (OSError, wire.ReplyError) as error:
                # Asked last from now on: it may be gone for long.
                self._seeds.sort(key=lambda one, last=seed: one == last)
                problem = error
            finally:
                node.close()
        else:
            raise ConnectionError(f"no node of {', '.join(map(str, self._seeds))} answers with a topology: {problem}")
        self.nodes = [Node(address) for address in self._seeds]

    def _read_slots(self, seed):
        by_address = {}
        slots = [None] * wire.SLOTS
        for first, last, *servers in seed.connection.call("CLUSTER", "SLOTS"):
            # A server that does not know its own address yet shows an empty one.
            addresses = [seed.address.at(host.decode() if host else seed.address.host, self._behind.get(port, port))
                         for host, port, *_ in servers]
            node = by_address.setdefault(addresses[0], Node(addresses[0]))
            slots[first:last + 1] = [node] * (last - first + 1)
            self._seeds += [address for address in addresses if address not in self._seeds]
        if not by_address:
            return False
        self.nodes, self._slots = list(by_address.values()), slots
        return True

    def node_of(self, key):
        """The node that a key belongs to by its slot; None when only a scan can tell (several standalone masters)."""
        if self.cluster:
            return self._slots[wire.slot_of(key)]
        return self.nodes[0] if len(self.nodes) == 1 else None

    def node_of_slot(self, slot):
        return self._slots[slot] if self.cluster else self.nodes[0]

    def databases(self):
        return sorted({number for node in self.nodes for number in node.databases()})

    def locate(self, database, ignored=lambda key: False):
        """Scans all masters: ({key: node}, [Duplicate])."""
        found, duplicates = {}, []
        for node in self.nodes:
            for keys in node.scan(database):
                for key in keys:
                    if ignored(key):
                        continue
                    other = found.setdefault(key, node)
                    if other is not node:
                        duplicates.append(Duplicate(database, key, (other, node)))
        return found, duplicates

    def functions(self):
        """The function libraries as [{"library", "engine", "functions", "code"}, ...] ordered by name, or None where the
        servers have no functions. AssertionError when the masters of a cluster disagree."""
        found = None
        for node in self.nodes:
            libraries = _functions_of(node)
            if found is not None and libraries != found[1]:
                raise AssertionError(f"{node.address} and {found[0]} hold different function libraries")
            found = (node.address, libraries)
        return found[1]


class Watched(Deployment):
    """The master that the Sentinels of a bench.sentinel() name at the moment."""

    moves = True

    def __init__(self, group):
        self._group = group
        super().__init__([])

    def refresh(self):
        self.close()
        try:
            self.nodes = [Node(_address_of_server(self._group.master))]
        except redis.exceptions.RedisError as error:
            raise ConnectionError(f"the Sentinels do not name a master: {error}") from error


class Opened:
    """Opens what a caller named and closes what it opened itself."""

    def __init__(self, spec):
        self._spec = spec
        self._deployment = None

    def __enter__(self):
        self._deployment = Deployment.of(self._spec)
        return self._deployment

    def __exit__(self, *_):
        if self._deployment is not self._spec:
            self._deployment.close()


def _functions_of(node):
    if not node.has_command("FUNCTION"):
        return None
    libraries = []
    for reply in node.connection.call("FUNCTION", "LIST", "WITHCODE"):
        fields = dict(zip(reply[::2], reply[1::2]))
        names = [dict(zip(function[::2], function[1::2]))[b"name"].decode() for function in fields[b"functions"]]
        libraries.append({"library": fields[b"library_name"].decode(), "engine": fields[b"engine"].decode(),
                          "functions": sorted(names), "code": fields[b"library_code"].decode(errors="surrogateescape")})
    return sorted(libraries, key=lambda library: library["library"])


def _addresses(spec, tls):
    if isinstance(spec, wire.Address):
        yield spec
    elif isinstance(spec, str):
        for part in spec.split(","):
            yield wire.Address.parse(part.strip(), tls)
    elif hasattr(spec, "connection_options"):   # bench.servers.Server
        yield _address_of_server(spec)
    elif hasattr(spec, "nodes"):                # bench.cluster.Cluster
        for server in spec.nodes:
            yield _address_of_server(server)
    else:
        for one in spec:
            yield from _addresses(one, tls)


def _address_of_server(server):
    options = server.connection_options()
    tls = None
    if server.tls:
        tls = wire.tls_context(options.get("ssl_ca_certs"), options.get("ssl_certfile"), options.get("ssl_keyfile"))
    return wire.Address(options["host"], options["port"], server.username, server.password, tls)
