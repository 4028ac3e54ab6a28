"""Requests that nobody should send: made of the OpenAPI document, then spoilt; and ones that are no HTTP. Everything comes from one random.Random, so a seed tells what was sent."""

import contextlib
import gzip
import http.client
import io
import json
import socket
import struct

TEXTS = ["", "x", "x" * 300, "x" * 70_000, "任务", "\u202etxt", "\U0001f4a9" * 40, "a\u0000b", "..", "../../etc/passwd", "%s%n%x", "'; DROP TABLE task; --", "a\r\nSet-Cookie: b=c", "\x1b[31m", "{task}", "null",
         "********", "-1", "0", "1e999", "\ufeff", "e\u0301", "${jndi:ldap://127.0.0.1/a}"]
NUMBERS = [0, -1, 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, -2**63 - 1, 10**400, 0.5, -0.0, 1e308]
SEGMENTS = ["", ".", "..", "%", "%0", "%zz", "%00", "%2e%2e%2f", "%ff%fe", "%c0%af", "%F0%9F%92%A9", "0", "-1", "9" * 40, "x" * 200, "x" * 9000, "a%20b", "a;b=c", "a+b", "%25", "orders%00", "ORDERS", "'", "\\", "任务"]
QUERIES = ["", "?", "?limit=0", "?limit=-1", "?limit=1e3", "?limit=99999999999999999999", "?limit=1&limit=2", "?nothing=1", "?kind=" + "x" * 100, "?before=9223372036854775808", "?lines=1", "?lines=10000", "?lang=zh",
           "?lang=xx", "?accept_changes=maybe", "?secrets_of=orders", "?secrets_of=", "?%zz=1", "?a=%00", "?" + "a=b&" * 100, "?=&=&", "?limit=1#fragment"]
HEADERS = ["Content-Type: application/json", "Content-Type: application/yaml", "Content-Type: application/json; charset=utf-16", "Content-Type: text/html", "Content-Type: ", "Content-Type: " + "a/" * 500,
           "Accept: text/event-stream", "Accept: application/yaml", "Accept: */*;q=0", "Accept: " + "a/b;q=0.1," * 400, "Accept-Encoding: gzip, br;q=0", "Accept-Language: zh-Hans-CN, en;q=0.1", "Accept-Language: " + "x" * 3000,
           "If-Match: *", 'If-Match: "1"', 'If-Match: "1", "2"', 'If-Match: W/"99999999999999999999999"', "If-None-Match: *", "Last-Event-ID: 1-1", "Last-Event-ID: -1--99999999999999999999", "Last-Event-ID: 任务",
           "Cookie: keyferry_session=" + "y" * 43, "Cookie: a=b; keyferry_session=; keyferry_session=x", "Cookie: " + "a=b; " * 60, "X-CSRF-Token: x", "Origin: null", "Origin: http://evil.example", "Sec-Fetch-Site: cross-site",
           "Host: evil.example", "Upgrade: h2c", "X-Forwarded-For: 127.0.0.1", "Range: bytes=0-", "X-Long: " + "z" * 20_000]
SPOILT = [b"", b"{", b"[]", b"null", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"[" * 3000, b'{"a":' * 3000, b'{"a":1,"a":2}', b'{"a":1,}', b"{'a':1}", b'{"a":NaN}', b'{"\\ud800":1}', b'{"a":"\\u0000"}', b"{}{}", b"{}//", b"\x00",
          b'{"a":' + b"9" * 5000 + b"}", b"&a [*a, *a]", b"a: &a\n  b: *a\n", b"!!python/object:os.system x", b"? - a\n: b\n", b"%YAML 9.9\n---\na: b\n", b"a: |\n" + b"  x\n" * 5000, b"name: x\nname: y\n", b"\t- a",
          b"x" * 66_000]
# Not even HTTP, or barely.
RAW = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET  /healthz  HTTP/1.1\r\n\r\n", b"\r\n\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n",
       b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
       b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n folded: yes\r\n\r\n", b"GET /healthz HTTP/1.1\nHost: localhost\n\n", b"GET /healthz HTTP/1.1\r\nHost localhost\r\n\r\n", b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
       b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}{}{}", b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + b"ffffffffffffffff\r\nx\r\n0\r\n\r\n",
       b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + b"-1\r\nx\r\n0\r\n\r\n",
       b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + b"2;x=y\r\n{}\r\n0\r\nTrailer: x\r\n\r\n",
       b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"x" * 4096 + b"\r\n" + b"1000\r\n" + b"x" * 4096 + b"\r\n",
       b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50, b"GET /" + b"a" * 40_000, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
       b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000]


class Told:
    """An answer: status, headers in lower case, the bytes of both and of the body. What is a stream is not read to its end."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.head = f"{response.reason}\r\n{response.msg}".encode("utf-8", "surrogateescape")
        self.raw = b"" if "event-stream" in self.headers.get("content-type", "") else response.read()
        if self.raw and self.headers.get("content-encoding") == "gzip":  # a file of the console, where a path has come to that
            self.raw = gzip.decompress(self.raw)
        self.text = self.raw.decode()
        self.body = json.loads(self.raw) if self.raw and "json" in self.headers.get("content-type", "") else self.text


def send(port, method, request, timeout=60):
    """The answer to a request that is whole; None: hung up without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(request)  # it may have answered and hung up before the end
        response = http.client.HTTPResponse(connection, method=method)
        try:
            response.begin()
            return Told(response)
        except (http.client.HTTPException, ConnectionError) as error:
            print(f"{method}: {error!r}")
            return None
        finally:
            response.close()


def poke(port, request):
    """What is said to something that may be no request, before there is silence."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        told = b""
        with contextlib.suppress(OSError):
            connection.sendall(request)
            connection.settimeout(0.1)
            while part := connection.recv(65536):
                told += part
        return told


class Fuzz:
    """Makes requests. tasks: names that may be in a path; addresses: where tasks of its own may point."""

    def __init__(self, chance, document, options, tasks, address):
        self.chance = chance
        self.document = document
        self.options = [option for option in options if not option["path"].endswith(("path", "file", "script", "dir"))]
        self.tasks = tasks
        self.address = address
        self.operations = [(path, method) for path, methods in sorted(document["paths"].items()) for method in sorted(methods)]

    # -- values

    def value(self, schema, depth=0):
        """One that fits the schema, more or less."""
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        if "enum" in schema:
            return self.chance.choice(schema["enum"])
        kind = schema.get("type", "object")
        kind = self.chance.choice(kind) if isinstance(kind, list) else kind
        if kind == "object" and depth < 4:
            wanted = schema.get("properties", {})
            return {name: self.value(one, depth + 1) for name, one in wanted.items() if name in schema.get("required", []) or self.chance.random() < 0.5}
        if kind == "array":
            return [self.value(schema.get("items", {}), depth + 1) for _ in range(self.chance.randrange(3))]
        if kind in ("integer", "number"):
            return self.chance.choice([schema.get("minimum", 0), schema.get("maximum", 1000), self.chance.randrange(100000)])
        return {"boolean": self.chance.random() < 0.5, "null": None}.get(kind, self.chance.choice(["orders", "full", "info", "10s", "x"]))

    def nonsense(self):
        return self.chance.choice([self.chance.choice(TEXTS), self.chance.choice(NUMBERS), None, True, [], {}, [[]], {"": {}}, ["x"] * 50, {"a": {"b": [1, {"c": None}]}}])

    def spoil(self, value):
        """The same with something in it replaced, added or gone."""
        if isinstance(value, dict) and value and self.chance.random() < 0.8:
            name = self.chance.choice(sorted(value))
            changed = dict(value)
            what = self.chance.randrange(4)
            if what == 0:
                del changed[name]
            elif what == 1:
                changed[self.chance.choice(TEXTS)] = self.nonsense()
            else:
                changed[name] = self.spoil(value[name])
            return changed
        if isinstance(value, list) and value and self.chance.random() < 0.5:
            return [self.spoil(one) for one in value]
        return self.nonsense()

    def task_document(self):
        """Of a task whose servers do not exist."""
        name = self.chance.choice(self.tasks[1:] + ["new", "任务-1", self.chance.choice(TEXTS)])
        made = {"name": name, "source": {"address": self.address}, "target": {"address": self.address.replace("127.0.0.1", "localhost")}}
        for option in self.chance.sample(self.options, self.chance.randrange(4)):
            value = self.chance.choice([option["example"], option["default"], self.chance.choice(option["values"] or TEXTS), self.nonsense()])
            made[option["path"]] = value
        return made

    def body(self, operation, path):
        content = operation.get("requestBody", {}).get("content")
        if not content:
            return self.chance.choice([b"", b"", b"", b"{}", b"x"])
        if self.chance.random() < 0.25:
            return self.chance.choice(SPOILT)
        if path.endswith(("/tasks", "/document", "/check")):
            made = self.task_document()
        elif path.endswith("/databases"):
            made = {"document": self.task_document()}
        else:
            made = self.value(content["application/json"]["schema"])
        if self.chance.random() < 0.5:
            made = self.spoil(made)
        text = json.dumps(made, ensure_ascii=self.chance.random() < 0.5).encode("utf-8", "surrogatepass")
        if self.chance.random() < 0.2 and text:
            spoilt = bytearray(text)
            for _ in range(self.chance.randrange(1, 4)):
                spoilt[self.chance.randrange(len(spoilt))] = self.chance.randrange(256)
            text = bytes(spoilt)
        return text

    # -- requests

    def request(self, token):
        """(method, path as it is sent, the operation that it is meant for, the bytes). It is whole: whoever gets it has to answer."""
        known, method = self.chance.choice(self.operations)
        operation = self.document["paths"][known][method]
        segments = []
        for segment in known.split("/"):
            if segment == "{task}":
                # What ends a task, or changes it for good, is not done to the first one: it has to be as it was.
                free = self.tasks if method == "get" else self.tasks[1:]
                segment = self.chance.choice(free) if self.chance.random() < 0.8 else self.chance.choice(SEGMENTS)
            elif segment == "{id}":
                segment = self.chance.choice(["4711", "0", *SEGMENTS])
            elif self.chance.random() < 0.01:
                segment = self.chance.choice(SEGMENTS)
            segments.append(segment)
        path = "/".join(segments) + (self.chance.choice(QUERIES) if self.chance.random() < 0.3 else "")
        word = method.upper() if self.chance.random() < 0.95 else self.chance.choice(["HEAD", "OPTIONS", "PATCH", "BREW", "get", "DELETE"])
        if word == "DELETE" and f"/{self.tasks[0]}" in path.replace("%00", ""):
            word = "GET"
        operation = self.document["paths"][known].get(word.lower(), operation)
        body = self.body(operation, known)
        lines = [f"{word} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        if body or word in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        headers = self.chance.sample(HEADERS, self.chance.choice([0, 0, 0, 1, 3]))
        if body and not any(header.startswith("Content-Type") for header in headers):
            headers.append("Content-Type: application/json")
        head = "\r\n".join([*lines, *headers]) + "\r\n\r\n"
        return word, path, operation, head.encode("utf-8", "surrogatepass") + body

    def rubbish(self, request):
        """Not whole, or no HTTP."""
        if self.chance.random() < 0.5:
            return self.chance.choice(RAW)
        spoilt = bytearray(request)
        for _ in range(self.chance.randrange(1, 6)):
            spoilt[self.chance.randrange(len(spoilt))] = self.chance.randrange(256)
        return bytes(spoilt[:self.chance.randrange(1, len(spoilt) + 1)])


class Slow:
    """Connections that never come to an end: some bytes of each are sent now and then."""

    def __init__(self, chance, port, most=40):
        self.chance = chance
        self.port = port
        self.most = most
        self.open = []

    def step(self, request):
        if len(self.open) < self.most and self.chance.random() < 0.3:
            connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
            self.open.append((connection, io.BytesIO(request)))
        if self.open:
            at = self.chance.randrange(len(self.open))
            connection, rest = self.open[at]
            try:
                connection.sendall(rest.read(self.chance.choice([1, 1, 10, 100])) or b"\0")
                gone = self.chance.random() < 0.01
            except OSError:
                gone = True
            if gone:
                connection.close()
                del self.open[at]

    def close(self):
        for connection, _ in self.open:
            # Reset: an end that is told only half is waited for as long as a connection may idle.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        self.open = []
