"""keyferry under test: `keyferry sync` in a work directory of its own."""

import itertools
import json
import os
import pathlib
import socket
import urllib.request

from . import ports
from .process import Process
from .waiting import TIMEOUT_SECONDS, wait_for

_numbers = itertools.count()


def binary():
    """The program under test, from the environment variable KEYFERRY."""
    path = os.environ.get("KEYFERRY")
    if not path or not os.access(path, os.X_OK):
        raise RuntimeError("the environment variable KEYFERRY does not name the program to test; `make check` sets it")
    return os.path.abspath(path)


def text_at(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.read().decode()


def json_at(port, path="/status"):
    return json.loads(text_at(port, path))


def streaming(status):
    return status["state"] == "streaming"


def expiry_settled(status):
    return status["expiry"]["settled"] or status["expiry"]["mode"] == "always"


class Cutover:
    """A running `keyferry cutover`. Its log is in .log, apart from the task's."""

    def __init__(self, words, folder, number):
        self._result = folder / f"cutover-{number}.json"
        self._output = folder / f"cutover-{number}.log"
        # Its process is keyferry itself, not a shell around it: signals go there.
        self.process = Process(["sh", "-c", 'out=$1; shift; exec "$@" > "$out"', "sh", self._result, *words], folder, self._output)

    @property
    def log(self):
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def wait_log(self, text, timeout=TIMEOUT_SECONDS):
        wait_for(lambda: text in self.log or not self.process.running, timeout=timeout, what=f"{text!r} in cutover's log")
        assert text in self.log, self.log
        return self

    def wait(self, timeout=TIMEOUT_SECONDS):
        """(exit code, result; {} where it has told none)."""
        code = self.process.wait(timeout)
        text = self._result.read_text()
        return code, json.loads(text) if text else {}


class Ferry:
    """One task. start() may be called again after it has ended: it resumes in the same work directory.

        ferry = Ferry(bench, source, target, {"target.existing": "merge"}).start()
        ferry.wait_streaming()
        ...
        assert ferry.stop() == 0
    """

    def __init__(self, bench, source, target, options=None, arguments=(), listen=True, document=None, environment=None,
                 data=None, wrapper=()):
        """source, target   URLs, or anything that has a .url
        options          --set path=value
        arguments        further words of the command line
        document         a task document (dict) to be written as JSON instead of the two URLs
        data             work directory of an earlier one, to go on there
        wrapper          words of a command that runs what follows it
        """
        self.folder = pathlib.Path(bench.folder) / f"ferry-{next(_numbers)}"
        self.folder.mkdir()
        self.data = data or self.folder / "data"
        self.output = self.folder / "output"
        self._port = ports.reserve() if listen else None
        self.port = self._port.number if listen else None
        self._environment = environment or {}
        self._wrapper = list(wrapper)
        self.process = None
        argv = [binary(), "sync"]
        if document is not None:
            path = self.folder / "task.yaml"
            path.write_text(json.dumps(document))
            argv.append(path)
        if source is not None:
            argv += ["--source", getattr(source, "url", source)]
        if target is not None:
            argv += ["--target", getattr(target, "url", target)]
        argv += ["--data", self.data, "--no-progress"]
        if listen:
            argv += ["--listen", f"127.0.0.1:{self.port}"]
        # Exact times, as scenarios compare them; those of expiries say what they want.
        for name, value in ({"target.expiry_margin": "0s"} | (options or {})).items():
            argv += ["--set", f"{name}={value}"]
        self._argv = argv + list(arguments)
        bench.servers.append(self)  # ends with the test, and its log is in the report of a failure

    def start(self, *more):
        argv = self._wrapper + self._argv + list(more)
        if self._environment:
            argv = ["env", *(f"{name}={value}" for name, value in self._environment.items()), *argv]
        self.process = Process(argv, self.folder, self.output)
        return self

    def run(self, *more, timeout=TIMEOUT_SECONDS):
        """Starts it and waits for its end; returns the exit code."""
        return self.start(*more).wait(timeout)

    def run_until_caught_up(self, timeout=180):
        code = self.run("--stop-when", "caught-up", timeout=timeout)
        assert code == 0, f"keyferry ended with {code}:\n{self.log}"
        return self

    def wait(self, timeout=TIMEOUT_SECONDS):
        return self.process.wait(timeout)

    def start_verify(self, *more, timeout=TIMEOUT_SECONDS):
        """Starts `keyferry verify` of the same task, running or not. Returns a function that waits for its end, and returns
        (exit code, differences, summary) as its JSON lines say."""
        words = list(self._argv)
        words[1] = "verify"
        if "--listen" in words:
            at = words.index("--listen")
            del words[at:at + 2]
        report = self.folder / f"verify-{next(_numbers)}"
        # Its log goes where the task's does, and the report into a file of its own.
        shell = ["sh", "-c", 'out=$1; shift; exec "$@" > "$out"', "sh", report]
        process = Process([*shell, *words, "--format", "json", *more], self.folder, self.output)

        def wait():
            code = process.wait(timeout)
            lines = [json.loads(line) for line in report.read_text().splitlines()]
            assert lines and "summary" in lines[-1], f"keyferry verify ended with {code}:\n{self.log}"
            return code, lines[:-1], lines[-1]["summary"]
        wait.process = process
        return wait

    def verify(self, *more, timeout=TIMEOUT_SECONDS):
        """The same, to its end."""
        return self.start_verify(*more, timeout=timeout)()

    def start_finish(self):
        """`keyferry finish` of the same task; the Process."""
        return Process(self.words_of("finish"), self.folder, self.output)

    def finish(self, timeout=TIMEOUT_SECONDS):
        """Runs it to its end; returns the exit code."""
        return self.start_finish().wait(timeout)

    def start_cutover(self, *more):
        """Starts `keyferry cutover` of the same task, beside it; a Cutover."""
        return Cutover([*self.words_of("cutover"), "--format", "json", *more], self.folder, next(_numbers))

    def words_of(self, command):
        """The command line of another command on the same task."""
        words = list(self._argv)
        words[1] = command
        words.remove("--no-progress")
        if "--listen" in words:
            at = words.index("--listen")
            del words[at:at + 2]
        return words

    def cutover(self, *more, timeout=TIMEOUT_SECONDS):
        """The same, to its end; returns (exit code, the result as its JSON says)."""
        return self.start_cutover(*more).wait(timeout)

    def stop(self, timeout=TIMEOUT_SECONDS):
        """SIGTERM; returns the exit code."""
        return self.process.stop(timeout)

    def kill(self):
        self.process.kill()

    @property
    def log(self):
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    # What the bench wants of everything that it ends.
    def log_tail(self):
        return f"--- keyferry in {self.folder}\n" + "\n".join(self.log.splitlines()[-60:])

    def keep_status(self):
        try:
            (self.folder / "status.json").write_text(self.get("/status"))
        except OSError:
            pass  # it does not run

    def close(self):
        if self.process and self.process.running:
            self.process.kill()
        if self._port:
            self._port.release()

    def get(self, path):
        return text_at(self.port, path)

    def status(self):
        return json_at(self.port)

    def check_running(self, when=""):
        if not self.process.running:
            raise RuntimeError(f"keyferry has ended with {self.process.exit_code}{when}:\n{self.log}")

    def _wait(self, condition, timeout, what):
        def look():
            self.check_running(f" before {what}")
            return condition(self.status())
        wait_for(look, timeout=timeout, what=what)
        return self

    def wait_status(self, condition, timeout=TIMEOUT_SECONDS, what="the status asked for"):
        """condition: function of the status document."""
        return self._wait(condition, timeout, what)

    def wait_streaming(self, timeout=180):
        return self._wait(streaming, timeout, "streaming")

    def wait_log(self, text, timeout=TIMEOUT_SECONDS):
        wait_for(lambda: text in self.log, timeout=timeout, what=f"{text!r} in keyferry's log")
        return self

    def wait_acknowledged(self, master, timeout=TIMEOUT_SECONDS):
        """Everything that the replay master has is applied and acknowledged, and times of expiry are put right (a stop does
        not wait for that). Two looks: what the status says of expiry has to be newer than the acknowledgement."""
        self.wait_status(lambda status: master.last_ack == master.end_offset, timeout, "the end of the stream to be acknowledged")
        return self.wait_status(expiry_settled, timeout, "times of expiry put right")

    def wait_in_step(self, *masters, timeout=TIMEOUT_SECONDS):
        """Everything that the source masters (bench servers) have written by now is applied, and times of expiry
        are put right. No writer may be running whose commands matter: what is written later may or may not be."""
        goals = {server.address: server.info("replication")["master_repl_offset"] for server in masters}

        def reached(status):
            if not expiry_settled(status):
                return False
            # After a failover a link may not have moved to the new master yet.
            applied = {link["source"]: link["position"]["applied"] for link in status["links"]}
            return all(applied.get(name) is not None and applied[name] >= goal for name, goal in goals.items())
        return self._wait(reached, timeout, f"offsets {goals}")


_unused = []


def unused_address():
    """host:port where nobody listens, nor will before the session ends: the port is taken, by a socket that never listens."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    _unused.append(taken)
    return f"127.0.0.1:{taken.getsockname()[1]}"
