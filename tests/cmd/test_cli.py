"""weft from its command line: what it refuses, and pub, sub, ping and addrbook dump against live routers."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)

NOWHERE = "tcp://127.0.0.1:1/nowhere"

# Arguments, and what must be said about them.
MISUSES = [
    ([], "usage: weft"),
    (["pbu"], "did you mean 'pub'"),
    (["hlep"], "did you mean 'help'"),
    (["adrbook"], "did you mean 'addrbook'"),
    (["frobnicate"], "no command"),
    (["help", "sbu"], "did you mean 'sub'"),
    (["pub"], "no route"),
    (["pub", "nonsense", "x", "-P", NOWHERE], "TYPE@PATH"),
    (["pub", "T@a.*", "x", "-P", NOWHERE], "pattern"),
    (["pub", "T@a", "-P", NOWHERE], "nothing to send"),
    (["pub", "T@a", "x", "--size", "3", "-P", NOWHERE], "more than one thing"),
    (["pub", "T@a", "x", "y", "-P", NOWHERE], "'y' is one argument too many"),
    (["pub", "T@a", "x"], "-P URL"),
    (["pub", "T@a", "x", "-P", "what"], "-P what"),
    (["pub", "T@a", "x", "-P", NOWHERE, "--rate", "0"], "--rate 0"),
    (["pub", "T@a", "x", "-P", NOWHERE, "--count", "-1"], "--count -1"),
    (["pub", "T@a", "--size", "65MiB", "-P", NOWHERE], "64MiB"),
    (["pub", "T@a", "x", "-P", NOWHERE, "--wait", "soon"], "--wait soon"),
    (["pub", "T@a", "x", "-l", "tcp://127.0.0.1:0/a", "--leaf"], "--leaf"),
    (["pub", "T@a", "x", "-l", "tcp://127.0.0.1:0/a", "--path", "b"], "--path"),
    (["pub", "T@a", "x", "--peer"], "requires an argument"),
    (["sub", "-P", NOWHERE], "no route"),
    (["sub", "T@a", "b", "-P", NOWHERE], 'route "b": at byte 1'),
    (["sub", "T@a", "-P", NOWHERE, "--format", "xml"], "text, hex, raw or json"),
    (["sub", "T@a", "-P", NOWHERE, "--count", "0"], "--count 0"),
    (["ping"], "one URL"),
    (["ping", "what"], "what: not a peer URL"),
    (["ping", NOWHERE, "--count", "0"], "--count 0"),
    (["ping", NOWHERE, "--timeout", "0"], "--timeout 0"),
    (["addrbook"], "expected a verb"),
    (["addrbook", "dmup"], "did you mean 'dump'"),
    (["addrbook", "dump"], "one file or URL"),
    (["addrbook", "dump", "f", "g"], "one file or URL"),
    (["addrbook", "dump", "tcp://x"], "not a peer URL"),
    (["addrbook", "dump", "f", "--json", "--tsv"], "one of --json"),
    (["addrbook", "dump", "f", "--repair"], "--repair is no option of 'addrbook dump'"),
    (["addrbook", "why", "f"], "a file or URL, and one peer"),
    (["addrbook", "add", "f"], "peer URLs, or --from"),
    (["addrbook", "add", "f", "tcp://h:1/a", "--from", "g"], "one of the two"),
    (["addrbook", "add", "f", "--from", "g", "--persistent"], "for each entry"),
    (["addrbook", "add", "f", "tcp://h:1/a", "--multiplier", "0.5"], "--multiplier 0.5: expected"),
    (["addrbook", "add", "f", "tcp://h:1/a", "--backoff", "soon"], "--backoff soon: expected"),
    (["addrbook", "add", "f", "tcp://h:1/a", "--max-attempts", "0"], "--max-attempts 0: expected"),
    (["addrbook", "remove", "f"], "the peers to remove"),
    (["addrbook", "ban", "f", "a", "--for", "1h", "--until", "2200-01-01"], "one of --for"),
    (["addrbook", "ban", "f", "a", "--for", "soon"], "--for soon: expected"),
    (["addrbook", "ban", "f", "a", "--until", "2200-02-30"], "--until 2200-02-30: expected"),
    (["addrbook", "ban", "f", "a", "--until", "2001-01-01"], "that is past"),
    (["addrbook", "merge", "f"], "files or URLs to merge from"),
    (["addrbook", "merge", "tcp://h:1/a", "f"], "merged into a file"),
    (["addrbook", "check", "tcp://h:1/a"], "expected a file"),
    (["addrbook", "check", "f", "-o", "g"], "goes with --repair"),
]


def words_of(text):
    """The commands or verbs that a help text lists."""
    return re.findall(r"(?m)^  ([a-z]+) {2,}\S", text)


class Usage(harness.Case):
    def test_misuse(self):
        for args, words in MISUSES:
            with self.subTest(" ".join(args)):
                lines = "\n".join(self.weft(*args).expect_exit(2))
                self.assertIn(words, lines)
                self.assertIn("weft help" if args else "Exit codes", lines)

    def test_help(self):
        whole = self.run_weft("help")
        for name in ("pub", "sub", "ping", "addrbook"):
            self.assertRegex(whole, rf"(?m)^  {name} ")
            text = self.run_weft("help", name)
            self.assertIn(f"usage: weft {name}", text)
            self.assertIn("Exit codes:", text)
            self.assertEqual(text, self.run_weft(name, "--help"))
        self.assertEqual(whole, self.run_weft("--help"))
        self.assertLess(whole.count("\n") + 1, 24, "does not fit a screen with its prompt")
        self.assertRegex(self.run_weft("--version"), r"^weft \d+\.\d+")

    def test_every_help_fits_a_terminal_and_tells_its_exit_codes(self):
        texts = {"weft": self.run_weft("--help")}
        for name in words_of(texts["weft"]):
            texts[name] = self.run_weft("help", name)
        for group in ("addrbook", "bench"):
            for word in words_of(texts[group]):
                texts[f"{group} {word}"] = self.run_weft("help", group, word)
                self.assertIn(f"usage: weft {group} {word}", texts[f"{group} {word}"])
        self.assertLessEqual({"sub", "play", "log", "addrbook why", "addrbook unpin", "bench idle"}, texts.keys())
        weftd = [harness.program("weftd"), "--help"]
        texts["weftd"] = subprocess.run(weftd, capture_output=True, text=True, check=True).stdout
        for name, text in texts.items():
            with self.subTest(name):
                self.assertEqual([line for line in text.splitlines() if len(line) > 80], [])
                self.assertIn("Exit codes:", text)


class Nobody(harness.Case):
    """Where there is no mesh: the reason and the remedy, on stderr, in time."""

    def test_one_shot_tools_end_at_once(self):
        url = f"tcp://127.0.0.1:{harness.free_port()}/x"
        for args in (["ping", url], ["addrbook", "dump", url]):
            proc = self.weft(*args, split=True)
            proc.expect_exit(1)
            self.assertEqual(proc.lines, [])
            self.assertIn("refused", "\n".join(proc.errors))
            self.assertIn(url, "\n".join(proc.errors))

    def test_nobody_listens(self):
        router = self.router("lab.a")
        proc = self.weft("pub", "T@lab.a.x", "hello", "-P", router.sock, "--wait", "0.2")
        self.assertIn("nobody subscribed to T@lab.a.x within 200ms", "\n".join(proc.expect_exit(1)))

    def test_nobody_publishes(self):
        router = self.router("lab.a")
        proc = self.weft("sub", "T@lab.a.x", "-P", router.sock, "--timeout", "0.2")
        self.assertIn("no message came within 200ms", "\n".join(proc.expect_exit(1)))

    def test_failure_is_told_once_and_tried_on(self):
        router = harness.Router(self, "lab.a")
        sub = self.weft("sub", "T@lab.a.x", "-P", router.url, "--count", "1")
        sub.wait_line(f"cannot reach .*{router.port}.*still trying")
        router.start()
        self.weft("pub", "T@lab.a.x", "hello", "-P", router.sock).expect_exit(0)
        sub.wait_line("^hello$")
        sub.expect_exit(0)
        self.assertEqual(sub.count("cannot reach"), 1, sub.tail())

    def test_other_network(self):
        router = self.router("lab.a", network="one")
        proc = self.weft("ping", router.url, "--network", "two")
        said = "\n".join(proc.expect_exit(1))
        self.assertRegex(said, r"lab\.a' is in network \"one\", .*: give both the same.*; weft's is set by --network NAME")
        self.run_weft("ping", router.url, "--network", "one", "--count", "1")

    def test_interrupted_while_waiting(self):
        router = self.router("lab.a")
        for args in (["pub", "T@lab.a.x", "hello"], ["pub", "T@lab.a.x", "-"], ["sub", "T@lab.a.x"]):
            mark = router.proc.mark()
            proc = self.weft(*args, "-P", router.sock, stdin=subprocess.PIPE)
            router.proc.wait_line("peer up", since=mark)
            proc.process.send_signal(signal.SIGINT)
            proc.expect_exit(0)
            proc.process.stdin.close()


class Messages(harness.Case):
    def setUp(self):
        super().setUp()
        self.a = self.router("lab.a")

    def sub(self, *args, route="T@lab.a.x"):
        return self.weft("sub", route, "-P", self.a.sock, *args, split=True)

    def pub(self, *args, route="T@lab.a.x", **how):
        return self.weft("pub", route, "-P", self.a.sock, *args, **how)

    def test_both_ways_to_link(self):
        for url in (self.a.sock, self.a.url):
            for role in ([], ["--leaf"], ["--client"]):
                with self.subTest(f"{url} {role}"):
                    sub = self.weft("sub", "T@lab.a.x", "-P", url, *role, "--count", "1", split=True)
                    self.pub("hello").expect_exit(0)
                    self.assertEqual(sub.expect_exit(0), ["hello"])

    def test_listening_pair_without_a_router(self):
        url = f"tcp://127.0.0.1:{harness.free_port()}/"
        sub = self.weft("sub", "types.Text@demo", "-l", url, "--count", "1", split=True)
        self.weft("pub", "types.Text@demo", "hello", "-P", url).expect_exit(0)
        self.assertEqual(sub.expect_exit(0), ["hello"])

    def test_count_and_rate(self):
        sub = self.sub("--count", "5")
        started = time.monotonic()
        self.pub("tick", "--count", "5", "--rate", "50").expect_exit(0)
        self.assertGreaterEqual(time.monotonic() - started, 0.08)
        self.assertEqual(sub.expect_exit(0), ["tick"] * 5)

    def test_rate_goes_on_until_stopped(self):
        sub = self.sub("--count", "3")
        pub = self.pub("tick", "--rate", "200")
        sub.expect_exit(0)
        pub.process.send_signal(signal.SIGINT)
        pub.expect_exit(0)

    def test_lines(self):
        lines = ["first", "", "with spaces  ", "ünï", "x" * 300000, "last without newline"]
        sub = self.sub("--count", str(len(lines)))
        pub = self.pub("-", stdin=subprocess.PIPE)
        pub.process.stdin.write("\n".join(lines))
        pub.process.stdin.close()
        pub.expect_exit(0)
        self.assertEqual(sub.expect_exit(0), lines)

    def test_file_and_raw(self):
        path, out = os.path.join(self.folder, "in"), os.path.join(self.folder, "out")
        data = os.urandom(3000000)
        with open(path, "wb") as file:
            file.write(data)
        with open(out, "wb") as file:
            sub = subprocess.Popen([harness.program("weft"), "sub", "T@lab.a.x", "-P", self.a.sock, "--count", "1",
                                    "--format", "raw"], stdout=file)
            self.addCleanup(sub.kill)
            self.pub("--file", path).expect_exit(0)
            self.assertEqual(sub.wait(harness.PATIENCE), 0)
        with open(out, "rb") as file:
            self.assertEqual(file.read(), data)

    def test_missing_file(self):
        self.assertIn("no-such", "\n".join(self.pub("--file", "no-such").expect_exit(1)))

    def test_hex_and_size(self):
        sub = self.sub("--count", "1", "--format", "hex")
        self.pub("--size", "30").expect_exit(0)
        self.assertEqual(sub.expect_exit(0), [b"abcdefghijklmnopqrstuvwxyzabcd".hex()])

    def test_empty_message(self):
        sub = self.sub("--count", "1", "--format", "json")
        self.pub("--size", "0").expect_exit(0)
        self.assertEqual(json.loads(sub.expect_exit(0)[0])["size"], 0)

    def test_json(self):
        sub = self.sub("--count", "2", "--format", "json", route="*@lab.**")
        self.pub('say "ä"\n\t\x01', route="T@lab.a.x").expect_exit(0)
        path = os.path.join(self.folder, "in")
        with open(path, "wb") as file:
            file.write(b"\xff\x00\xfe")
        self.pub("--file", path, route="U@lab.a.y").expect_exit(0)
        text, binary = (json.loads(line) for line in sub.expect_exit(0))
        self.assertEqual((text["route"], text["text"], text["size"]), ("T@lab.a.x", 'say "ä"\n\t\x01', 11))
        self.assertRegex(text["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")
        self.assertEqual((binary["route"], base64.b64decode(binary["base64"])), ("U@lab.a.y", b"\xff\x00\xfe"))

    def test_several_routes_and_verbose(self):
        sub = self.weft("sub", "T@lab.a.x", "U@lab.a.y", "-v", "-P", self.a.sock, "--count", "2", split=True)
        self.pub("one", route="T@lab.a.x").expect_exit(0)
        sub.wait_line("one")
        self.pub("two", route="U@lab.a.y").expect_exit(0)
        self.assertEqual(sub.expect_exit(0), ["T@lab.a.x one", "U@lab.a.y two"])

    def test_timeout_before_count(self):
        sub = self.sub("--count", "2", "--timeout", "1")
        self.pub("one").expect_exit(0)
        self.assertEqual(sub.expect_exit(1), ["one"])
        self.assertIn("1 of 2 messages", "\n".join(sub.errors))

    def test_timeout_under_a_flood(self):
        sub = self.sub("--timeout", "1", "--format", "hex")
        pub = self.pub("x", "--count", "0")
        self.assertEqual(sub.expect_exit(0)[0], "78")
        pub.process.send_signal(signal.SIGINT)
        pub.exit_code()
        pub.may_exit_with.add(pub.process.returncode)

    def test_reader_that_goes(self):
        read, write = os.pipe()
        sub = subprocess.Popen([harness.program("weft"), "sub", "T@lab.a.x", "-P", self.a.sock], stdout=write)
        self.addCleanup(sub.kill)
        os.close(write)
        pub = self.pub("tick", "--rate", "100")
        self.assertEqual(os.read(read, 5), b"tick\n")
        os.close(read)
        self.assertEqual(sub.wait(harness.PATIENCE), 0)
        pub.process.send_signal(signal.SIGTERM)
        pub.expect_exit(0)

    def test_told_what_nobody_heard(self):
        pub = self.pub("x", "--count", "3", "--wait", "0")
        self.assertIn("3 of 3 messages were sent to nobody", "\n".join(pub.expect_exit(0)))

    def test_refused_by_the_router(self):
        router = self.router("lab.a")
        proc = self.weft("pub", "T@lab.b.x", "hello", "-P", router.sock)
        errors = "\n".join(proc.expect_exit(1))
        self.assertIn("outside the path", errors)
        self.assertIn("T@lab.b.x was refused; nothing was sent", errors)

    def test_outside_the_path(self):
        pub = self.pub("x", "--path", "lab.a.other")
        self.assertIn("--path", "\n".join(pub.expect_exit(1)))


class Ping(harness.Case):
    def test_figures(self):
        a = self.router("lab.a")
        for url in (a.url, a.sock):
            lines = self.run_weft("ping", url, "--count", "4", "--interval", "0.01").splitlines()
            self.assertRegex(lines[0], "^linked to .*lab.a$")
            for n, line in enumerate(lines[1:5], 1):
                self.assertRegex(line, rf"^{n}: \d+\.\d{{3}} ms$")
            self.assertEqual(lines[5], "4 sent, 4 answered, 0.0 % lost")
            least, mean, p99, jitter = map(float, lines[6].split()[1].split("/"))
            self.assertLessEqual(least, mean)
            self.assertLessEqual(mean, p99)
            self.assertGreaterEqual(jitter, 0)

    def test_leaves_nothing_behind(self):
        a = self.router("lab.a")
        b = self.router("lab.b", peers=[a.url])
        a.wait_peer("lab.b")
        b.wait_peer("lab.a")
        mark = b.proc.mark()
        self.run_weft("ping", a.url, "--count", "1")
        a.proc.wait_line("peer down")
        self.assertEqual(len(self.run_weft("addrbook", "dump", a.url, "--tsv").splitlines()), 2)
        self.assertEqual(b.proc.lines[mark:], [])

    def test_interrupted(self):
        a = self.router("lab.a")
        proc = self.weft("ping", a.url, "--count", "1000")
        proc.wait_line("^1: ")
        proc.process.send_signal(signal.SIGINT)
        self.assertIn("answered", "\n".join(proc.expect_exit(0)))

    def test_router_that_goes(self):
        a = self.router("lab.a")
        proc = self.weft("ping", a.url, "--count", "5", "--interval", "0.5", "--timeout", "1")
        proc.wait_line("^1: ")
        a.proc.kill9()
        lines = "\n".join(proc.expect_exit(0))
        self.assertRegex(lines, r"5 sent, [1-4] answered, \d0\.0 % lost")


class Book(harness.Case):
    def setUp(self):
        super().setUp()
        self.a = self.router("lab.a")
        self.b = self.router("lab.b", peers=[self.a.url])
        self.b.wait_peer("lab.a")

    def rows(self, text):
        head, *rows = [line.split("\t") for line in text.splitlines()]
        return [dict(zip(head, row, strict=True)) for row in rows]

    def test_live(self):
        for url in (self.b.url, self.b.sock):
            row, = self.rows(self.run_weft("addrbook", "dump", url, "--tsv"))
            self.assertEqual((row["peer"], row["origin"]), (self.a.url, "configured"))
            self.assertIn(row["state"], ("linked", "known"))  # the wire does not tell of links
            self.assertEqual(row["persistent"], "true")

    def test_forms_agree(self):
        tsv = self.rows(self.run_weft("addrbook", "dump", self.b.sock, "--tsv"))
        entries = json.loads(self.run_weft("addrbook", "dump", self.b.sock, "--json"))["addrbook"]
        text = self.run_weft("addrbook", "dump", self.b.sock, "--text")
        self.assertEqual(len(tsv), len(entries))
        self.assertEqual(list(tsv[0]), list(entries[0]))
        for name, value in entries[0].items():
            shown = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            if name != "multiplier":
                self.assertEqual(shown, tsv[0][name], name)
            self.assertIn(f"{name}: {tsv[0][name]}", text)
        self.assertIsInstance(entries[0]["attempts"], int)
        self.assertIs(entries[0]["persistent"], True)

    def test_table(self):
        lines = self.run_weft("addrbook", "dump", self.b.sock).splitlines()
        self.assertRegex(lines[0], "^PEER +STATE +ORIGIN +KEEP")
        self.assertRegex(lines[1], rf"^{self.a.url} +(linked|known) +configured +yes")
        self.assertNotIn("\x1b", "\n".join(lines))

    def on_terminal(self, columns, **env):
        """The table as a terminal of that width gets it."""
        master, slave = os.openpty()
        termios.tcsetwinsize(slave, (24, columns))
        subprocess.run([harness.program("weft"), "addrbook", "dump", self.b.sock], stdout=slave, check=True,
                       timeout=harness.PATIENCE, env={**os.environ, "TERM": "xterm", **env})
        os.close(slave)
        with os.fdopen(master, errors="replace") as file:
            lines = []
            try:
                for line in file:
                    lines.append(line.rstrip("\r\n"))
            except OSError:  # how Linux says that the other end of a terminal is closed
                pass
        return lines

    def test_terminal(self):
        coloured = self.on_terminal(200)
        self.assertIn("\x1b[", "\n".join(coloured))
        plain = self.on_terminal(200, NO_COLOR="1")
        self.assertEqual(plain, [re.sub(r"\x1b\[\d*m", "", line) for line in coloured])
        self.assertIn(self.a.url, plain[1])
        narrow = self.on_terminal(80, NO_COLOR="1")
        self.assertLessEqual(max(map(len, narrow)), 80)
        self.assertIn(self.a.url, narrow[1])

    def test_file(self):
        self.b.proc.terminate()
        row, = self.rows(self.run_weft("addrbook", "dump", self.b.addrbook, "--tsv"))
        self.assertEqual((row["peer"], row["origin"]), (self.a.url, "configured"))
        self.assertNotEqual(row["state"], "linked")
        self.assertNotEqual(row["last_success"], "")
        self.assertEqual(len(row["node_id"]), 32)

    def test_files_that_are_none(self):
        for name, words in (("missing.book", "not found"), (self.b.config, "corrupt")):
            lines = "\n".join(self.weft("addrbook", "dump", name).expect_exit(1))
            self.assertIn(name, lines)
            self.assertIn(words, lines)


class Daemon(harness.Case):
    def test_ephemeral_port(self):
        proc = self.spawn("weftd", [harness.program("weftd"), "-l", "tcp://127.0.0.1:0/lab.a"], split=True)
        url = proc.wait_line(r"^listening on (tcp://127\.0\.0\.1:[1-9]\d*/lab\.a)$").group(1)
        self.run_weft("ping", url, "--count", "1")
        proc.terminate()
        self.assertEqual(len(proc.lines), 1)
        for line in proc.errors:
            self.assertRegex(line, r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn |info |debug) ")

    def test_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            a = self.router("lab.a")
            a.proc.process.send_signal(number)
            a.proc.expect_exit(0)

    def test_second_signal_ends_at_once(self):
        """While the first is still waiting for a subscriber that has stopped reading."""
        a = harness.Router(self, "lab.a", extra="linger: 1h\n").start()
        sub = self.weft("sub", "T@lab.a.x", "-P", a.sock, "--format", "hex")
        self.weft("pub", "T@lab.a.x", "x", "-P", a.sock).expect_exit(0)
        sub.wait_line("78")
        sub.process.send_signal(signal.SIGSTOP)
        self.weft("pub", "T@lab.a.x", "-P", a.sock, "--size", "256KiB", "--count", "32").expect_exit(0)
        a.proc.process.send_signal(signal.SIGTERM)
        a.proc.wait_line("closing down")
        a.proc.terminate(code=1)

    def test_log_level(self):
        a = harness.Router(self, "lab.a", extra="log: error\n").start()
        self.run_weft("ping", a.url, "--count", "1")
        a.proc.terminate()
        self.assertEqual(a.proc.count(" info "), 0, a.proc.tail())

    def test_list_of_peers_with_itself(self):
        a = harness.Router(self, "lab.a")
        with open(a.config, "a", encoding="utf-8") as file:
            file.write(f"peers: ['{a.url}']\n")
        a.start()
        a.proc.terminate()

    def test_address_in_use(self):
        a = self.router("lab.a")
        proc = self.spawn("weftd", [harness.program("weftd"), "-l", a.url])
        self.assertIn("in use", "\n".join(proc.expect_exit(1)))


if __name__ == "__main__":
    harness.main()
