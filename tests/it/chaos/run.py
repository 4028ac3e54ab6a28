"""A chaos run: phases of faults under load, an exact comparison after each.

    chaos = Chaos(bench, "standalone", seed=7)
    chaos.run(range(1, 21))

Seed and number of a fault decide which it is and everything it chooses; each says in the log what that was, so that a run can be read. As no fault takes
part in the chances of another one, a few of them may be run alone: the numbers of the phase that failed. What the servers and the machine do in between is
not decided by the seed: a run is repeatable as an experiment is, not as the simulator is."""

import random

from bench import ledger
from bench.compare import assert_same
from bench.data import fill
from bench.load import Load
from bench.slots import key_slot
from bench.waiting import wait_for

from .faults import of_scene
from .scenes import SCENES

PHASE_FAULTS = 5
FAVOURITE_EVERY = 3
UNITS_BETWEEN = 300      # of the writer, between two faults
RATE = 1000              # units a second
TAGS = 20                # of the writer's keys
PREFIX = b"w:"
FLOOD_VALUE = 100_000    # bytes
FLOOD_KEYS = 20
# MIGRATE passes the time that is left to a key, so each move of its slot puts its expiry off by the time on the way.
MOVED_MS = 60_000


class Chaos:
    """mode   of the writer (load.py): "all" where each command must be applied exactly once, whatever happens
    only   names of faults; default: all of the scene"""

    def __init__(self, bench, scene, seed, mode="all", options=None, only=None, keys=2000):
        self.seed = seed
        self.rng = self._dice("scene")
        self.scene = SCENES[scene](bench, self.rng, options or {})
        self.name = scene
        self.mode = mode
        self.faults = {name: function for name, function in of_scene(scene).items() if not only or name in only}
        if not self.scene.disk:
            self.faults.pop("disk_full", None)
        self.history = []
        self.phases = 0
        self.load = None
        fill(self.scene.source if not hasattr(self.scene.source, "master") else self.scene.source.master, keys=keys)

    def _dice(self, what):
        return random.Random(f"{self.seed}/{what}")

    # ---- what faults use ----

    @property
    def ferry(self):
        return self.scene.ferry

    def say(self, text):
        """What a fault has chosen."""
        self.history[-1] += f" ({text})"
        print(f"chaos: seed {self.seed}, fault {self.number}: {text}", flush=True)

    def write(self, units):
        """The writer goes on for so many units, whether keyferry runs or not."""
        goal = self.load.acknowledged + units
        wait_for(lambda: self.load.acknowledged >= goal or self.load.errors, what=f"{units} more units of the writer; {self.load.summary()}")

    def flood(self, megabytes):
        """The source gets so much at once, in large values."""
        for number in range(megabytes * 1_000_000 // FLOOD_VALUE):
            words = "SET", f"flood:{number % FLOOD_KEYS}", self.rng.randbytes(FLOOD_VALUE // 2).hex()
            source = self.scene.source
            source.run(*words) if hasattr(source, "run") else self.scene.source_masters()[0].command(*words)

    @staticmethod
    def used_slots():
        """Those that the writer's keys are in."""
        return [key_slot(b"w:{%d}" % tag) for tag in range(TAGS)]

    # ---- the run ----

    def told(self):
        """What has happened so far, for a report."""
        return f"seed {self.seed}: {', '.join(self.history[-2 * PHASE_FAULTS:])}"

    def _fault(self, number):
        self.number = number
        self.rng = self._dice(number)
        name = self.rng.choice(sorted(self.faults))
        if number % FAVOURITE_EVERY == 0 and self.scene.favourite in self.faults:
            name = self.scene.favourite
        self.history.append(f"{number} {name}")
        print(f"chaos: seed {self.seed}, fault {number}: {name}", flush=True)
        self.ferry.check_running()
        self.faults[name](self)
        self.write(UNITS_BETWEEN)

    def _wait_in_step(self):
        """The links read the history that the sources have now; an offset of another one would say nothing. (A server begins one when its first replica comes.)"""
        def in_history(status):
            return {link["source"]: link["position"]["replid"] for link in status["links"]} == \
                {link.address: link.info("replication")["master_replid"] for link in self.scene.links()}
        self.ferry.wait_status(in_history, what="links in the histories of their sources")
        self.ferry.wait_in_step(*self.scene.links())

    def _phase(self, numbers):
        self.phases += 1
        entries = b"%d.%d" % (self.seed, self.phases)
        with Load(self.scene.source, rate=RATE, mode=self.mode, seed=self.seed * 1000 + self.phases, keys=50 * TAGS, prefix=PREFIX,
                  ledger=entries if self.mode == "all" else None) as self.load:
            for number in numbers:
                self._fault(number)
        assert not self.load.errors, self.load.errors
        self.scene.wait_whole()
        self._wait_in_step()
        assert not any(way.failed for way in self.scene.ways.values())
        wrong = ledger.differences(self.scene.source, self.scene.target, PREFIX, TAGS)
        try:
            assert_same(self.scene.source, self.scene.target, as_replica=True, expiry_tolerance_ms=MOVED_MS if self.scene.clusters else 0)
        except AssertionError as error:
            wrong.append(str(error))
        assert not wrong, "\n".join(wrong[:50] + [f"after {self.told()}"])

    def run(self, numbers):
        """The faults of these numbers. Returns when all is equal and keyferry has stopped."""
        print(f"chaos: seed {self.seed}, {self.name}: the source keeps {'a log' if self.scene.source_log else 'snapshots'}", flush=True)
        self.ferry.start().wait_streaming()
        numbers = list(numbers)
        for begin in range(0, len(numbers), PHASE_FAULTS):
            self._phase(numbers[begin:begin + PHASE_FAULTS])
        code = self.ferry.stop()
        assert code == 0, f"keyferry ended with {code}"
        print(f"chaos: seed {self.seed}, {self.name}: {len(numbers)} faults and {self.phases} phases, all equal", flush=True)
