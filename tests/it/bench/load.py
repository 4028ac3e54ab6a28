"""A running writer: a mix of write commands of all types at a steady rate, through redirections, failovers and restarts.

    load = Load(cluster, rate=2000).start()
    ...
    load.stop()        # returns when every command it has sent is answered
    load.counters      # what happened

    python3 tests/it/bench/load.py --address host:port --rate N --seconds N       (or until SIGTERM)

Modes:
- "all": everything that writes, including what must not be applied twice: counters, pushes and pops, transactions,
  scripts, renames. A command whose answer was lost with its connection is not sent again.
- "safe": only commands of which any part of the sequence may be applied again, provided the rest follows: the end is the
  same. For that each key keeps its type, and a collection always has its first element, so that removing another one
  never removes the key and with it its expiry. A command whose answer was lost is sent again.
- "lasting": as "safe", and no key is ever deleted: a snapshot brings all of them, so the end is the same also where
  the source has been copied twice.

The commands of a unit that belong together (a transaction) go to one slot: keys are <prefix>{<tag>}:<type>:<number>, and
a unit draws its keys from one tag.
"""

import argparse
import collections
import pathlib
import random
import signal
import sys
import threading
import time

if not __package__:
    # Run as a program: be the same package as when imported by a test.
    sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])
    __package__ = "bench"  # pylint: disable=redefined-builtin

# pylint: disable=wrong-import-position
from . import wire  # noqa: E402
from .deployment import Deployment  # noqa: E402
from .mix import FEATURES, Mix  # noqa: E402

TICK_SECONDS = 0.01
BATCH_UNITS = 500           # the most that one tick makes
WAITING_UNITS = 2000        # units that could not be delivered; no new ones are made beyond
RETRY_SECONDS = 0.1         # between attempts to reach a node again
ANSWER_SECONDS = 5          # a node that takes longer counts as gone
# The cluster's ways of saying "not now" or "not here".
LATER = ("TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY", "BUSY", "ASK", "MOVED", "NOREPLICAS", "MISCONF")
# Answers that only say that the key was not there any more.
HARMLESS = ("BUSYGROUP", "NOGROUP")


class Load:
    """The writer: a thread.

    deployment   anything Deployment.of() takes
    rate         units a second (a transaction is one unit)
    mode         "all", "safe" or "lasting", see above
    keys         about how many keys it uses
    databases    drawn from at random; (0,) for a cluster
    features     {command: whether it may be used} of data.features_of(), where not all that the deployment knows is wanted
    ledger       with mode "all": a text that no other writer of this prefix has; some units are entries of the ledger (ledger.py) then"""

    def __init__(self, deployment, rate=1000, mode="all", *, seed=1, keys=2000, databases=(0,), prefix=b"w:", tls=None, ledger=None, features=None):
        if mode not in ("all", "safe", "lasting"):
            raise ValueError(f"no such mode: {mode}")
        # Units: made, acknowledged, unknown, redirected, delayed. Error replies: "error <code>". And reconnects.
        self.counters = collections.Counter()
        self.rate = rate
        self._mode = mode
        self._deployment = Deployment.of(deployment, tls)
        self._mix = Mix(random.Random(seed), self._features(features or {}), mode, prefix, keys, list(databases), ledger)
        self._waiting = collections.deque()     # units to be sent (again)
        self._asking = {}                       # unit -> node to ask, for the next attempt only
        self._retry_at = 0.0
        self._connections = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._problem = None
        self._give_up_at = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def acknowledged(self):
        """How many units have been answered."""
        return self.counters["acknowledged"]

    @property
    def errors(self):
        """{code: count} of error replies that say something is wrong with a command or the server."""
        return {name.split(" ", 1)[1]: count for name, count in self.counters.items() if name.startswith("error ")}

    def start(self):
        """Begins to write. Returns itself."""
        self._thread.start()
        return self

    def stop(self, timeout=180):
        """Ends the writing; returns the counters once every unit that was made is answered (or, in mode "all", lost with
        its connection and counted as unknown). TimeoutError when that takes too long. May be called twice."""
        self._give_up_at = time.monotonic() + timeout
        self._stopping.set()
        self._thread.join(timeout + 2 * ANSWER_SECONDS)
        if self._problem:
            raise self._problem
        if self._thread.is_alive() or self._waiting:
            raise TimeoutError(f"{len(self._waiting)} units could not be delivered in {timeout} s; {dict(self.counters)}")
        return self.counters

    def summary(self):
        return ", ".join(f"{count} {name}" for name, count in sorted(self.counters.items()))

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self):
        try:
            begun, made = time.monotonic(), 0
            while not self._stopping.is_set():
                due = int((time.monotonic() - begun) * self.rate) - made
                for _ in range(min(due, BATCH_UNITS, WAITING_UNITS - len(self._waiting))):
                    self._waiting.append(self._mix.unit())
                    self.counters["made"] += 1
                # What the deployment could not take is not made up for later.
                made += max(due, 0)
                self._deliver()
                self._stopping.wait(TICK_SECONDS)
            while self._waiting and time.monotonic() < self._give_up_at:
                self._deliver()
                if self._waiting:
                    time.sleep(TICK_SECONDS)
        except BaseException as problem:  # pylint: disable=broad-except
            self._problem = problem
        finally:
            self._forget_connections()
            self._deployment.close()

    def _deliver(self):
        """One attempt to send everything that waits. What is not answered as it should be waits on."""
        if not self._waiting or time.monotonic() < self._retry_at:
            return
        groups = collections.defaultdict(list)
        for unit in self._waiting:
            groups[self._asking.get(unit) or self._address_for(unit)].append(unit)
        self._waiting.clear()
        under_way = []
        for address, units in groups.items():
            try:
                connection = self._connection(address)
                request, leading = self._request(connection, units)
                connection.send_batch(request)
                under_way.append((address, connection, units, leading))
            except (OSError, wire.ReplyError):
                self._lost(address, units)
        for address, connection, units, leading in under_way:
            try:
                self._settle(units, leading, wire.parse_replies(connection.receive_batch()))
            except OSError:
                self._lost(address, units)
        if self._waiting:
            self._refresh()

    def _address_for(self, unit):
        node = self._deployment.node_of(unit.key)
        if node is None and not self._deployment.cluster:
            node = self._deployment.nodes[wire.slot_of(unit.key) % len(self._deployment.nodes)]
        return node.address if node else None

    def _request(self, connection, units):
        """The bytes to send, and how many commands precede each unit's own: SELECT, ASKING."""
        parts, leading = [], []
        for unit in units:
            preceding = []
            if unit.database != connection.database:
                preceding.append(wire.encode(b"SELECT", unit.database))
                connection.database = unit.database
            if self._asking.pop(unit, None):
                preceding.append(wire.encode(b"ASKING"))
            parts += [*preceding, unit.request]
            leading.append(len(preceding))
        return b"".join(parts), leading

    def _settle(self, units, leading, replies):
        at = 0
        for unit, preceding in zip(units, leading):
            at += preceding
            self._settle_unit(unit, replies[at:at + unit.answers])
            at += unit.answers

    def _settle_unit(self, unit, replies):
        if unit.transaction and isinstance(replies[-1], list):
            replies = replies[-1]
        errors = [reply for reply in replies if isinstance(reply, wire.ReplyError)]
        later = [error for error in errors if error.code in LATER]
        if later:
            self._waiting.append(unit)
            self.counters["redirected" if later[0].code in ("MOVED", "ASK") else "delayed"] += 1
            # A transaction cannot be asked for: ASKING holds for one command. It waits until its slot has moved.
            if later[0].code == "ASK" and unit.answers == 1:
                self._asking[unit] = self._address_in(later[0])
            return
        for error in errors:
            self.counters[f"{'harmless' if error.code in HARMLESS else 'error'} {error.code}"] += 1
        self.counters["acknowledged"] += 1

    def _address_in(self, error):
        """The node that "ASK <slot> <host>:<port>" names."""
        host, _, port = str(error).split()[2].rpartition(":")
        return self._deployment.address_shown(host, int(port))

    def _lost(self, address, units):
        """The connection broke: nobody knows which of these were executed."""
        connection = self._connections.pop(address, None)
        if connection:
            connection.close()
        self.counters["reconnects"] += 1
        for unit in units:
            self._asking.pop(unit, None)
            if self._mode == "all" and connection:
                self.counters["unknown"] += 1
            else:
                self._waiting.append(unit)
        self._retry_at = time.monotonic() + RETRY_SECONDS

    def _connection(self, address):
        if address is None:
            raise ConnectionError("nobody owns the slot at the moment")
        if address not in self._connections:
            self._connections[address] = wire.Connection(address, ANSWER_SECONDS)
        return self._connections[address]

    def _refresh(self):
        if self._deployment.moves:
            try:
                self._deployment.refresh()
            except (OSError, wire.ReplyError):
                self._retry_at = time.monotonic() + RETRY_SECONDS

    def _forget_connections(self):
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _features(self, wanted):
        return {name: wanted.get(name, True) and all(node.has_command(name) for node in self._deployment.nodes) for name in FEATURES}


def _arguments():
    parser = argparse.ArgumentParser(description="Write to a Redis or Valkey deployment at a steady rate.")
    parser.add_argument("--address", required=True, metavar="ADDRESS",
                        help="host:port, or redis[s]://[user:password@]host:port; of a cluster any node")
    parser.add_argument("--rate", type=int, default=1000, help="units of commands a second (1000)")
    parser.add_argument("--seconds", type=float, help="default: until SIGTERM or SIGINT")
    parser.add_argument("--mode", choices=("all", "safe", "lasting"), default="all",
                        help="safe: only commands that may be applied twice; lasting: and no key is deleted (all)")
    parser.add_argument("--keys", type=int, default=2000, help="about how many keys to use (2000)")
    parser.add_argument("--databases", default="0", help="numbers separated by commas (0)")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    """The program. Returns its exit code."""
    arguments = _arguments()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        load = Load(arguments.address, arguments.rate, arguments.mode, seed=arguments.seed, keys=arguments.keys,
                    databases=[int(number) for number in arguments.databases.split(",")]).start()
        ended.wait(arguments.seconds)
        load.stop()
    except (OSError, ValueError, wire.ReplyError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 1
    print(load.summary())
    return 1 if load.errors else 0


if __name__ == "__main__":
    sys.exit(main())
