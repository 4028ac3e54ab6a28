"""A cluster of real servers, of any layout."""

import dataclasses
import re

import redis

from . import slots
from .servers import Server, start_all
from .waiting import TIMEOUT_SECONDS, wait_for

# Small, so that a killed master is replaced soon; large enough that a busy machine does not fail over by itself.
NODE_TIMEOUT_MS = 3000
FORM_SECONDS = TIMEOUT_SECONDS
MIGRATE_TIMEOUT_MS = 10000
MIGRATE_BATCH = 100
FAILOVER_SECONDS = 10
FAILOVER_ATTEMPTS = 6
FORGOTTEN_SECONDS = 30  # longer than nodes need to agree
REDIRECTIONS = 16
SHARD_ID = re.compile(r"shard-id=[0-9a-f]{40}")


class Node(Server):
    """A server in cluster mode.

    way   None, or the Proxy in front of it, at whose port the cluster shows it to clients and replicas; the bench itself goes past it"""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, cluster=True, **options)
        self._id = None
        self.way = None

    def show_at(self, way):
        """Before its first start."""
        self.way = way
        self.config["cluster-announce-port"] = way.port
        return self

    @property
    def shown_port(self):
        return self.way.port if self.way else self.port

    @property
    def id(self):
        """Its name in the cluster, 40 hexadecimal digits."""
        if self._id is None:
            self._id = self.command("CLUSTER", "MYID").decode()
        return self._id

    def launch(self):
        self._mend_shard_ids()
        return super().launch()

    def _mend_shard_ids(self):
        """Gives the replicas in its nodes.conf the shard id of their master.

        Valkey 8.0 and 8.1 may leave others there around a failover, and then refuse to start ("corrupted cluster config
        file", valkey issue 2171)."""
        path = self.folder / "nodes.conf"
        if not path.exists():
            return
        lines = path.read_text(encoding="utf-8").splitlines()
        ids = {line.split()[0]: found[0] for line in lines if (found := SHARD_ID.search(line))}
        mended = [SHARD_ID.sub(ids.get(line.split()[3], "\\g<0>"), line) if SHARD_ID.search(line) else line for line in lines]
        if mended != lines:
            path.write_text("\n".join(mended) + "\n", encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class View:
    """What one node says of another (or of itself) in CLUSTER NODES."""
    id: str
    port: int
    flags: frozenset
    master: str | None    # id of the master of a replica
    epoch: int            # of its configuration
    connected: bool
    ranges: tuple         # of (first, last)
    moving: tuple         # as printed: "[93->-id]" leaving for id, "[93-<-id]" coming from id

    @property
    def failed(self):
        return "fail" in self.flags


def _parse_view(line):
    name, address, flags, master, _, _, epoch, link, *parts = line.split()
    ranges = []
    for part in parts:
        if not part.startswith("["):
            first, _, last = part.partition("-")
            ranges.append((int(first), int(last or first)))
    # ip:port@busport[,hostname][,tls-port=...]
    port = int(address.split("@")[0].rpartition(":")[2])
    return View(name, port, frozenset(flags.split(",")), None if master == "-" else master, int(epoch), link == "connected",
                tuple(ranges), tuple(part for part in parts if part.startswith("[")))


def _slots_of(view):
    return (slot for first, last in view.ranges for slot in range(first, last + 1))


class Cluster:
    """Made by `bench.cluster()`.

    nodes   all its servers, in the order of the layout: masters first, then the replicas of the first master, ...
            A server keeps its place here whatever its role becomes; masters() and replicas() tell the present roles."""

    def __init__(self, new_node, nodes):
        self._new_node = new_node
        self.nodes = nodes

    # -- making -----------------------------------------------------------------------------------------------------

    @classmethod
    def make(cls, new_node, masters=3, replicas_per_master=1, layout=None):
        """Starts the servers and forms the cluster.

        new_node   makes one Node that is not started
        layout     one list of slot ranges (first, last) a master; default: all slots dealt evenly over `masters`"""
        layout = layout or slots.even_layout(masters)
        count = len(layout)
        nodes = [new_node() for _ in range(count * (1 + replicas_per_master))]
        cluster = cls(new_node, nodes)
        start_all(nodes)
        for epoch, (node, ranges) in enumerate(zip(nodes, layout), 1):
            # Distinct from the start, else nodes settle the collision among themselves, which takes time.
            node.command("CLUSTER", "SET-CONFIG-EPOCH", epoch)
            _add_slots(node, ranges)
        cluster._introduce(nodes)
        for index, replica in enumerate(nodes[count:]):
            replica.command("CLUSTER", "REPLICATE", nodes[index // replicas_per_master].id)
        cluster.wait_ok()
        return cluster

    def _introduce(self, newcomers):
        """Everybody meets every newcomer, not through gossip, which takes many seconds; waits until all know all."""
        for newcomer in newcomers:
            for node in self._running():
                if node is not newcomer and (node not in newcomers or self.nodes.index(node) < self.nodes.index(newcomer)):
                    node.command("CLUSTER", "MEET", newcomer.host, newcomer.port)
        expected = {node.id for node in self.nodes}

        def all_known():
            return all({view.id for view in self.views(node) if not view.flags & {"handshake", "noaddr"} and view.connected}
                       >= expected for node in self._running())
        wait_for(all_known, FORM_SECONDS, "all nodes to know each other")

    def add_node(self, master=None):
        """A new node: an empty master, or a replica of `master`. Returns it when all know it."""
        node = self._new_node()
        self.nodes.append(node)
        node.start()
        self._introduce([node])
        if master is not None:
            node.command("CLUSTER", "REPLICATE", master.id)
        self.wait_ok()
        return node

    def remove_node(self, node):
        """Ends a node and makes the others forget it; it must not own slots."""
        name = node.id
        self.nodes.remove(node)
        node.kill()
        for other in self._running():
            other.command("CLUSTER", "FORGET", name)
        self.wait_ok()

    # -- what it looks like -----------------------------------------------------------------------------------------

    @property
    def addresses(self):
        return [node.address for node in self.nodes]

    @property
    def url(self):
        """The URL of one node: the others are found by asking it."""
        return self._running()[0].url

    @property
    def behind(self):
        """{port that is shown: the server's own}."""
        return {node.shown_port: node.port for node in self.nodes}

    def _running(self):
        return [node for node in self.nodes if node.running and not node.paused]

    @staticmethod
    def views(node):
        """CLUSTER NODES of one node, parsed."""
        return [_parse_view(line) for line in node.command("CLUSTER", "NODES").decode().splitlines()]

    def by_id(self, name):
        return next(node for node in self.nodes if node.id == name)

    def masters(self):
        """The servers that own slots now, in the order of their first slot."""
        return list(self.layout())

    def replicas(self, master=None):
        """The servers that are replicas now, of `master` when given."""
        found = [(view.id, view.master) for view in self._any_view() if "slave" in view.flags and not view.failed]
        return [self.by_id(name) for name, of in found if master is None or of == master.id]

    def layout(self):
        """dict server -> its list of slot ranges, in the order of the first slot."""
        owners = sorted((view for view in self._any_view() if view.ranges), key=lambda view: view.ranges)
        return {self.by_id(view.id): list(view.ranges) for view in owners}

    def owner(self, slot):
        """The server that owns the slot now."""
        return next(node for node, ranges in self.layout().items() if any(first <= slot <= last for first, last in ranges))

    def master_of(self, key):
        """The server that owns the key's slot now."""
        return self.owner(slots.key_slot(key))

    def _any_view(self):
        return self.views(self._running()[0])

    def _agreed(self):
        """Whether all running nodes say the same of who is alive, who is master of whom and who owns what.

        And of the epochs: a master that takes a slot over before it has heard of a higher epoch than its own keeps its
        own, and the other one may get the slot back."""
        opinions = [{(view.id, view.master, view.failed, view.ranges, view.epoch) for view in self.views(node)}
                    for node in self._running()]
        return all(opinion == opinions[0] for opinion in opinions)

    def _states_ok(self):
        return all(_cluster_info(node)["cluster_state"] == "ok" for node in self._running())

    def _replicas_behind(self):
        """[(replica, what it says of its replication, its master's offset)]"""
        behind = []
        for view in self._any_view():
            if "slave" in view.flags and not view.failed:
                # The master is asked first: under load it is always ahead of what its replica said before.
                written = self.by_id(view.master).info("replication")["master_repl_offset"]
                replica = self.by_id(view.id)
                state = replica.info("replication")
                if state["role"] != "slave" or state["master_link_status"] != "up" or state["slave_repl_offset"] < written:
                    behind.append((replica, {name: value for name, value in state.items() if name.startswith(("role", "master_", "slave_"))}, written))
        return behind

    def wait_ok(self, timeout=FORM_SECONDS):
        """Waits until all running nodes agree, report cluster_state ok, and the replicas are in sync."""
        wait_for(self._is_whole, timeout, "the cluster to be ok and agreed, with its replicas in sync")
        return self

    def _is_whole(self):
        """What is missing is told by the report of a wait in vain."""
        assert self._agreed(), "\n".join(f"{node!r} says:\n{node.command('CLUSTER', 'NODES').decode()}" for node in self._running())
        assert self._states_ok(), ", ".join(f"{node!r} is {_cluster_info(node)['cluster_state']}" for node in self._running())
        assert not (behind := self._replicas_behind()), f"behind their masters: {behind}"
        return True

    # -- commands ---------------------------------------------------------------------------------------------------

    def run(self, *words, key=None, database=0, timeout=TIMEOUT_SECONDS):
        """One command at the node that owns its key (the second word unless given), redirections followed.

        A cluster that is down for the moment or a key on its way is waited for."""
        slot = slots.key_slot(words[1] if key is None else key)
        return wait_for(lambda: self._try(words, slot, database), timeout, f"an answer to {words[0]}")[0]

    def _try(self, words, slot, database):
        """The answer in a tuple, so that no answer counts as false; None: try again."""
        node, asking = self.owner(slot), False
        for _ in range(REDIRECTIONS):
            try:
                with node.client_for_commands(database).pipeline(transaction=False) as pipeline:
                    if asking:
                        pipeline.execute_command("ASKING")
                    pipeline.execute_command(*words)
                    return (pipeline.execute()[-1],)
            except redis.exceptions.ResponseError as error:
                # "MOVED 93 127.0.0.1:7001"; redis-py prefixes errors of a pipeline with the command.
                found = re.search(r"\b(MOVED|ASK) \d+ \S*:(\d+)$|\b(TRYAGAIN|CLUSTERDOWN) ", str(error))
                if not found:
                    raise
                if found[3]:
                    return None
                asking = found[1] == "ASK"
                node = next(one for one in self.nodes if one.shown_port == int(found[2]))
        return None

    def client(self, **options):
        """redis-py's own cluster client."""
        node = self._running()[0]
        options = node.connection_options() | {"username": node.username, "password": node.password} | options
        return redis.RedisCluster(**options)

    def on_masters(self, *words):
        """The same command on every master; a list of answers in the order of masters()."""
        return [node.command(*words) for node in self.masters()]

    def size(self):
        """How many keys it has (of database 0)."""
        return sum(self.on_masters("DBSIZE"))

    # -- changes ----------------------------------------------------------------------------------------------------

    def failover(self, replica, how=None):
        """Makes `replica` a master by CLUSTER FAILOVER (how: None, "FORCE" or "TAKEOVER"); waits until all agree.

        The servers give one up that is not done within five seconds, or for which too few have voted; it is asked for again then."""
        for attempt in range(FAILOVER_ATTEMPTS):
            # The one before may have been done just behind the time that was given to it.
            if replica.info("replication")["role"] == "master":
                break
            replica.command("CLUSTER", "FAILOVER", *([how] if how else []))
            try:
                wait_for(lambda: replica.info("replication")["role"] == "master", FAILOVER_SECONDS, f"{replica.name} to become master")
                break
            except TimeoutError:
                if attempt == FAILOVER_ATTEMPTS - 1:
                    raise
        return self.wait_master(replica)

    def wait_master(self, node, timeout=TIMEOUT_SECONDS):
        """Waits until `node` is a master that owns slots, in everybody's view, and the cluster is ok."""
        wait_for(lambda: node.info("replication")["role"] == "master" and node in self.masters(), timeout,
                 f"{node.name} to become master")
        try:
            self.wait_ok(FORGOTTEN_SECONDS)
        except TimeoutError:
            self.claim_forgotten_slots(node)
            self.wait_ok(timeout)
        return node

    def claim_forgotten_slots(self, node):
        """Tells a master which slots are its own.

        A replica that becomes master just behind a slot move may believe (Redis 7.0, under load) that nobody owns the slot that came last, which all
        others know to be its own. That stays so: nobody else would claim it."""
        owned = {slot for view in self.views(node) for slot in _slots_of(view)}
        other = next(one for one in self._running() if one is not node)
        forgotten = [slot for view in self.views(other) if view.id == node.id for slot in _slots_of(view) if slot not in owned]
        if forgotten:
            node.command("CLUSTER", "ADDSLOTS", *forgotten)

    def wait_takeover(self, slot, old_owner, timeout=TIMEOUT_SECONDS):
        """After `old_owner` was killed or paused: waits until another node owns the slot in everybody's view and the
        cluster is ok; returns that node."""
        wait_for(lambda: self.owner(slot) is not old_owner and self._agreed() and self._states_ok(), timeout,
                 f"a replica of {old_owner.name} to take over slot {slot}")
        return self.owner(slot)

    def kill_master(self, node):
        """kill -9, and waits until a replica has taken over, which is returned. Start it again with node.start()."""
        slot = self.layout()[node][0][0]
        node.kill()
        return self.wait_takeover(slot, node)

    def begin_slot_move(self, slot, target):
        """A SlotMove in which both sides are told, but no key has moved."""
        return SlotMove(self, slot, target).begin()

    def move_slot(self, slot, target):
        """Moves one slot with its keys, as redis-cli --cluster reshard does it."""
        self.begin_slot_move(slot, target).migrate_all().finish()

    def move_slots(self, first, last, target):
        for slot in range(first, last + 1):
            self.begin_slot_move(slot, target).migrate_all().finish(wait=False)
        wait_for(self._agreed, FORM_SECONDS, f"all nodes to see slots {first}-{last} at {target.name}")


class SlotMove:
    """The move of one slot, step by step: begin, migrate_some or migrate_all, finish."""

    def __init__(self, cluster, slot, target):
        self.cluster = cluster
        self.slot = slot
        self.target = target
        self.source = cluster.owner(slot)

    def begin(self):
        self.target.command("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self.source.id)
        self.source.command("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self.target.id)
        return self

    def migrate(self, *keys, database=0):
        """Moves these by MIGRATE."""
        credentials = []
        if self.target.username:
            credentials = ["AUTH2", self.target.username, self.target.password]
        elif self.target.password:
            credentials = ["AUTH", self.target.password]
        self.source.client_for_commands(database).execute_command("MIGRATE", self.target.host, self.target.port, "", database, MIGRATE_TIMEOUT_MS,
                                                                  *credentials, "KEYS", *keys)
        return self

    def migrate_some(self, count=MIGRATE_BATCH):
        """Moves up to `count` keys by MIGRATE; returns how many it found."""
        for database in range(self._database_count()):
            keys = self.source.client_for_commands(database).execute_command("CLUSTER", "GETKEYSINSLOT", self.slot, count)
            if keys:
                self.migrate(*keys, database=database)
                return len(keys)
        return 0

    def migrate_all(self):
        while self.migrate_some():
            pass
        return self

    def finish(self, wait=True):
        """Gives the slot to the target: told to the target first, then the source, then the others."""
        others = [node for node in self.cluster.masters() if node not in (self.target, self.source)]
        for node in (self.target, self.source, *others):
            node.command("CLUSTER", "SETSLOT", self.slot, "NODE", self.target.id)
        if wait:
            self.cluster.wait_ok()

    def _database_count(self):
        # Valkey 9 has several databases in cluster mode.
        return int(self.source.config_get("cluster-databases") or 1)


def _cluster_info(node):
    lines = node.command("CLUSTER", "INFO").decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _add_slots(node, ranges):
    if node.version.at_least(7, 0):
        words = [edge for one in ranges for edge in one]
        command = "ADDSLOTSRANGE"
    else:
        words = [slot for first, last in ranges for slot in range(first, last + 1)]
        command = "ADDSLOTS"
    if words:
        node.command("CLUSTER", command, *words)
