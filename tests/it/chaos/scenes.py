"""The scenes of a chaos run: a source, a target, what stands between them, and keyferry."""

import itertools

from bench.disk import SmallDisk
from bench.proxy import Proxy
from bench.scenario import masters_of

from .supervised import Supervised

# Nothing that was acknowledged is lost by a kill -9.
LOG = {"appendonly": "yes", "appendfsync": "always"}
# The backlog is soon too short for who was away, and a replica that does not read is soon dropped.
SOURCE = {"repl-backlog-size": "1mb", "client-output-buffer-limit": ("replica", "4mb", "0", "0")}
# A replica whose way to its master was cut silently notices soon.
CLUSTER = {"repl-timeout": "8", "repl-ping-replica-period": "2"}
# A frozen server, or one whose connection was cut silently, is noticed soon; a disk that is full soon has no room for the next segment.
OPTIONS = {"name": "chaos", "timeouts.replication": "5s", "timeouts.connect": "5s", "heartbeat.interval": "1s", "spool.segment_size": "1MiB"}
# Longer than any fault takes that is not to make the target's cluster choose another master: what that loses is not given back.
TARGET_NODE_TIMEOUT_MS = 20_000
DISK_MIB = 256
# Of the target's three masters: not as the source's slots are dealt.
OTHER_LAYOUT = [[(0, 2999)], [(3000, 9999), (16000, 16383)], [(10000, 15999)]]


class Scene:
    """source, target    bench servers, clusters or Sentinel groups
    ways              {bench server: the Proxy by which keyferry reaches it}, where there are any
    source_log        the source keeps a log, so that it loses nothing by a kill -9; else it comes back with what it saved last
    disk              SmallDisk that holds the work directory, or None where none may be mounted
    favourite         name of the fault that the scene is there for: it is every third one, or None
    ferry             the present keyferry"""

    def __init__(self, bench, source, target, ways, source_log, options, favourite=None):
        self.source = source
        self.favourite = favourite
        self.target = target
        self.ways = ways
        self.source_log = source_log
        self.clusters = hasattr(target, "layout")
        self._bench = bench
        self._options = OPTIONS | options
        self._numbers = itertools.count()
        try:
            self.disk = SmallDisk(bench, bench.folder / "disk", DISK_MIB)
        except OSError as error:
            print(f"chaos: the disk is never full here: {error}", flush=True)
            self.disk = None
        self.ferry = self.new_ferry()

    def new_ferry(self):
        """Another process for the same task, on another machine: its work directory is empty. Not started."""
        folder = self.disk.folder if self.disk else self._bench.folder
        source, target = (self.ways.get(side, side) for side in (self.source, self.target))
        return Supervised(self._bench, source, target, self._options, data=folder / f"data-{next(self._numbers)}")

    def source_masters(self):
        return masters_of(self.source)

    def target_masters(self):
        return masters_of(self.target)

    def ways_to(self, side):
        """The proxies in front of the present masters of "source" or "target"."""
        return [self.ways[node] for node in (self.source_masters() if side == "source" else self.target_masters())]

    def links(self):
        """What the links in the status are called by, in the order of source_masters(): of a proxy its own address."""
        return [self.ways.get(master, master) for master in self.source_masters()]

    def wait_whole(self):
        """Both sides are in order by themselves."""
        for side in (self.source, self.target):
            if hasattr(side, "wait_ok"):
                side.wait_ok()


def standalone(bench, rng, options):
    """Two servers, a proxy in front of each."""
    log = rng.random() < 0.5
    source, target = bench.server(config=SOURCE | (LOG if log else {})), bench.server(config=LOG)
    return Scene(bench, source, target, {node: Proxy(bench, node) for node in (source, target)}, log, options)


def clusters(bench, rng, options):
    """Two clusters of other layouts, with a replica for each master and a proxy in front of each node."""
    log = rng.random() < 0.5
    source = bench.cluster(masters=3, replicas_per_master=1, config=SOURCE | CLUSTER | (LOG if log else {}), ways=True)
    target = bench.cluster(layout=OTHER_LAYOUT, replicas_per_master=1, config=LOG | CLUSTER, node_timeout=TARGET_NODE_TIMEOUT_MS, ways=True)
    scene_ways = {node: node.way for node in source.nodes + target.nodes}
    return Scene(bench, source, target, scene_ways, log, options)


def atomic(bench, rng, options):
    """As `clusters`, with a source whose masters hand slots over by atomic migration."""
    log = rng.random() < 0.5
    source = bench.cluster("valkey-9", masters=3, replicas_per_master=1, config=SOURCE | CLUSTER | (LOG if log else {}), ways=True)
    target = bench.cluster("valkey-9", layout=OTHER_LAYOUT, replicas_per_master=1, config=LOG | CLUSTER, node_timeout=TARGET_NODE_TIMEOUT_MS, ways=True)
    scene_ways = {node: node.way for node in source.nodes + target.nodes}
    return Scene(bench, source, target, scene_ways, log, options, favourite="source_slots_handed_over")


def sentinels(bench, rng, options):
    """Both sides watched by Sentinels, which do not know of proxies."""
    log = rng.random() < 0.5
    source, target = bench.sentinel(config=SOURCE | (LOG if log else {})), bench.sentinel(config=LOG)
    return Scene(bench, source, target, {}, log, options)


SCENES = {"standalone": standalone, "clusters": clusters, "sentinels": sentinels, "atomic": atomic}
