"""`keyferry task ...`, run against a Daemon under test."""

import json
import os
import pty
import select
import subprocess

import jsonschema

from .api import Api
from .ferry import binary


class Done:
    """A command that has ended: code, out, err."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def tree(self):
        return json.loads(self.out)

    @property
    def trees(self):
        return [json.loads(line) for line in self.out.splitlines()]


class Commands:
    """Runs them, without what the tester's own environment says of daemons and tokens.

        task = Commands(daemon)
        task("create", "orders.yaml")
        task("start", "orders", code=2, says="no task")
        task.json("GET", "/api/v1/tasks/orders", "show", "orders")      # the tree, which the OpenAPI document knows
    """

    def __init__(self, daemon=None, token=None, server=None, command="task", **environment):
        self.command = command
        self.server = server or f"http://127.0.0.1:{daemon.port}"
        home = daemon.folder if daemon else "/nonexistent"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("KEYFERRY_T", "KEYFERRY_S", "KEYFERRY_C", "XDG_", "LC_", "LANG"))}
        self.environment |= {"HOME": str(home), "KEYFERRY_SERVER": self.server, "LC_ALL": "C.UTF-8", "TERM": "xterm", **environment}
        if token:
            self.environment["KEYFERRY_TOKEN"] = token
        self._api = Api(daemon, token) if daemon else None

    def start(self, *arguments, **more):
        """A Popen with pipes."""
        return subprocess.Popen([binary(), self.command, *map(str, arguments)], env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)

    def __call__(self, *arguments, code=0, says=None, text=None, timeout=120):
        """text   for its standard input"""
        ended = subprocess.run([binary(), self.command, *map(str, arguments)], env=self.environment, input=text or "", capture_output=True, text=True, timeout=timeout, check=False)
        assert ended.returncode == code, f"keyferry task {arguments}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        if says:
            assert says in ended.stdout + ended.stderr, f"keyferry task {arguments}: {ended.stdout}\n{ended.stderr}"
        return Done(ended.returncode, ended.stdout, ended.stderr)

    def json(self, method, path, *arguments, status=200, **more):
        """With --format json: the answer of that request, as the OpenAPI document has it."""
        tree = self(*arguments, "--format", "json", **more).tree
        operation = self._api.operation(method, path)
        schema = operation["responses"][str(status)]["content"]["application/json"]["schema"] | {"components": self._api.document["components"]}
        jsonschema.Draft202012Validator(schema).validate(tree)
        return tree

    def on_terminal(self, *arguments, until, code=0, keys=b"", timeout=120):
        """What it draws on a terminal, up to the text `until` and then its end (of itself, or by Ctrl-C with keys=b"\\x03"); `keys` is typed when `until` is seen."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(binary(), [binary(), "task", *map(str, arguments)], self.environment)
        seen, typed = b"", False
        try:
            while select.select([terminal], [], [], timeout)[0]:
                try:
                    part = os.read(terminal, 65536)
                except OSError:
                    break  # it has ended
                if not part:
                    break
                seen += part
                if until.encode() in seen and keys and not typed:
                    os.write(terminal, keys)
                    typed = True
            _, status = os.waitpid(pid, 0)
        finally:
            os.close(terminal)
        assert until.encode() in seen, seen.decode()
        assert os.waitstatus_to_exitcode(status) == code, seen.decode()
        return seen.decode()
