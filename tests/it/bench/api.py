"""The HTTP API of a Daemon under test, and its OpenAPI document, by which every answer is looked at."""

import http.client
import json
import re
import ssl

import jsonschema

from .waiting import TIMEOUT_SECONDS, wait_for


class Answer:
    """status, headers (a dict, names in lower case), body (JSON, or text)."""

    def __init__(self, response, raw):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.text = raw.decode()
        kind = self.headers.get("content-type", "")
        self.body = json.loads(raw) if raw and "json" in kind else self.text

    @property
    def problem(self):
        """The last word of a problem's type; None when it is none."""
        if "problem" not in self.headers.get("content-type", ""):
            return None
        return self.body["type"].rsplit(":", 1)[1]


class Api:
    """Calls of a daemon. Each answer has to be one that the OpenAPI document knows: status, media type and schema.

        api = Api(daemon)
        api.post("/api/v1/tasks", document, status=201)
    """

    def __init__(self, daemon, token=None, authority=None, document=None):
        """authority   a PEM file: over TLS, verified by it
        document    the OpenAPI document, for one who is not told it"""
        self.port = daemon.port
        self.token = token
        self._tls = ssl.create_default_context(cafile=authority) if authority else None
        self._document = document

    def _connect(self):
        if self._tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self._tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def raw(self, method, path, body=None, headers=None, kind="application/json"):
        """An Answer that is not looked at."""
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            headers.setdefault("Content-Type", kind)
            if not isinstance(body, (str, bytes)):
                body = json.dumps(body)
        connection = self._connect()
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def call(self, method, path, body=None, status=200, **more):
        """The Answer, which has that status and is as documented."""
        answer = self.raw(method, path, body, **more)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.text}"
        self.check(method, path, answer)
        return answer

    def get(self, path, **more):
        return self.call("GET", path, **more).body

    def post(self, path, body=None, status=200, **more):
        return self.call("POST", path, body, status, **more).body

    def put(self, path, body=None, status=200, **more):
        return self.call("PUT", path, body, status, **more).body

    def delete(self, path, status=204, **more):
        return self.call("DELETE", path, None, status, **more).body

    def wait_state(self, task, *states, timeout=TIMEOUT_SECONDS):
        def reached():
            tree = self.get(f"/api/v1/tasks/{task}")
            return tree if tree["state"] in states else None
        return wait_for(reached, timeout=timeout, what=f"{task}: {' or '.join(states)}")

    # -- the document

    @property
    def document(self):
        if self._document is None:
            self._document = self.raw("GET", "/api/v1/openapi.json").body
        return self._document

    def operation(self, method, path):
        """What the document says of a request; None: nothing."""
        path = path.split("?")[0]
        found = [known for known in self.document["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", known), path)]
        found.sort(key=lambda known: known.count("{"))
        for known in found:
            if method.lower() in self.document["paths"][known]:
                return self.document["paths"][known][method.lower()]
        return None

    def check(self, method, path, answer):
        operation = self.operation(method, path)
        assert operation, f"{method} {path} is not documented"
        response = operation["responses"].get(str(answer.status))
        assert response, f"{method} {path}: status {answer.status} is not documented"
        content = response.get("content", {})
        kind = answer.headers.get("content-type", "").split(";")[0]
        if not answer.text:
            return
        assert kind in content, f"{method} {path}: {kind} is not documented"
        if "json" in kind:
            schema = {**content[kind]["schema"], "components": self.document["components"]}
            jsonschema.Draft202012Validator(schema).validate(answer.body)


class Events:
    """Server-sent events: Events(api, path) connects; next(kind) waits for one."""

    def __init__(self, api, path, last=None):
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {}) | ({"Authorization": f"Bearer {api.token}"} if api.token else {})
        self._connection = api._connect()
        self._connection.request("GET", path, headers=headers)
        self._response = self._connection.getresponse()
        assert self._response.status == 200, self._response.read()
        self.last = last
        self.ended = False

    def read(self):
        """(event, data) of the next one; None at the end."""
        event, data = None, None
        while True:
            line = self._response.readline().decode()
            if not line:
                self.ended = True
                return None
            line = line.rstrip("\n")
            if line.startswith("id: "):
                self.last = line[4:]
            elif line.startswith("event: "):
                event = line[7:]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
            elif line == "" and event:
                return event, data

    def until(self, condition):
        """The first (event, data) for which condition(event, data) holds; all before it are lost."""
        while True:
            got = self.read()
            assert got, "the stream has ended"
            if condition(*got):
                return got

    def close(self):
        self._connection.close()
