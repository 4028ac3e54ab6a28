"""A chaos run: phases of faults under load, an exact comparison after each.

    chaos = Chaos(bench, "standalone", seed=7)
    chaos.run(faults=20)

The seed decides the faults and their order; the log says each when it begins, so that a run can be read and a failure narrowed down. What the
servers and the machine do in between is not decided by the seed: a run is repeatable as an experiment is, not as the simulator is."""

import random
import time

from bench.compare import assert_same
from bench.data import fill
from bench.load import Load
from bench.slots import key_slot

from .faults import of_scene
from .scenes import SCENES

PHASE_FAULTS = 5
UNITS_BETWEEN = 300      # of the writer, between two faults
TAGS = 20                # of the writer's keys
# MIGRATE passes the time that is left to a key, so each move of its slot puts its expiry off by the time on the way.
MOVED_MS = 60_000


class Chaos:
    """mode   of the writer (load.py): "all" where each command must be applied exactly once, whatever happens"""

    def __init__(self, bench, scene, seed, mode="all", options=None, only=None, keys=2000):
        self.rng = random.Random(seed)
        self.seed = seed
        self.scene = SCENES[scene](bench, options or {})
        self.ferry = self.scene.ferry
        self.mode = mode
        self.faults = {name: function for name, function in of_scene(scene).items() if only is None or name in only}
        self.history = []
        self.load = None
        fill(self.scene.source, keys=keys)

    # ---- what faults use ----

    def write(self, units):
        """The writer goes on for so many units, whether keyferry runs or not."""
        goal = self.load.acknowledged + units
        while self.load.acknowledged < goal and not self.load.errors:
            time.sleep(0.005)

    @staticmethod
    def used_slots():
        """Those that the writer's keys are in."""
        return [key_slot(b"w:{%d}" % tag) for tag in range(TAGS)]

    # ---- the run ----

    def told(self):
        """What has happened so far, for a report."""
        return f"seed {self.seed}: {', '.join(self.history[-2 * PHASE_FAULTS:])}"

    def _phase(self, number, count):
        with Load(self.scene.source, rate=1000, mode=self.mode, seed=self.seed * 1000 + number, keys=50 * TAGS) as self.load:
            for _ in range(count):
                name = self.rng.choice(sorted(self.faults))
                self.history.append(name)
                print(f"chaos: seed {self.seed}, fault {len(self.history)}: {name}", flush=True)
                self.faults[name](self)
                self.write(UNITS_BETWEEN)
        assert not self.load.errors, self.load.errors
        if self.scene.clusters:
            self.scene.source.wait_ok()
            self.scene.target.wait_ok()
        self.ferry.wait_in_step(*self.scene.links_of(self.scene.source_masters()), timeout=300)
        try:
            assert_same(self.scene.source, self.scene.target, as_replica=True, expiry_tolerance_ms=MOVED_MS if self.scene.clusters else 0)
        except AssertionError as error:
            raise AssertionError(f"{error}\nafter {self.told()}") from error

    def run(self, faults):
        """So many faults. Returns when all is equal and keyferry has stopped."""
        self.ferry.start().wait_streaming()
        for number, done in enumerate(range(0, faults, PHASE_FAULTS)):
            self._phase(number, min(PHASE_FAULTS, faults - done))
        assert self.ferry.stop() == 0
