"""`keyferry verify` under a flood of writes: what it finds of planted differences, and at which rate the source was written to meanwhile."""

from .compare import assert_same, is_heartbeat, is_own
from .data import fill
from .deployment import Opened
from .ferry import Ferry
from .flood import Flood
from .planting import Planter, found
from .scenario import masters_of


class Verified:
    """One run of keyferry verify under the flood."""

    def __init__(self, flood, ferry, *words):
        begun = flood.mark()
        self.code, self.differences, self.summary = ferry.verify(*words)
        self.rate = flood.rate_since(begun)

    @property
    def found(self):
        """{(database, key): kind} of those that are proven."""
        return {place: kind for place, kind in found(self.differences).items() if kind != "undecided"}


def verify_under_load(bench, rate, keys=10000, planted=1000):
    """A source with that many keys of all kinds, and a task, under `rate` writes a second: {mode: Verified}, and the Planter.

    clean, outline   before anything is planted, in full and by outline
    planted, repair  with the differences, without and with --repair
    In the end both sides are the same, which is asserted."""
    source, target = bench.server(), bench.server()
    fill(source, keys=keys)
    ferry = Ferry(bench, source, target)
    with Flood(source, rate=rate) as flood:
        ferry.start().wait_streaming()
        results = {"clean": Verified(flood, ferry), "outline": Verified(flood, ferry, "--mode", "outline")}
        with Opened(target) as opened:
            connection = opened.nodes[0].connection
            planter = Planter(lambda _, *words: connection.call(*words))
            places = (key for key in target.client().scan_iter(count=5000) if key.startswith(b"d:") and not is_heartbeat(key) and not is_own(key))
            planter.plant(0, sorted(places), planted)
        results["planted"] = Verified(flood, ferry)
        results["repair"] = Verified(flood, ferry, "--repair")
    assert not flood.errors, flood.errors[:3]
    ferry.wait_in_step(*masters_of(source))
    assert ferry.verify()[:2] == (0, [])
    assert ferry.stop() == 0
    # The source's own times of expiry are exact only where nothing has touched them since.
    assert_same(source, target, as_replica=True)
    return results, planter
