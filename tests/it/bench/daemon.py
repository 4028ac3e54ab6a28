"""`keyferry serve` under test, spoken to at the unix socket in its data directory."""

import contextlib
import itertools
import json
import os
import pathlib
import signal
import socket

from . import ports
from .ferry import binary
from .process import Process
from .waiting import TIMEOUT_SECONDS, wait_for

_numbers = itertools.count()
RUNNING = ("prechecking", "snapshot", "streaming")


class Refused(Exception):
    """A call that was not done: .result is the word, .error the tree."""

    def __init__(self, answer):
        super().__init__(f"{answer['result']}: {answer['error']['text']}")
        self.result = answer["result"]
        self.error = answer["error"]


class Daemon:
    """One data directory. start() may be called again after it has ended: it goes on there.

        daemon = Daemon(bench).start()
        daemon.create("orders", source, target)
        daemon.call("task.start", task="orders")
        daemon.wait_state("orders", "streaming")
    """

    def __init__(self, bench, config=None, arguments=(), data=None):
        """config   the text of a configuration file"""
        self.folder = pathlib.Path(bench.folder) / f"daemon-{next(_numbers)}"
        self.folder.mkdir()
        self.data = pathlib.Path(data) if data else self.folder / "data"
        self.output = self.folder / "output"
        self.config = self.folder / "serve.yaml"
        self.config.write_text(config or "# nothing\n")
        self._port = ports.reserve()
        self.port = self._port.number  # of the API
        self._argv = [binary(), "serve", "--config", self.config, "--data", self.data, "--listen", f"127.0.0.1:{self._port.number}", *arguments]
        self.process = None
        bench.servers.append(self)  # ends with the test, and its log is in the report of a failure

    # -- life

    def start(self, wait=True):
        self.process = Process(self._argv, self.folder, self.output)
        return self.wait_ready() if wait else self

    def wait_ready(self):
        def ready():
            if not self.process.running:
                raise RuntimeError(f"keyferry serve has ended with {self.process.exit_code}:\n{self.log}")
            try:
                return self.call("health")
            except OSError:
                return False
        wait_for(ready, timeout=TIMEOUT_SECONDS, what="the daemon's answer")
        return self

    def stop(self, timeout=TIMEOUT_SECONDS):
        """SIGTERM; returns the exit code."""
        return self.process.stop(timeout)

    def kill(self):
        """SIGKILL; workers go on."""
        self.process.kill()

    def workers(self):
        """{pid: name of its task} of all that run, found by their command lines, whoever has started them."""
        found = {}
        for folder in pathlib.Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if words[1:2] == ["worker"] and any(word.startswith(f"{self.data}/") for word in words):
                    found[int(folder.name)] = words[words.index("--name") + 1]
        return found

    def close(self):
        if self.process and self.process.running:
            self.process.kill()
        for pid in self.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not self.workers(), what="the end of all workers")
        self._port.release()

    # -- calls

    def call(self, name, /, **members):
        """The result; Refused where it is refused."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            folder = os.open(self.data, os.O_RDONLY)
            try:
                connection.connect(f"/proc/self/fd/{folder}/control")
            finally:
                os.close(folder)
            connection.sendall(json.dumps({"call": name, **members}).encode() + b"\n")
            text = b""
            while not text.endswith(b"\n"):
                part = connection.recv(1 << 20)
                if not part:
                    raise ConnectionError("the daemon has hung up")
                text += part
        answer = json.loads(text)
        if not answer["ok"]:
            raise Refused(answer)
        return answer["result"]

    def create(self, name, source, target, **options):
        """options: groups of the document. Returns the task."""
        document = {"name": name, "source": side(source), "target": side(target) | {"expiry_margin": "0s"}}
        for group, members in options.items():
            document[group] = document.get(group, {}) | members if isinstance(members, dict) else members
        return self.call("task.create", document=json.dumps(document))

    def show(self, task):
        return self.call("task.show", task=task)

    def wait(self, task, condition, what, timeout=TIMEOUT_SECONDS):
        """condition: function of the task's tree. Returns the tree for which it held, not a later one."""
        def look():
            tree = self.show(task)
            return tree if condition(tree) else None
        return wait_for(look, timeout=timeout, what=what)

    def wait_state(self, task, *states, timeout=TIMEOUT_SECONDS):
        return self.wait(task, lambda tree: tree["state"] in states, f"{task}: {' or '.join(states)}", timeout)

    def wait_in_step(self, task, *masters, timeout=TIMEOUT_SECONDS):
        """As Ferry.wait_in_step()."""
        goals = {server.address: server.info("replication")["master_repl_offset"] for server in masters}

        def reached():
            status = self.call("task.status", task=task)
            if not status["expiry"] or not status["expiry"]["settled"]:
                return False
            applied = {link["source"]: link["position"]["applied"] for link in status["links"]}
            return all(applied.get(name) is not None and applied[name] >= goal for name, goal in goals.items())
        wait_for(reached, timeout=timeout, what=f"{task}: offsets {goals}")

    def job(self, name, task, timeout=TIMEOUT_SECONDS, **members):
        """Runs a job to its end; its result."""
        begun = self.call(f"task.{name}", task=task, **members)
        return self.wait_job(task, begun, timeout)

    def wait_job(self, task, begun, timeout=TIMEOUT_SECONDS):
        def ended():
            items = self.call("results", task=task)["items"]
            return next((item for item in items if item["job"] == begun["id"]), None)
        return wait_for(ended, timeout=timeout, what=f"{task}: {begun['kind']}")

    # What the bench wants of everything that it ends.
    @property
    def log(self):
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def log_tail(self):
        text = f"--- keyferry serve in {self.folder}\n" + "\n".join(self.log.splitlines()[-60:])
        for path in sorted(self.data.glob("tasks/*/log")):
            text += f"\n--- {path}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-30:])
        return text


def side(deployment):
    """A deployment of the bench, or a mapping, as a document has it."""
    if isinstance(deployment, dict):
        return deployment
    nodes = deployment.masters() if hasattr(deployment, "masters") else [deployment]
    return {"address": [node.address for node in nodes]}
