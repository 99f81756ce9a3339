"""weftd's HTTP listener from outside: each path, who is answered and who is not, clients that mean ill, the metrics as
Prometheus reads them, and the dashboard over them."""

import base64
import json
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)
import metrics  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
READY = r"http: listening on (\S+)"
CONNECTIONS_MAX = 64
VIEWERS_MAX = 16


class Answer:
    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.code = int(lines[0].split(" ")[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}

    @property
    def text(self):
        return self.body.decode()


class Client:
    """One connection. `to` is a port of 127.0.0.1 or a unix socket."""

    def __init__(self, to):
        self.socket = socket.socket(socket.AF_UNIX if isinstance(to, str) else socket.AF_INET)
        self.socket.settimeout(harness.PATIENCE)
        self.socket.connect(to if isinstance(to, str) else ("127.0.0.1", to))
        self.host = "localhost" if isinstance(to, str) else f"localhost:{to}"
        self.buffer = b""

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def ask(self, path, method="GET", body=b"", **headers):
        """Headers by name, with "_" for "-"; None leaves one out."""
        headers = {"Host": self.host, **headers}
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value is not None]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + body)
        return self.answer(method == "HEAD")

    def answer(self, head=False):
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        end = self.buffer.index(b"\r\n\r\n") + 4
        size = re.search(rb"(?i)content-length: (\d+)", self.buffer[:end])
        size = int(size[1]) if size and not head else 0
        while len(self.buffer) < end + size:
            self._more()
        raw, self.buffer = self.buffer[:end + size], self.buffer[end + size:]
        return Answer(raw)

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"closed after {self.buffer!r}")
        self.buffer += data

    def wait_closed(self):
        """Until the other side has closed; what it said before is given back."""
        said = self.buffer
        while True:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return said
            if not data:
                return said
            said += data

    # ---- WebSocket -------------------------------------------------------------------------------

    def upgrade(self, path="/live", **headers):
        return self.ask(path, **{"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
                                 "Sec_WebSocket_Key": base64.b64encode(os.urandom(16)).decode(),
                                 "Sec_WebSocket_Protocol": "weft-live", **headers})

    def message(self):
        """The next text message, or None at the end."""
        text = b""
        while True:
            first, size = self._take(2)
            if size == 126:
                size = struct.unpack("!H", self._take(2))[0]
            elif size == 127:
                size = struct.unpack("!Q", self._take(8))[0]
            data = self._take(size)
            if first & 15 == 8:
                return None
            if first & 15 in (0, 1):
                text += data
                if first & 128:
                    return text

    def _take(self, size):
        while len(self.buffer) < size:
            self._more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data


class Http(harness.Case):
    def node(self, path="lab.a", http="{listen: [127.0.0.1:0]}", **options):
        """A router; its .http is the port."""
        router = self.router(path, extra=f"http: {http}\n" + options.pop("extra", ""), **options)
        url = router.proc.wait_line(READY)[1]
        router.http = int(url.rsplit(":", 1)[1].rstrip("/")) if url.startswith("http") else url[len("unix:"):]
        return router

    def client(self, to):
        client = Client(to)
        self.addCleanup(client.close)
        return client

    def get(self, router, path, **how):
        return self.client(router.http).ask(path, **how)


class Paths(Http):
    def test_all(self):
        a = self.node()
        client = self.client(a.http)
        for path, kind in (("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css"),
                           ("/icon.svg", "image/svg+xml"), ("/healthz", "text/plain"), ("/readyz", "application/json"),
                           ("/metrics", "application/openmetrics-text"), ("/status.json", "application/json")):
            with self.subTest(path):
                got = client.ask(path)
                self.assertEqual(got.code, 200)
                self.assertTrue(got.headers["content-type"].startswith(kind))
                self.assertEqual(got.headers["x-content-type-options"], "nosniff")
                self.assertIn("default-src 'none'", got.headers["content-security-policy"])
                self.assertNotIn("access-control-allow-origin", got.headers)
                self.assertGreater(len(got.body), 0)
                head = client.ask(path, method="HEAD")
                self.assertEqual((head.code, head.headers["content-type"]), (200, got.headers["content-type"]))
        self.assertEqual(client.ask("/healthz").text, "ok\n")
        status = json.loads(client.ask("/status.json").body)
        self.assertEqual(status["status"]["url"], a.url)
        self.assertEqual(status["status"]["pid"], a.proc.pid)
        self.assertEqual(set(status), {"status", "peers", "routes", "addrbook", "incidents", "left_out"})

    def test_what_is_not_there(self):
        a = self.node()
        for path in ("/nope", "/../etc/passwd", "/%2e%2e/etc/passwd", "/metrics/", "/page.c"):
            with self.subTest(path):
                self.assertEqual(self.get(a, path).code, 404)
        self.assertIn("/metrics", self.get(a, "/nope").text)
        self.assertEqual(self.get(a, "/live").code, 426)

    def test_nothing_is_changed_from_here(self):
        a = self.node()
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            with self.subTest(method):
                client = self.client(a.http)
                got = client.ask("/metrics", method=method, body=b"x" * 10)
                self.assertEqual((got.code, got.headers["allow"]), (405, "GET, HEAD"))
                client.wait_closed()

    def test_ready(self):
        """One that only dials is ready once it has a link; one that listens, at once."""
        port = harness.free_port()
        config = os.path.join(self.folder, "c.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"path: lab.c\nrole: client\nhttp: {{listen: [127.0.0.1:0]}}\n"
                       f"peers: [{{url: 'tcp://127.0.0.1:{port}/lab.a', max_backoff: 1s}}]\n")
        c = self.spawn("weftd c", [harness.program("weftd"), "-c", config])
        c.http = int(c.wait_line(READY)[1].rsplit(":", 1)[1].rstrip("/"))
        c.wait_line("dial")
        got = self.get(c, "/readyz")
        self.assertEqual((got.code, json.loads(got.body)["ready"]), (503, False))
        self.assertEqual(json.loads(got.body)["not_linked"], [f"tcp://127.0.0.1:{port}/lab.a"])
        a = self.node(port=port)
        c.wait_line(harness.PEER_UP.format(path="lab.a"))
        got = self.get(c, "/readyz")
        self.assertEqual((got.code, json.loads(got.body)), (200, {"ready": True, "reason": "it is linked", "linked": 1,
                                                                  "not_linked": []}))
        self.assertEqual(self.get(a, "/readyz").code, 200)

    def test_off_by_default(self):
        a = self.router("lab.a")
        self.assertEqual(a.proc.count("http"), 0)
        with open(f"/proc/{a.proc.pid}/maps", encoding="utf-8") as maps:
            self.assertNotIn("libwebsockets-evlib", maps.read())

    def test_unix_socket(self):
        sock = os.path.join(self.folder, "http.sock")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(sock)
        a = self.node(http=f"{{listen: ['unix:{sock}']}}")
        self.assertEqual(self.get(a, "/healthz", Host="whatever").code, 200)
        self.assertEqual(os.stat(sock).st_mode & 0o777, 0o660)
        a.proc.terminate()
        self.assertFalse(os.path.exists(sock))

    def test_address_in_use(self):
        a = self.node()
        config = os.path.join(self.folder, "b.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"self: tcp://127.0.0.1:0/lab.b\nhttp: {{listen: [127.0.0.1:{a.http}]}}\n")
        said = self.spawn("weftd b", [harness.program("weftd"), "-c", config]).expect_exit(1)
        self.assertIn(f"127.0.0.1:{a.http} is in use", "\n".join(said))


class Strangers(Http):
    def test_hosts(self):
        """A name that a stranger's page was loaded from is no name of ours."""
        a = self.node(http="{listen: [127.0.0.1:0], names: [robot.lan]}")
        for host, code in (("localhost", 200), ("LOCALHOST:1", 200), ("127.0.0.1", 200), ("127.1.2.3:80", 200),
                           ("[::1]", 200), ("[::1]:7480", 200), ("robot.lan", 200), ("Robot.Lan:99", 200),
                           ("evil.example", 403), ("10.0.0.1", 403), ("[fe80::1]", 403), ("localhost.evil.example", 403),
                           ("localhost:x", 403), ("[::1", 403), ("[robot.lan]", 403), ("", 403), ("a" * 400, 403)):
            with self.subTest(host):
                self.assertEqual(self.get(a, "/status.json", Host=host).code, code)
                self.assertEqual(self.client(a.http).upgrade(Host=host).code, 101 if code == 200 else code)

    def test_origins(self):
        a = self.node()
        host = f"localhost:{a.http}"
        for origin, code in ((None, 101), (f"http://{host}", 101), (f"https://{host}", 101), ("http://evil.example", 403),
                             (f"http://{host}.evil.example", 403), ("null", 403), ("http://localhost", 403),
                             (f"ftp://{host}", 403), (f"http://127.0.0.1:{a.http}", 403)):
            with self.subTest(origin):
                self.assertEqual(self.client(a.http).upgrade(Origin=origin).code, code)

    def test_websocket_elsewhere(self):
        a = self.node()
        self.assertEqual(self.client(a.http).upgrade("/").code, 404)
        self.assertEqual(self.client(a.http).upgrade(Sec_WebSocket_Protocol="chat").code, 400)
        self.assertEqual(self.client(a.http).upgrade(Sec_WebSocket_Protocol=None).code, 400)
        self.assertEqual(self.client(a.http).upgrade(Upgrade="h2c").code, 404)
        self.assertEqual(self.client(a.http).upgrade(Upgrade="WebSocket").code, 101)


class Crowds(Http):
    def test_too_many_connections(self):
        a = self.node()
        held = [self.client(a.http) for _ in range(CONNECTIONS_MAX)]
        held[0].ask("/healthz")  # all before it were accepted, too
        for client in held[1:]:
            client.send(b"GET /healthz HTTP/1.1\r\nHo")
        extra = self.client(a.http)
        self.assertIn(b"503 Service Unavailable", extra.wait_closed())
        self.assertEqual(held[0].ask("/healthz").code, 200, "those inside are still served")
        for client in held[1:]:
            client.close()
        deadline = time.monotonic() + harness.PATIENCE
        while self.connections(held[0]) != 1:
            self.assertLess(time.monotonic(), deadline, "connections are not given up")
        self.assertEqual(self.get(a, "/healthz").code, 200)

    def small_client(self, port):
        """One with little room for what it does not read."""
        client = Client.__new__(Client)
        client.socket, client.host, client.buffer = socket.socket(), f"localhost:{port}", b""
        self.addCleanup(client.close)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.socket.settimeout(harness.PATIENCE)
        client.socket.connect(("127.0.0.1", port))
        return client

    def connections(self, client):
        """How many the listener has, by its own word."""
        return metrics.values(metrics.parse(client.ask("/metrics").text)[1], "weft_http_connections")[0]

    def test_too_many_viewers(self):
        a = self.node()
        viewers = [self.client(a.http) for _ in range(VIEWERS_MAX)]
        for viewer in viewers:
            self.assertEqual(viewer.upgrade().code, 101)
            json.loads(viewer.message())
        self.assertEqual(self.client(a.http).upgrade().code, 503)
        viewers[0].close()
        _, samples = metrics.parse(self.get(a, "/metrics").text)
        self.assertIn(metrics.values(samples, "weft_http_viewers"), ([VIEWERS_MAX], [VIEWERS_MAX - 1]))

    def test_bodies_behind_a_request(self):
        a = self.node()
        first = f"GET /healthz HTTP/1.1\r\nHost: localhost:{a.http}\r\n\r\n"
        for method, length, code in (("GET", "Content-Length: 3", 413), ("POST", "Content-Length: 3", 405),
                                     ("GET", "Transfer-Encoding: chunked", 413)):
            with self.subTest(f"{method}, {length}"):
                client = self.client(a.http)
                client.send(f"{first}{method} / HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n{first}".encode())
                self.assertEqual(client.answer().code, 200)
                self.assertEqual(client.answer().code, code)
                client.wait_closed()
                self.assertEqual(self.get(a, "/healthz").code, 200)

    def test_a_viewer_that_talks(self):
        a = self.node()
        viewer = self.client(a.http)
        self.assertEqual(viewer.upgrade().code, 101)
        viewer.send(b"\x81\x82\0\0\0\0hi")
        viewer.wait_closed()
        self.assertEqual(self.get(a, "/healthz").code, 200)

    def test_slow_clients(self):
        """Who starts and does not go on is dropped, and who does not take what it asked for; the others go on meanwhile."""
        a = self.node()
        self.weft("sub", *(f"T@lab.a.{'long' * 240}-{n}" for n in range(32)), "-P", a.sock)  # a picture of 32 KiB
        a.proc.wait_line("peer up")
        viewer = self.small_client(a.http)
        self.assertEqual(viewer.upgrade().code, 101)
        silent, halfway, deaf, endless = (self.client(a.http) for _ in range(4))
        halfway.send(b"GET /healthz HTTP/1.1\r\nHost: local")
        for _ in range(200):
            deaf.send(b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
        waiting = {silent.socket, halfway.socket}
        endless.send(b"GET /healthz HTTP/1.1\r\n")
        client = self.client(a.http)
        deadline = time.monotonic() + 2 * harness.PATIENCE
        while self.connections(client) != 1 or waiting or endless:
            self.assertLess(time.monotonic(), deadline, "not dropped")
            if endless:
                try:
                    endless.send(b"X-More: and more\r\n" * 100)
                except OSError:
                    endless = None
            for ready in select.select(list(waiting), [], [], 0.05)[0]:
                try:
                    self.assertEqual(ready.recv(100), b"")
                except ConnectionResetError:
                    pass
                waiting.discard(ready)

    def test_closing_with_connections(self):
        """The end does not wait for clients."""
        a = self.node()
        idle, viewer = self.client(a.http), self.client(a.http)
        self.assertEqual(viewer.upgrade().code, 101)
        json.loads(viewer.message())
        started = time.monotonic()
        a.proc.terminate()
        self.assertLess(time.monotonic() - started, 3)
        idle.wait_closed()
        viewer.wait_closed()


class Live(Http):
    def picture(self, viewer, accept):
        """The first picture that `accept` takes."""
        while True:
            picture = json.loads(viewer.message())
            if accept(picture):
                return picture

    def test_the_picture(self):
        a = self.node("lab.a")
        b = self.router("lab.b", peers=[a.url])
        c = self.router("lab.c", peers=[a.url], extra="access: {info: none}\n")
        viewer = self.client(a.http)
        self.assertEqual(viewer.upgrade().code, 101)
        told = self.picture(viewer, lambda p: {n["url"] for n in p["nodes"]} == {a.url, b.url, c.url})
        nodes = {n["url"]: n for n in told["nodes"]}
        self.assertTrue(nodes[a.url]["self"])
        self.assertEqual({p["url"] for p in nodes[a.url]["report"]["peers"]}, {b.url, c.url})
        self.assertTrue(nodes[b.url]["tells"])
        self.assertIn(a.url, {e["peer"] for e in nodes[b.url]["report"]["addrbook"]})
        self.assertFalse(nodes[c.url]["tells"])
        self.assertTrue(nodes[c.url]["why"])
        b.proc.kill9()
        self.picture(viewer, lambda p: not any(n["url"] == b.url for n in p["nodes"]))

    def test_what_others_tell_themselves_is_not_shown(self):
        a = self.node("lab.a")
        b = self.router("lab.b", peers=[a.url])
        self.weft("sub", "T@lab.b.x", "-l", "tcp://127.0.0.1:0/lab.c", "-P", a.url)
        viewer = self.client(a.http)
        viewer.upgrade()

        def knows(picture):
            reports = [node["report"] for node in picture["nodes"] if node["url"] == b.url and node["tells"]]
            return reports and reports[0]["status"]["stats"]["remote_interests"] and "routes" in reports[0]

        told = self.picture(viewer, knows)
        self.assertEqual([node["report"]["routes"] for node in told["nodes"] if node["url"] == b.url], [[]])

    def test_nobody_is_asked_without_a_viewer(self):
        a = self.node("lab.a")
        b = self.router("lab.b", peers=[a.url])
        a.wait_peer("lab.b")
        viewer = self.client(a.http)
        viewer.upgrade()
        self.picture(viewer, lambda p: len(p["nodes"]) == 2)
        viewer.close()
        client = self.client(a.http)
        deadline = time.monotonic() + harness.PATIENCE
        while metrics.values(metrics.parse(client.ask("/metrics").text)[1], "weft_http_viewers") != [0]:
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(b.proc.process.poll(), None)


def promtool():
    """Prometheus's own, or None: ./dev test unpacks it below build/."""
    unpacked = os.path.join(ROOT, "build", "promtool", "usr", "bin", "promtool")
    return unpacked if os.path.exists(unpacked) else shutil.which("promtool")


class Metrics(Http):
    def mesh(self):
        a = self.node("lab.a")
        b = self.router("lab.b", peers=[a.url])
        a.wait_peer("lab.b")
        sub = self.weft("sub", "T@lab.a.x", "-P", a.sock)
        self.weft("pub", "T@lab.a.x", "hello", "-P", a.sock, "--path", "lab.a", "--count", "1000000", "--rate", "50")
        sub.wait_line("hello")
        return a, b

    def test_of_a_mesh(self):
        a, b = self.mesh()
        _, samples = metrics.parse(self.get(a, "/metrics").text)

        def value(name, **labels):
            return metrics.values(samples, name, **labels)
        self.assertEqual(value("weft_peer_up", url=b.url, peer="lab.b"), [1])
        self.assertEqual(value("weft_peers", state="linked"), [3])
        self.assertGreater(value("weft_peer_bytes_total", url=b.url, direction="in")[0], 0)
        self.assertGreaterEqual(value("weft_messages_total", direction="in")[0], 1)
        self.assertGreaterEqual(value("weft_relayed_messages_total")[0], 1)
        self.assertGreaterEqual(value("weft_route_messages_total", route="T@lab.a.x", kind="intent")[0], 1)
        self.assertEqual(value("weft_route_matches", route="T@lab.a.x", kind="intent"), [1])
        self.assertEqual(value("weft_routes_left_out"), [0])
        self.assertEqual(value("weft_addrbook_entries", state="linked"), [1])
        self.assertGreater(value("process_resident_memory_bytes")[0], 1 << 20)
        fds = len(os.listdir(f"/proc/{a.proc.pid}/fd"))
        self.assertAlmostEqual(value("process_open_fds")[0], fds, delta=2)
        b.proc.kill9()
        a.proc.wait_line(harness.PEER_DOWN.format(path="lab.b"))
        _, samples = metrics.parse(self.get(a, "/metrics").text)
        self.assertEqual(metrics.values(samples, "weft_peers", state="linked"), [2])

    def test_clients_of_one_name(self):
        """Nobody dials them, so that they may be called alike: one series, not a series twice."""
        a = self.node()
        subs = [self.weft("sub", "T@lab.a.x", "-P", a.url, "--path", "lab.a.viewer") for _ in range(3)]
        seen = 0
        for _ in subs:
            a.proc.wait_line(harness.PEER_UP.format(path="lab.a.viewer"), since=seen)
            seen = next(i for i, line in enumerate(a.proc.lines) if i >= seen and "lab.a.viewer" in line) + 1
        _, samples = metrics.parse(self.get(a, "/metrics").text)
        self.assertEqual(metrics.values(samples, "weft_peer_up", peer="lab.a.viewer"), [3])

    def test_labels_are_escaped(self):
        a = self.node()
        path = 'lab.a."x\\y'
        self.weft("sub", "T@lab.a.x", "-P", a.url, "--path", path)
        a.proc.wait_line("peer up")
        _, samples = metrics.parse(self.get(a, "/metrics").text)
        self.assertEqual(metrics.values(samples, "weft_peer_up", peer=path), [1])

    def test_promtool(self):
        if not promtool():
            self.skipTest("promtool cannot be had: not checked by it")
        a, _ = self.mesh()
        classic = self.get(a, "/metrics", Accept="text/plain")
        self.assertTrue(classic.headers["content-type"].startswith("text/plain; version=0.0.4"))
        done = subprocess.run([promtool(), "check", "metrics"], input=classic.body, capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, b""))
        # Its reader of OpenMetrics is behind another command, which wants times.
        openmetrics = self.get(a, "/metrics").text
        file = os.path.join(self.folder, "metrics")
        with open(file, "w", encoding="utf-8") as out:
            out.write(re.sub(r"(?m)^([^#\n].*)$", rf"\1 {int(time.time())}", openmetrics))
        done = subprocess.run([promtool(), "tsdb", "create-blocks-from", "openmetrics", file,
                               os.path.join(self.folder, "blocks")], capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_all_are_in_the_manual(self):
        a, _ = self.mesh()
        families, _ = metrics.parse(self.get(a, "/metrics").text)
        with open(os.path.join(ROOT, "docs", "metrics.md"), encoding="utf-8") as file:
            rows = dict(re.findall(r"(?m)^\| `(\w+)` \| (\w+) \|", file.read()))
        there = {name + ("_total" if kind == "counter" else ""): kind for name, (kind, _) in families.items()}
        self.assertEqual(rows, there)

    def test_the_dashboard(self):
        """Grafana's file asks for nothing that is not there."""
        a, _ = self.mesh()
        _, samples = metrics.parse(self.get(a, "/metrics").text)
        there = {name: {label for (n, labels) in samples if n == name for label, _ in labels} for name, _ in samples}
        with open(os.path.join(ROOT, "dist", "grafana", "weft.json"), encoding="utf-8") as file:
            board = json.load(file)
        panels = [p for p in board["panels"] if p["type"] != "row"]
        self.assertGreater(len(panels), 8)
        self.assertEqual(len({p["id"] for p in board["panels"]}), len(board["panels"]))
        expressions = [t["expr"] for p in panels for t in p["targets"]]
        expressions += [v["query"]["query"] for v in board["templating"]["list"] if v["type"] == "query"]
        asked = set()
        for expression in expressions:
            names = re.findall(r"\b(?:weft|process)_\w+", expression)
            self.assertTrue(names, expression)
            asked.update(names)
            for name, labels in re.findall(r"\b((?:weft|process)_\w+)\{([^}]*)\}", expression):
                for label in re.findall(r"(\w+)\s*[=!]", labels):
                    if label not in ("instance", "job"):  # Prometheus adds these
                        self.assertIn(label, there[name], expression)
        self.assertEqual(asked - set(there), set())


if __name__ == "__main__":
    harness.main()
