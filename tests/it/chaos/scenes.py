"""The scenes of a chaos run: a source, a target, what stands between them, and keyferry."""

from bench.ferry import Ferry
from bench.proxy import Proxy
from bench.scenario import masters_of

# Nothing that was acknowledged is lost by a kill -9: what the servers themselves lose is not what is tested here.
AOF = {"appendonly": "yes", "appendfsync": "always"}
# A frozen server, or one whose connection was cut silently, is noticed soon.
OPTIONS = {"timeouts.replication": "5s", "timeouts.connect": "5s", "heartbeat.interval": "1s"}


class Scene:
    """source, target    bench servers or clusters
    ways              {"source": Proxy, "target": Proxy}, where there are any
    clusters          both sides are clusters"""

    def __init__(self, source, target, ways, ferry):
        self.source = source
        self.target = target
        self.ways = ways
        self.ferry = ferry
        self.clusters = hasattr(target, "masters")

    def source_masters(self):
        return masters_of(self.source)

    def target_masters(self):
        return masters_of(self.target)

    def links_of(self, masters):
        """The names of the links in the status, by master: of a proxy its own address."""
        return [self.ways["source"] if "source" in self.ways else master for master in masters]


def standalone(bench, options):
    """Two servers, a proxy in front of each."""
    source, target = bench.server(config=AOF), bench.server(config=AOF)
    ways = {"source": Proxy(bench, source), "target": Proxy(bench, target)}
    return Scene(source, target, ways, Ferry(bench, ways["source"], ways["target"], OPTIONS | options))


def clusters(bench, options):
    """Two clusters of other layouts, with a replica for each master."""
    source = bench.cluster(masters=2, replicas_per_master=1, config=AOF)
    target = bench.cluster(masters=3, replicas_per_master=1, config=AOF)
    return Scene(source, target, {}, Ferry(bench, source, target, OPTIONS | options))


SCENES = {"standalone": standalone, "clusters": clusters}
