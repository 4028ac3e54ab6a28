"""One real server: started in a folder of its own on a free loopback port, stopped by its process id."""

import pathlib
import re
import secrets

import redis

from . import ports
from .process import Process
from .waiting import TIMEOUT_SECONDS, wait_for

HOST = "127.0.0.1"
START_SECONDS = 120
PROBE_SECONDS = 5
ANSWER_SECONDS = 300    # for the digest of values of hundreds of megabytes on a busy machine, too
BIND_ATTEMPTS = 5
LOG_TAIL_LINES = 40
PORT_TAKEN = re.compile(r"Address already in use|Failed listening on|Could not create server TCP listening socket")

CRASH = re.compile(r"=== (ASSERTION FAILED|\S+ BUG REPORT START)")


class StartFailed(RuntimeError):
    """The server did not come up; the message holds its log."""


def _quoted(value):
    """A value as the configuration file wants it: words stay as they are, anything odd is quoted."""
    text = str(value)
    return text if text and not re.search(r'["\\\s]', text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Server:
    """A server of some version. Made by `bench.server()`, which also ends it.

    version     which program (versions.Version)
    folder      its own folder: configuration, data and log
    config      dict of configuration directives; a list as value repeats the directive, a tuple gives it several words
    password    requirepass; bench clients, replicas and cluster helpers use it by themselves
    users       dict name -> ACL rules ("on >secret ~app:* +@read"); a rule for "default" gives the bench a full user of
                its own, so that its clients keep working
    tls         tls.Authority: only the TLS port is open, replication and cluster bus use TLS too
    client_certificates   with tls: "no" (default), "optional" or "yes" (a client without certificate is refused)
    unix_socket / ipv6    listen there too (`unix_path`, [::1])
    cluster     cluster mode on
    """

    mode_arguments = ()

    def __init__(self, version, folder, *, name="server", config=None, password=None, users=None, tls=None,
                 client_certificates="no", unix_socket=False, ipv6=False, cluster=False):
        self.version = version
        self.folder = pathlib.Path(folder)
        self.name = name
        self.host = HOST
        self.password = password
        self.users = dict(users or {})
        self.username = None
        if "default" in self.users:
            self.username, self.password = "bench", secrets.token_hex(8)
            self.users["bench"] = f"on >{self.password} ~* +@all" + (" &*" if version.at_least(6, 2) else "")
        self.tls = tls
        self.client_certificates = client_certificates
        self.unix_path = str(self.folder / "socket") if unix_socket else None
        self.ipv6 = ipv6
        self.cluster = cluster
        self.config = dict(config or {})
        self._port = ports.reserve()
        self._process = None
        self._was_ready = False
        self._clients = []
        self._command_clients = {}

    def __repr__(self):
        return f"<{self.name} {self.version.id} {self.address} pid {self.pid}>"

    # -- where it is ------------------------------------------------------------------------------------------------

    @property
    def port(self):
        return self._port.number

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def pid(self):
        return self._process.pid if self._process else None

    @property
    def running(self):
        return self._process is not None and self._process.running

    @property
    def paused(self):
        return self.running and self._process.paused

    @property
    def url(self):
        """redis://user:password@host:port, rediss:// with TLS."""
        return self.url_for(self.username, self.password)

    def url_for(self, username=None, password=None, database=None):
        """The URL that another user would use."""
        credentials = f"{username or ''}:{password}@" if password else ""
        path = "" if database is None else f"/{database}"
        return f"{'rediss' if self.tls else 'redis'}://{credentials}{self.address}{path}"

    @property
    def config_path(self):
        return self.folder / "server.conf"

    @property
    def log_path(self):
        return self.folder / "log"

    # -- life -------------------------------------------------------------------------------------------------------

    def start(self):
        """Starts it and waits until it answers. Returns itself."""
        self.launch()
        return self.wait_ready()

    def launch(self):
        """Starts the process without waiting: for many servers at once, then wait_ready() for each."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.config_path.exists():
            self.config_path.write_text(self._config_text(), encoding="utf-8")
        argv = [*self.version.server, str(self.config_path), *self.mode_arguments]
        self._process = Process(argv, self.folder, self.log_path)
        return self

    def wait_ready(self):
        """Waits until it answers and has loaded its data. A port that another process took meanwhile is replaced."""
        for _ in range(BIND_ATTEMPTS):
            try:
                wait_for(self._answers_or_ended, START_SECONDS, f"{self.name} to answer on {self.address}")
            except TimeoutError as error:
                raise StartFailed(f"{error}\n{self.log_tail()}") from error
            if self.running:
                self._was_ready = True
                return self
            # A server that has run before keeps its port: others know it by that.
            if self._was_ready or not PORT_TAKEN.search(self._last_run_log()):
                raise StartFailed(f"{self.name} ended with {self._process.exit_code}\n{self.log_tail()}")
            self._move_to_another_port()
        raise StartFailed(f"{self.name} found no free port in {BIND_ATTEMPTS} attempts\n{self.log_tail()}")

    def stop(self, save=False):
        """SIGTERM and wait, as an init system would; with `save` its data is written first (RDB)."""
        if save:
            self.command("SAVE")
        self._disconnect()
        return self._process.stop()

    def shutdown(self, save=False):
        """SHUTDOWN: its replicas get everything first (from 7.0 on), and with `save` nothing is lost."""
        try:
            self.command("SHUTDOWN", "SAVE" if save else "NOSAVE")
        except redis.exceptions.ConnectionError:
            pass    # that is how success looks
        self._disconnect()
        return self._process.wait()

    def kill(self):
        """kill -9. Harmless when it has ended already."""
        self._disconnect()
        if self._process:
            self._process.kill()

    def pause(self):
        """SIGSTOP: frozen, its sockets stay open."""
        self._process.pause()

    def resume(self):
        self._process.resume()

    def restart(self, kill=False, save=None):
        """Stops and starts it on the same port and folder. The data is saved first unless it is killed."""
        if kill:
            self.kill()
        else:
            self.stop(save=True if save is None else save)
        return self.start()

    def close(self):
        """The end: kills it and gives its port back."""
        self.kill()
        self._port.release()

    # -- talking to it ----------------------------------------------------------------------------------------------

    def connection_options(self, certificate=None):
        """Keyword arguments of redis.Redis() that reach this server, without credentials."""
        options = {"host": self.host, "port": self.port}
        if self.tls:
            options |= self.tls.client_options(certificate or self.tls.client)
        return options

    def client(self, db=0, username=None, password=None, certificate=None, **options):
        """A redis-py client of its own (bytes unless decode_responses=True); closed together with the server.

        Without username and password it is the bench's full user. `certificate` replaces the client certificate."""
        if username is None and password is None:
            username, password = self.username, self.password
        options = self.connection_options(certificate) | {"socket_timeout": ANSWER_SECONDS} | options
        client = redis.Redis(db=db, username=username, password=password, **options)
        self._clients.append(client)
        return client

    def unix_client(self, db=0, **options):
        client = redis.Redis(unix_socket_path=self.unix_path, db=db, username=self.username, password=self.password, **options)
        self._clients.append(client)
        return client

    def command(self, *words):
        """One command as the bench's full user, on a client kept for that. Safe from several threads."""
        return self.client_for_commands().execute_command(*words)

    def info(self, section="everything"):
        """INFO as a dict, values as redis-py reads them (numbers are numbers)."""
        return self.client_for_commands().info(section)

    def client_for_commands(self, database=0):
        """The client that `command` uses, one a database."""
        if database not in self._command_clients:
            self._command_clients[database] = self.client(db=database)
        return self._command_clients[database]

    def config_set(self, name, value):
        return self.command("CONFIG", "SET", name, value)

    def config_get(self, name):
        return self.client_for_commands().config_get(name).get(name)

    def set_user(self, name, rules):
        """Makes or changes an ACL user: set_user("reader", "on >secret ~* +@read")."""
        return self.command("ACL", "SETUSER", name, "reset", *rules.split())

    # -- its log ----------------------------------------------------------------------------------------------------

    def log(self):
        """All it has logged, over restarts."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=LOG_TAIL_LINES):
        """The end of the log under a heading, and, when the server crashed, the beginning of its report."""
        logged = self.log().splitlines()
        shown = logged[-lines:]
        crash = next((number for number, line in enumerate(logged[:-lines]) if CRASH.search(line)), None)
        if crash is not None:
            shown = logged[crash:crash + lines] + ["..."] + shown
        return "\n".join([f"--- log of {self!r}", *shown])

    def wait_for_log(self, pattern, timeout=TIMEOUT_SECONDS):
        """Waits until a line matches the regular expression; returns the match."""
        return wait_for(lambda: re.search(pattern, self.log(), re.MULTILINE), timeout, f"/{pattern}/ in the log of {self.name}")

    # -- replication ------------------------------------------------------------------------------------------------

    def replicate(self, master):
        """Makes it a replica of `master` and waits until the link is up."""
        if master.password:
            self.config_set("masterauth", master.password)
        if master.username:
            self.config_set("masteruser", master.username)
        self.command("REPLICAOF", master.host, master.port)
        return self.wait_in_sync(master)

    def wait_in_sync(self, master, timeout=TIMEOUT_SECONDS):
        """Waits until the link to `master` is up and all that `master` has written so far is here."""
        written = master.info("replication")["master_repl_offset"]

        def in_sync():
            state = self.info("replication")
            return (state["role"] == "slave" and state["master_port"] == master.port and state["master_link_status"] == "up"
                    and state["slave_repl_offset"] >= written)
        wait_for(in_sync, timeout, f"{self.name} to be in sync with {master.name}")
        return self

    def promote(self):
        """Ends its being a replica."""
        return self.command("REPLICAOF", "NO", "ONE")

    # -- inside -----------------------------------------------------------------------------------------------------

    def _directives(self):
        """The configuration as (name, value) in the order of the file; what the test asked for comes last and wins."""
        version = self.version
        yield "bind", (HOST, "::1") if self.ipv6 else (HOST,)
        yield "protected-mode", "no"
        yield "daemonize", "no"
        yield "dir", self.folder
        yield "save", ""
        yield "appendonly", "no"
        yield "repl-diskless-sync-delay", 0
        # An interruption does not become another snapshot because the machine is busy; who wants that says so.
        yield "repl-backlog-size", "64mb"
        if version.at_least(7, 0):
            yield "enable-debug-command", "yes"
        if self.unix_path:
            yield "unixsocket", self.unix_path
        yield from self._listening_directives()
        if self.cluster:
            yield "cluster-enabled", "yes"
            yield "cluster-config-file", "nodes.conf"
            if self.tls:
                yield "tls-cluster", "yes"
        if self.password and not self.username:
            yield "requirepass", self.password
        if self.password:
            yield "masterauth", self.password
        if self.username:
            yield "masteruser", self.username
        for name, rules in self.users.items():
            yield "user", (name, *rules.split())
        for name, value in self.config.items():
            for one in value if isinstance(value, list) else [value]:
                yield name, one

    def _listening_directives(self):
        if self.tls:
            yield "port", 0
            yield "tls-port", self.port
            yield "tls-ca-cert-file", self.tls.ca
            yield "tls-cert-file", self.tls.server.certificate
            yield "tls-key-file", self.tls.server.key
            yield "tls-auth-clients", self.client_certificates
            yield "tls-replication", "yes"
        else:
            yield "port", self.port

    def _config_text(self):
        lines = []
        for name, value in self._directives():
            words = value if isinstance(value, tuple) else (value,)
            lines.append(" ".join([name, *map(_quoted, words)]))
        return "\n".join(lines) + "\n"

    def _answers_or_ended(self):
        """True as soon as waiting longer makes no sense: it is ready, or its process has ended."""
        if self.running:
            with self.client(socket_timeout=PROBE_SECONDS) as probe:
                self._clients.remove(probe)
                try:
                    # Not PING: a foreign process that has taken the port would answer that too. And INFO is answered while data is loaded.
                    return probe.info("server")["process_id"] == self.pid and not probe.info("persistence").get("loading")
                except redis.exceptions.RedisError:
                    return not self.running
        return True

    def _last_run_log(self):
        """What it logged since its last start, as far as that can be told: the tail."""
        return "\n".join(self.log().splitlines()[-10:])

    def _move_to_another_port(self):
        old, self._port = self._port, ports.reserve()
        old.release()
        self._disconnect()
        self.config_path.unlink()
        self.launch()

    def _disconnect(self):
        """Closes the clients' idle connections; they connect again when used."""
        for client in self._clients:
            client.connection_pool.disconnect()
        self._command_clients = {}


def start_all(servers):
    """Starts them side by side and waits until all answer."""
    for server in servers:
        server.launch()
    for server in servers:
        server.wait_ready()
