"""A master with replicas under the watch of Sentinels."""

import redis

from .servers import HOST, Server, start_all
from .waiting import TIMEOUT_SECONDS, wait_for

MASTER_NAME = "main"
DOWN_AFTER_MS = 3000    # less is soon over where a server has to wait for its turn, and nobody has asked for a failover
FAILOVER_TIMEOUT_MS = 10000
FORM_SECONDS = TIMEOUT_SECONDS
FAILOVER_SECONDS = 6 * FAILOVER_TIMEOUT_MS / 1000      # several that are given up


class Sentinel(Server):
    """A Sentinel that watches `master`. Its `password` is its own, not the master's."""

    mode_arguments = ("--sentinel",)

    def __init__(self, *arguments, master, quorum, master_name=MASTER_NAME, **options):
        super().__init__(*arguments, **options)
        self.master = master
        self.quorum = quorum
        self.master_name = master_name

    def _directives(self):
        yield "bind", (HOST,)
        yield "protected-mode", "no"
        yield "daemonize", "no"
        yield "dir", self.folder
        yield from self._listening_directives()
        if self.password:
            yield "requirepass", self.password
        name = self.master_name
        yield "sentinel", ("monitor", name, self.master.host, self.master.port, self.quorum)
        yield "sentinel", ("down-after-milliseconds", name, DOWN_AFTER_MS)
        yield "sentinel", ("failover-timeout", name, FAILOVER_TIMEOUT_MS)
        if self.master.username:
            yield "sentinel", ("auth-user", name, self.master.username)
        if self.master.password:
            yield "sentinel", ("auth-pass", name, self.master.password)
        yield from self.config.items()

    def wait_ready(self):
        super().wait_ready()
        if self.version.at_least(7, 0):
            # By default an old master is made a replica only after some ten seconds.
            self.command("SENTINEL", "DEBUG", "INFO-PERIOD", 1000, "PUBLISH-PERIOD", 500)
        return self

    def master_state(self):
        """SENTINEL MASTER, as a dict of texts."""
        words = [word.decode() for word in self.command("SENTINEL", "MASTER", self.master_name)]
        return dict(zip(words[::2], words[1::2]))


class SentinelGroup:
    """Made by `bench.sentinel()`.

    servers       the master and its replicas, in the order they were made; `master` is the present one
    sentinels     the Sentinels
    master_name   how the Sentinels call the group"""

    def __init__(self, servers, sentinels):
        self.servers = servers
        self.sentinels = sentinels
        self.master_name = sentinels[0].master_name

    @classmethod
    def make(cls, servers, new_sentinel, count=3, quorum=2):
        """servers   not started; the first becomes the master
        new_sentinel(master=, quorum=)   makes one Sentinel that is not started"""
        start_all(servers)
        master, *replicas = servers
        for replica in replicas:
            replica.replicate(master)
        sentinels = [new_sentinel(master=master, quorum=quorum) for _ in range(count)]
        start_all(sentinels)
        group = cls(servers, sentinels)
        group.wait_ok()
        return group

    def wait_ok(self, timeout=FORM_SECONDS):
        """Waits until all Sentinels know each other, name the same master and see all replicas that run, in sync."""
        wait_for(self._ok, timeout, "the Sentinels to agree on a master and its replicas")
        return self

    def _ok(self):
        states = [sentinel.master_state() for sentinel in self.sentinels if sentinel.running]
        master = self.master
        replicas = [server for server in self.servers if server.running and server is not master]
        return (all(state["flags"] == "master" and int(state["port"]) == master.port
                    and int(state["num-slaves"]) >= len(replicas)
                    and int(state["num-other-sentinels"]) == len(self.sentinels) - 1 for state in states)
                and master.info("replication")["role"] == "master"
                and all(self._follows(replica, master) for replica in replicas))

    @staticmethod
    def _follows(replica, master):
        state = replica.info("replication")
        return (state["role"] == "slave" and state["master_port"] == master.port and state["master_link_status"] == "up")

    @property
    def addresses(self):
        """Of the Sentinels."""
        return [sentinel.address for sentinel in self.sentinels]

    @property
    def url(self):
        """redis-sentinel://host:port/master-name (rediss-sentinel with TLS), with the master's credentials."""
        scheme, _, rest = self.master.url.partition("://")
        credentials, at, _ = rest.rpartition("@")
        return f"{scheme}-sentinel://{credentials}{at}{self._running()[0].address}/{self.master_name}"

    def _running(self):
        return [sentinel for sentinel in self.sentinels if sentinel.running and not sentinel.paused]

    @property
    def master(self):
        """The present master, by what the first running Sentinel says."""
        _, port = self._running()[0].command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.master_name)
        return next(server for server in self.servers if server.port == int(port))

    @property
    def replicas(self):
        master = self.master
        return [server for server in self.servers if server.running and server is not master]

    def failover(self):
        """SENTINEL FAILOVER; waits until all follow the new master, which is returned.

        A Sentinel gives a failover up ("-failover-abort-...") when its replica is not a master in time; it is asked for again then."""
        old, sentinel = self.master, self._running()[0]

        def taken_over():
            state = sentinel.master_state()
            if int(state["port"]) != old.port:
                return True
            # While one is under way nothing is asked: it may end just now, and another one would undo it.
            if "failover_in_progress" not in state["flags"]:
                self._ask_for_failover(sentinel)
            return False
        wait_for(taken_over, FAILOVER_SECONDS, f"a replica of {old.name} to take over")
        return self.wait_failover(old)

    def _ask_for_failover(self, sentinel):
        try:
            sentinel.command("SENTINEL", "FAILOVER", self.master_name)
        except redis.exceptions.ResponseError as error:
            # These pass by themselves: no replica fit to take over at the moment; another failover under way.
            if "NOGOODSLAVE" not in str(error) and "INPROG" not in str(error):
                raise

    def wait_failover(self, old_master, timeout=TIMEOUT_SECONDS):
        """Waits until another server than `old_master` is master and all that run follow it; returns it."""
        wait_for(lambda: self.master is not old_master, timeout, f"a replica of {old_master.name} to take over")
        self.wait_ok(timeout)
        return self.master
