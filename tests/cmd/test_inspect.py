"""weft status, peers, routes, explain, trace, top and graph against a live mesh of three."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)

NOWHERE = "tcp://127.0.0.1:1/nowhere"
ASKING = ("status", "peers", "routes", "graph")  # take a URL alone
REASONS = ("timeout", "refused", "old", "replaced", "link", "too_big", "closed", "no_memory")

# Arguments, and what must be said about them.
MISUSES = [
    (["status"], "one URL"),
    (["status", "what"], "what: not a peer URL"),
    (["status", NOWHERE, "x"], "one URL"),
    (["status", NOWHERE, "--timeout", "0"], "--timeout 0"),
    (["status", NOWHERE, "--watch", "0"], "--watch 0"),
    (["stauts"], "did you mean 'status'"),
    (["peers", NOWHERE, "--jsno"], "unrecognized option"),
    (["peers", NOWHERE, "--jsno=x"], "Did you mean '--json'?"),
    (["status", "http://127.0.0.1:80/x"], 'weft status: http://127.0.0.1:80/x: not a peer URL: there is no transport'),
    (["--hepl"], "did you mean '--help'"),
    (["routes", NOWHERE, "nonsense"], "TYPE@PATH"),
    (["routes", NOWHERE, "--interval", "soon"], "--interval soon"),
    (["explain", "T@a"], "a route and a URL"),
    (["explain", "nonsense", NOWHERE], "TYPE@PATH"),
    (["trace", "T@a"], "-P URL"),
    (["trace", "-P", NOWHERE], "one route"),
    (["trace", "T@a", "-P", NOWHERE, "--count", "0"], "--count 0"),
    (["top", NOWHERE], "--json"),
    (["top", NOWHERE, "--json", "--interval", "0"], "--interval 0"),
    (["top", NOWHERE, "--json", "--count", "0"], "--count 0"),
    (["graph"], "one URL"),
]


class Terminal:
    """A program on a terminal of its own; what it draws is gathered."""

    def __init__(self, argv, columns=80, lines=24, term="linux", color=False):
        self.text, self.changed = "", threading.Condition()
        env = {**os.environ, "TERM": term, "LC_ALL": "C.UTF-8"}
        env.pop("NO_COLOR", None)
        if not color:
            env["NO_COLOR"] = "1"
        self.fd, inner = pty.openpty()
        self.resize(columns, lines)
        self.process = subprocess.Popen(argv, stdin=inner, stdout=inner, stderr=inner, env=env,
                                        start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(inner)
        self.reader = threading.Thread(target=self._gather, daemon=True)
        self.reader.start()

    def _gather(self):
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            with self.changed:
                self.text += data.decode(errors="replace")
                self.changed.notify_all()
            if not data:
                return

    def resize(self, columns, lines):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def mark(self):
        with self.changed:
            return len(self.text)

    def wait(self, pattern, since=0):
        deadline = time.monotonic() + harness.PATIENCE
        with self.changed:
            while not re.search(pattern, self.text[since:]):
                left = deadline - time.monotonic()
                if left <= 0 or not self.reader.is_alive():
                    raise AssertionError(f"no {pattern!r} on the terminal:\n{self.text[since:][-2000:]!r}")
                self.changed.wait(min(left, 0.2))

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def exit_code(self):
        code = self.process.wait(harness.PATIENCE)
        self.reader.join(harness.PATIENCE)
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.fd)


class Case(harness.Case):
    def json(self, *args, code=0):
        return json.loads(self.run_weft(*args, "--json", code=code))

    def said(self, *args, code=1):
        """What a failing command says on stderr; it says nothing else."""
        proc = self.weft(*args, split=True)
        proc.expect_exit(code)
        self.assertEqual(proc.lines, [])
        return "\n".join(proc.errors)

    def until(self, ask, good):
        """Ask again until the answer is good: reports of several nodes settle within some round trips."""
        deadline = time.monotonic() + harness.PATIENCE
        while not good(answer := ask()):
            self.assertLess(time.monotonic(), deadline, answer)
        return answer

    def terminal(self, *args, **how):
        terminal = Terminal([harness.program("weft"), *args], **how)
        self.addCleanup(terminal.close)
        return terminal

    def on_terminal(self, *args, **how):
        """All that a command prints on a terminal, line by line."""
        terminal = self.terminal(*args, **how)
        self.assertEqual(terminal.exit_code(), 0, terminal.text)
        return terminal.text.replace("\r", "").rstrip("\n").split("\n")


class Usage(Case):
    def test_misuse(self):
        for args, words in MISUSES:
            with self.subTest(" ".join(args)):
                self.assertIn(words, "\n".join(self.weft(*args).expect_exit(2)))

    def test_each_help_tells_its_exit_codes(self):
        for name in ASKING + ("explain", "trace", "top"):
            text = self.run_weft("help", name)
            self.assertIn(f"usage: weft {name}", text)
            self.assertIn("Exit codes:", text)
            self.assertLess(max(map(len, text.splitlines())), 80)


class Unwilling(Case):
    """Nodes that do not answer: the reason and the remedy."""

    def test_nobody_there(self):
        url = f"tcp://127.0.0.1:{harness.free_port()}/x"
        for args in ([name, url] for name in ASKING):
            with self.subTest(args[0]):
                self.assertIn("refused", self.said(*args))
        self.assertIn("refused", self.said("explain", "T@a.x", url))
        self.assertIn("refused", self.said("trace", "T@a.x", "-P", url))
        self.assertIn("refused", self.said("top", url, "--json"))

    def test_a_node_that_tells_nobody(self):
        a = self.router("lab.a", extra="access: {info: none}\n")
        for name in ASKING:
            with self.subTest(name):
                said = self.said(name, a.sock)
                self.assertIn(a.sock, said)
                self.assertIn("access: {info: local}", said)

    def test_a_node_that_tells_over_its_socket_alone(self):
        a = self.router("lab.a", extra="access: {info: unix}\n")
        self.assertIn("unix socket", self.said("status", a.url))
        self.assertEqual(self.json("status", a.sock)["status"]["path"], "lab.a")

    def test_a_node_that_is_stopped(self):
        a = self.router("lab.a")
        watch = self.weft("peers", a.sock, "--json", "--watch", "0.1", "--timeout", "3", split=True)
        watch.wait_line('"peers"')
        os.kill(a.proc.pid, signal.SIGSTOP)
        try:
            watch.expect_exit(1)
        finally:
            os.kill(a.proc.pid, signal.SIGCONT)
        self.assertIn("--timeout", "\n".join(watch.errors))


class Mesh(Case):
    """Three routers, each linked to the others."""

    def setUp(self):
        super().setUp()
        self.a = self.router("lab.a")
        self.b = self.router("lab.b", peers=[self.a.url])
        self.c = self.router("lab.c", peers=[self.a.url, self.b.url])
        for router, paths in ((self.a, "bc"), (self.b, "ac"), (self.c, "ab")):
            for path in paths:
                router.wait_peer(f"lab.{path}")

    def publish(self, route, at, *args):
        return self.weft("pub", route, "tick", "-P", at.sock, "--rate", "200", "--count", "1000000", *args)

    def subscribe(self, route, at):
        sub = self.weft("sub", route, "-P", at.sock, split=True)
        return sub

    # ---- status ----

    def test_status(self):
        answer = self.json("status", self.a.sock)
        self.assertEqual(set(answer), {"status", "incidents"})
        status = answer["status"]
        self.assertEqual((status["path"], status["role"], status["log_level"]), ("lab.a", "peer", "info"))
        self.assertEqual(status["url"], self.a.url)
        self.assertEqual(status["pid"], self.a.proc.pid)
        self.assertEqual(status["addrbook"], self.a.addrbook)
        self.assertRegex(status["node_id"], "^[0-9a-f]{32}$")
        self.assertLess(abs(status["now_ns"] / 1e9 - time.time()), 60)
        self.assertLess(status["started_ns"], status["now_ns"])
        stats = status["stats"]
        self.assertEqual(stats["peers"], 3)  # and this command
        self.assertGreater(stats["bytes_in"], 0)
        self.assertEqual(set(stats["dropped"]), set(REASONS))
        page = self.run_weft("status", self.a.url)
        for line in (rf"node +{re.escape(self.a.url)}", r"up +\S+, since 20", "peers +2 linked",
                     f"pid {self.a.proc.pid}, peer", "limits +frames of 4MiB, 1024 peers", "dropped +0"):
            self.assertRegex(page, f"(?m)^{line}|{line}")

    def test_status_tells_incidents(self):
        self.c.proc.kill9()
        self.a.proc.wait_line(harness.PEER_DOWN.format(path="lab.c"))
        incidents = self.json("status", self.a.sock)["incidents"]
        down = [i for i in incidents if i["type"] == "peer_down" and i["peer"] == self.c.url]
        self.assertTrue(down, incidents)
        self.assertTrue(down[0]["text"] and down[0]["count"] >= 1)
        self.assertRegex(self.run_weft("status", self.a.sock), rf"ago +peer_down +{re.escape(self.c.url)}: ")

    # ---- peers ----

    def test_peers(self):
        peers = self.until(lambda: self.json("peers", self.a.sock)["peers"],
                           lambda peers: all(p["rtt_ns"] for p in peers))
        self.assertEqual([p["url"] for p in peers], [self.b.url, self.c.url] if self.b.url < self.c.url
                         else [self.c.url, self.b.url])
        for p in peers:
            self.assertEqual((p["state"], p["role"], p["base"]), ("linked", "peer", False))
            self.assertIn("info", p["features"])
            self.assertTrue(p["inbound"])
            self.assertRegex(p["agent"], r"^weftd/\d")
            self.assertEqual(set(p["dropped"]), set(REASONS))
            self.assertGreater(p["bytes_in"], 0)
            self.assertGreater(p["bytes_out"], 0)
        table = self.run_weft("peers", self.a.sock).split("\n")
        self.assertRegex(table[0], "^PEER +STATE +DIR +RTT")
        self.assertEqual(len(table), 3)
        self.assertRegex(table[1], r"^tcp://127\.0\.0\.1:\d+/lab\.[bc] +linked +in ")
        wide = self.run_weft("peers", self.a.sock, "--wide").split("\n")
        for title in ("PATH", "AGENT", "JITTER", "QUEUE", "BYTES-IN", "ID"):
            self.assertIn(title, wide[0])
            self.assertNotIn(title, table[0])

    def test_peers_that_are_not_linked(self):
        self.c.proc.terminate()
        self.b.proc.wait_line(harness.PEER_DOWN.format(path="lab.c"))
        d = self.router("lab.d", peers=[self.c.url])
        lost = self.until(lambda: self.json("peers", d.sock)["peers"],
                          lambda peers: peers and peers[0]["last_error"])[0]
        self.assertEqual(lost["url"], self.c.url)
        self.assertIn(lost["state"], ("waiting", "dialing", "handshake"))
        self.assertIn("refused", lost["last_error"])
        self.assertTrue(lost["persistent"])
        self.assertGreaterEqual(lost["failed_attempts"], 1)
        self.assertRegex(self.run_weft("peers", d.sock), rf"(?m)^{re.escape(self.c.url)}: connection refused$")
        self.assertRegex(self.run_weft("peers", d.sock, "--wide"), r"(?m)^tcp://\S+ .* connection refused ")

    def test_tables_fit_the_terminal(self):
        self.publish("T@lab.a." + "x" * 100, self.a)
        self.until(lambda: self.json("routes", self.a.sock, "--interval", "0")["routes"], bool)
        for args in (["peers", self.a.sock], ["routes", self.a.sock, "--interval", "0"],
                     ["addrbook", "dump", self.a.sock]):
            lines = self.on_terminal(*args, columns=80)
            self.assertGreater(len(lines), 1)
            self.assertLessEqual(max(map(len, lines)), 80, "\n".join(lines))
            self.assertNotIn("\033", "".join(lines))
        self.assertIn("\033[32m", "".join(self.on_terminal("peers", self.a.sock, color=True)))
        self.assertIn("JITTER", self.on_terminal("peers", self.a.sock, columns=200)[0])

    def test_watching(self):
        watch = self.weft("peers", self.a.sock, "--watch", "0.1", "--json")
        for _ in range(3):
            seen = watch.mark()
            self.assertEqual(len(json.loads(watch.wait_line("^{.*}$", since=seen).string)["peers"]), 2)
        watch.process.send_signal(signal.SIGINT)
        watch.expect_exit(0)

    def test_a_reader_that_has_enough(self):
        watch = f"'{harness.program('weft')}' peers '{self.a.sock}' --watch 0.05 --json"
        lines = self.spawn("head", ["sh", "-c", watch + " | head -n 1"]).expect_exit(0)
        self.assertEqual([line[:9] for line in lines], ['{"peers":'])

    # ---- routes ----

    def test_routes(self):
        self.subscribe("*@lab.**", self.b)
        self.publish("T@lab.a.x", self.a)
        self.publish("U@lab.a.y", self.a)
        routes = self.until(lambda: self.json("routes", self.a.sock, "T@lab.a.x", "--interval", "0.2")["routes"],
                            lambda routes: any((r["rate_hz"] or 0) > 0 for r in routes) and len(routes) == 2)
        interest, intent = sorted(routes, key=lambda r: r["intent"])
        self.assertEqual((intent["route"], interest["route"]), ("T@lab.a.x", "*@lab.**"))
        self.assertEqual(intent["peer"], self.leaf(self.a))
        self.assertEqual(interest["peer"], self.b.url)
        self.assertGreater(intent["messages"], 0)
        self.assertEqual(set(intent["dropped"]), set(REASONS))
        everything = self.json("routes", self.a.sock, "--interval", "0")
        self.assertEqual(everything["interval_ns"], 0)
        self.assertEqual({r["rate_hz"] for r in everything["routes"]}, {None})
        self.assertIn("U@lab.a.y", [r["route"] for r in everything["routes"]])
        table = self.run_weft("routes", self.a.sock, "--interval", "0.2")
        self.assertRegex(table, r"(?m)^ROUTE +KIND +PEER +MATCHES")
        self.assertRegex(table, r"(?m)^T@lab\.a\.x +intent .*\d/s")

    def test_routes_that_nobody_knows(self):
        self.assertIn("weft explain", self.run_weft("routes", self.a.sock, "T@lab.a.x", "--interval", "0"))
        self.assertIn("no routes", self.run_weft("routes", self.a.sock, "--interval", "0"))
        self.assertEqual(self.json("routes", self.a.sock, "--interval", "0")["routes"], [])

    def leaf(self, router):
        """What a leaf on the router's socket is called."""
        leaves = [p["url"] for p in self.json("peers", router.sock)["peers"] if p["role"] == "leaf"]
        self.assertTrue(leaves)
        return leaves[0]

    # ---- explain ----

    def wait_flow(self, route, at, *args):
        def flows():
            proc = self.weft("explain", route, at.sock, *args)
            proc.may_exit_with |= {1, 3}
            return proc.exit_code() == 0
        self.until(flows, bool)

    def test_explain_what_flows(self):
        self.publish("T@lab.a.x", self.a)
        self.subscribe("*@lab.**", self.b)
        self.wait_flow("T@lab.a.x", self.c)
        answer = self.json("explain", "T@lab.a.x", self.c.sock)
        self.assertTrue(answer["flows"] and answer["certain"])
        self.assertEqual(len(answer["publishers"]), 1)
        self.assertEqual(len(answer["subscribers"]), 1)
        self.assertEqual([p["reason"] for p in answer["pairs"]], ["matches"])
        self.assertEqual(answer["publishers"][0]["home"], self.a.url)
        self.assertEqual(answer["subscribers"][0]["home"], self.b.url)
        self.assertEqual(answer["untold"], [])
        self.assertIn("from 1 publisher to 1 subscriber", self.run_weft("explain", "T@lab.a.x", self.c.sock))

    def test_explain_nobody_publishes(self):
        self.subscribe("T@lab.a.x", self.b)
        self.publish("U@lab.a.x", self.a)
        ask = ("explain", "T@lab.a.x", self.b.sock)
        answer = self.until(lambda: self.json(*ask, code=1),
                            lambda answer: answer["subscribers"] and "type" in
                            {o["reason"] for o in answer["others"]})
        self.assertFalse(answer["flows"])
        reasons = {(o["from"], o["reason"]) for o in answer["others"]}
        self.assertIn((self.b.url, "scope"), reasons)
        self.assertIn((self.c.url, "scope"), reasons)
        self.assertIn((self.a.url, "silent"), reasons)
        self.assertIn("nobody publishes it", answer["verdict"])
        self.assertIn("publishes U@lab.a.x: the path fits, the type differs", answer["verdict"])
        text = self.run_weft(*ask, code=1)
        self.assertIn("its path lab.b is no prefix", text)
        self.assertEqual(text.split("\n")[-1], answer["verdict"])

    def test_explain_two_leaves_of_one_name(self):
        for _ in range(2):
            self.publish("T@lab.a.x", self.a)
        self.subscribe("*@lab.**", self.b)
        for at in (self.a, self.b, self.c):  # the router lists them alike, the others tell them apart
            self.wait_flow("T@lab.a.x", at)
            answer = self.until(lambda: self.json("explain", "T@lab.a.x", at.sock),
                                lambda answer: sum(p["count"] for p in answer["publishers"]) > 1)
            self.assertEqual([p["count"] for p in answer["publishers"]], [2])
            self.assertIn("from 2 publishers to 1 subscriber", answer["verdict"])

    def test_explain_a_misspelt_route(self):
        self.publish("T@lab.a.pose", self.a)
        for at in (self.a, self.c):
            answer = self.until(lambda: self.json("explain", "T@lab.a.poze", at.sock, code=1),
                                lambda answer: "did you mean" in answer["verdict"])
            self.assertTrue(answer["verdict"].endswith("publishes T@lab.a.pose: did you mean that?"), answer)
            self.assertIn("spelling", {o["reason"] for o in answer["others"]})

    def test_explain_who_does_not_answer(self):
        self.publish("T@lab.a.x", self.a)
        self.subscribe("*@lab.**", self.b)
        self.wait_flow("T@lab.a.x", self.b, "--alone")  # it has the intent itself
        os.kill(self.a.proc.pid, signal.SIGSTOP)
        try:
            answer = self.json("explain", "T@lab.a.x", self.b.sock, "--timeout", "1", code=3)
        finally:
            os.kill(self.a.proc.pid, signal.SIGCONT)
        self.assertEqual((answer["flows"], answer["certain"]), (True, False))
        self.assertRegex(answer["verdict"], f"^It should flow, .*, but {re.escape(self.a.url)} did not answer")
        self.assertEqual([u["url"] for u in answer["untold"]], [self.a.url])

    def test_explain_who_does_not_tell(self):
        d = self.router("lab.d", peers=[self.a.url], extra="access: {info: none}\n")
        self.a.wait_peer("lab.d")
        self.weft("pub", "T@lab.d.x", "tick", "-P", d.sock, "--rate", "50", "--count", "100000")
        answer = self.until(lambda: self.json("explain", "T@lab.d.x", self.a.sock, code=1),
                            lambda answer: answer["publishers"])
        self.assertEqual([u["url"] for u in answer["untold"]], [d.url])
        self.assertIn("access", answer["untold"][0]["why"])
        self.assertEqual(self.json("explain", "T@lab.d.x", self.a.sock, "--alone", code=1)["untold"], [])

    def test_explain_who_is_not_linked(self):
        self.publish("T@lab.b.x", self.b)
        self.subscribe("T@lab.b.x", self.c)
        self.wait_flow("T@lab.b.x", self.b)
        self.run_weft("addrbook", "ban", self.b.sock, self.c.url)
        self.b.proc.wait_line(harness.PEER_DOWN.format(path="lab.c"))
        answer = self.until(lambda: self.json("explain", "T@lab.b.x", self.b.sock, code=1),
                            lambda answer: answer["pairs"])
        self.assertEqual([p["reason"] for p in answer["pairs"]], ["banned"])
        self.assertIn(f"{self.b.url} bans {self.c.url}", answer["verdict"])
        self.run_weft("addrbook", "unban", self.b.sock, self.c.url)
        self.wait_flow("T@lab.b.x", self.b)

    def test_explain_who_is_gone(self):
        self.publish("T@lab.b.x", self.b)
        self.c.proc.kill9()
        self.b.proc.wait_line(harness.PEER_DOWN.format(path="lab.c"))
        answer = self.until(lambda: self.json("explain", "T@lab.b.x", self.a.sock, code=1),
                            lambda answer: re.search("dialled next in .*connection refused", answer["verdict"]))
        self.assertIn("nobody wants it, but", answer["verdict"])
        self.assertRegex(answer["verdict"], rf"has no link to {re.escape(self.c.url)} \(\w+\); it is dialled next in")
        self.assertIn((self.c.url, "not_linked"), {(o["to"], o["reason"]) for o in answer["others"]})
        self.assertIn(self.c.url, [u["url"] for u in answer["untold"]])

    # ---- trace ----

    def test_trace(self):
        self.publish("T@lab.b.x", self.b)
        a, b = self.a.url, self.b.url
        proc = self.weft("trace", "T@lab.b.x", "-P", self.a.sock, "--json", "--count", "3", split=True)
        proc.expect_exit(0)
        self.assertEqual(len(proc.lines), 3)
        for way in map(json.loads, proc.lines):
            self.assertEqual((way["route"], way["size"]), ("T@lab.b.x", 4))
            self.assertEqual([(leg["from"], leg["to"]) for leg in way["legs"]],
                             [(way["sender"], b), (b, a), (a, "this command")])
            self.assertEqual([leg["transport"] for leg in way["legs"]], ["unix", "tcp", "unix"])
            self.assertIsNotNone(way["legs"][1]["queue_bytes"])
            self.assertIsNotNone(way["clock_uncertainty_ns"])  # of one host, and it can be told
            self.assertLess(abs(way["clock_ahead_ns"]), 2 * way["clock_uncertainty_ns"] + 1000)
            self.assertGreater(way["took_ns"], -2 * way["clock_uncertainty_ns"])
            self.assertLess(way["took_ns"], harness.PATIENCE * 1e9)
        text = self.run_weft("trace", "T@lab.b.x", "-P", self.a.sock)
        self.assertRegex(text, r"(?m)^T@lab\.b\.x: 4 bytes from \S+, 3 links$")
        self.assertRegex(text, rf"(?m)^  {re.escape(b)} -> {re.escape(a)}: tcp, ")
        self.assertRegex(text, "(?m)^  arrived .* later, give or take ")

    def test_trace_of_a_publisher_that_cannot_be_asked(self):
        self.weft("pub", "T@lab.b.x", "tick", "-P", self.b.url, "--leaf", "--rate", "100", "--count", "100000")
        proc = self.weft("trace", "T@lab.b.x", "-P", self.b.sock, "--json", split=True)
        proc.expect_exit(0)
        way = json.loads(proc.lines[0])
        self.assertEqual([leg["transport"] for leg in way["legs"]], ["tcp", "unix"])
        for key in ("took_ns", "clock_ahead_ns", "clock_uncertainty_ns"):
            self.assertIsNone(way[key])
        self.assertGreater(way["arrived_ns"], way["sent_ns"])  # of one host, though nobody can tell
        self.assertIn("how the two differ is unknown", self.run_weft("trace", "T@lab.b.x", "-P", self.b.sock))

    def test_trace_ended_by_a_signal(self):
        """As it is meant to end, though the links that ask the publishers' nodes come and go before it."""
        for route, at in (("T@lab.b.x", self.b), ("T@lab.c.x", self.c)):
            self.publish(route, at)
        proc = self.weft("trace", "T@lab.**", "-P", self.a.sock, "--json", "--count", "1000000", split=True)
        proc.wait_line('"T@lab.b.x".*"legs"')
        proc.wait_line('"T@lab.c.x".*"legs"')
        proc.wait_line('"T@lab.b.x".*"legs"', since=proc.mark())
        proc.process.send_signal(signal.SIGINT)
        proc.expect_exit(0)

    def test_trace_of_silence(self):
        said = self.said("trace", "T@lab.b.x", "-P", self.a.sock, "--timeout", "2")
        self.assertIn("no message of T@lab.b.x came within 2s", said)
        self.assertIn("weft explain", said)

    # ---- graph ----

    def test_graph(self):
        urls = {self.a.url, self.b.url, self.c.url}
        answer = self.until(lambda: self.json("graph", self.b.sock),
                            lambda answer: all(link["rtt_ns"] for link in answer["links"]))
        self.assertEqual({n["url"] for n in answer["nodes"]}, urls)
        self.assertTrue(all(n["tells"] for n in answer["nodes"]))
        self.assertEqual(len(answer["links"]), 3)
        self.assertEqual({frozenset((link["a"], link["b"])) for link in answer["links"]},
                         {frozenset(pair) for pair in ((self.a.url, self.b.url), (self.a.url, self.c.url),
                                                       (self.b.url, self.c.url))})
        self.assertEqual({link["state"] for link in answer["links"]}, {"linked"})
        dot = self.run_weft("graph", self.b.sock)
        self.assertEqual(len(re.findall(r"(?m)^  n\d+ -- n\d+ \[label=\"\d", dot)), 3)
        drawn = subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, text=True, check=False)
        self.assertEqual((drawn.returncode, drawn.stderr), (0, ""))
        self.assertEqual(drawn.stdout.count('class="edge"'), 3)

    def test_graph_with_one_that_does_not_tell(self):
        d = self.router("lab.d", peers=[self.a.url], extra="access: {info: none}\n")
        self.a.wait_peer("lab.d")
        answer = self.until(lambda: self.json("graph", self.a.sock), lambda answer: len(answer["nodes"]) == 4)
        silent = [n for n in answer["nodes"] if not n["tells"]]
        self.assertEqual([n["url"] for n in silent], [d.url])
        self.assertEqual(silent[0]["path"], "lab.d")
        self.assertRegex(self.run_weft("graph", self.a.sock), r"lab\.d\\n.*does not tell.*dashed")

    # ---- top ----

    def test_top_in_lines(self):
        self.subscribe("T@lab.a.x", self.a)
        self.publish("T@lab.a.x", self.a)
        self.until(lambda: self.json("routes", self.a.sock, "--interval", "0")["routes"], lambda r: len(r) == 2)
        proc = self.weft("top", self.a.sock, "--json", "--count", "2", "--interval", "0.3", split=True)
        proc.expect_exit(0)
        self.assertEqual(len(proc.lines), 2)
        for line in map(json.loads, proc.lines):
            self.assertEqual(set(line), {"status", "interval_ns", "peers", "routes"})
            self.assertGreater(line["interval_ns"], 0)
            rates = {p["url"]: p["bytes_in_hz"] for p in line["peers"]}
            self.assertIn(self.b.url, rates)
        lines = map(json.loads, proc.lines)
        self.assertGreater(max(r["rate_hz"] or 0 for line in lines for r in line["routes"]), 0)

    def test_top(self):
        self.subscribe("T@lab.a.x", self.a)
        self.publish("T@lab.a.x", self.a)
        top = self.terminal("top", self.a.sock, "--interval", "0.2")
        top.wait(r"tcp://127\.0\.0\.1:\d+/lab\.a, weftd/")
        top.wait("MSG/S IN")
        top.wait(r"tcp://127\.0\.0\.1:\d+/lab\.b")
        seen = top.mark()
        top.press("r")
        top.wait("KIND", since=seen)
        top.wait(r"T@lab\.a\.x", since=seen)
        seen = top.mark()
        top.press("s")
        top.wait("messages", since=seen)  # what they are ordered by now
        seen = top.mark()
        top.resize(50, 10)
        os.killpg(top.process.pid, signal.SIGWINCH)
        top.wait(r"T@lab\.a\.x", since=seen)  # drawn anew
        top.press("\033[B\033[A")
        top.press("q")
        self.assertEqual(top.exit_code(), 0)

    def test_top_outlives_its_node(self):
        top = self.terminal("top", self.c.sock, "--interval", "0.1")
        top.wait(r"\S+lab\.c, weftd/")
        seen = top.mark()
        self.c.proc.terminate()
        top.wait("still trying", since=seen)
        seen = top.mark()
        self.c.start()
        top.wait("q quit", since=seen)
        top.process.send_signal(signal.SIGTERM)
        self.assertEqual(top.exit_code(), 0)


class BasePeers(Case):
    """Nodes that speak the base protocol alone are shown, and left in peace."""

    def test_they_are_not_asked(self):
        port = harness.free_port()
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "base", "base_peer.py")
        base = self.spawn("base peer", [sys.executable, program, "--listen", f"127.0.0.1:{port}", "--me",
                                        f"tcp://127.0.0.1:{port}/base", "--subscribe", "T@lab.a.x"])
        base.may_exit_with.add(1)  # the router goes first
        base.wait_line('"listening"')
        a = self.router("lab.a", peers=[f"tcp://127.0.0.1:{port}/base"])
        a.wait_peer("base")
        peer = self.json("peers", a.sock)["peers"][0]
        self.assertEqual((peer["base"], peer["node_id"], peer["features"]), (True, None, []))
        self.assertRegex(self.run_weft("peers", a.sock, "--wide"), r"(?m)^tcp://\S+/base +linked +out +base ")
        answer = self.json("graph", a.sock)
        self.assertEqual([(n["role"], n["tells"]) for n in answer["nodes"]], [("peer", True), ("base", False)])
        untold = self.json("explain", "T@lab.a.x", a.sock, code=1)["untold"]
        self.assertRegex(untold[0]["why"], "^it answers no questions: .*base")


class Networks(Case):
    def test_explain_another_network(self):
        a = self.router("lab.a", network="one")
        b = self.router("lab.b", network="one", peers=[a.url])
        a.wait_peer("lab.b")
        c = self.router("lab.c", network="two", peers=[a.url])
        c.proc.wait_line("network")
        answer = self.until(lambda: self.json("explain", "T@lab.c.x", c.sock, "--network", "two", code=1),
                            lambda answer: any(o["reason"] == "network" for o in answer["others"]))
        found = [o for o in answer["others"] if o["reason"] == "network"]
        self.assertEqual(found[0]["from"], a.url)
        self.assertIn('"two"', found[0]["text"])
        # a refused it, and remembers the last of its address; b, which never met it, has that from a.
        answer = self.until(lambda: self.json("explain", "T@lab.c.x", b.sock, "--network", "one", code=1),
                            lambda answer: "lab.c' in \"two\"" in answer["verdict"])
        self.assertIn("was refused", answer["verdict"])


if __name__ == "__main__":
    harness.main()
