"""weft record and weft play against live routers: what is kept, and that it comes back as it was."""

import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)

NOWHERE = "tcp://127.0.0.1:1/nowhere"

# Arguments, and what must be said about them.
MISUSES = [
    (["record", "-o", "f", "-P", NOWHERE], "no route"),
    (["record", "nonsense", "-o", "f", "-P", NOWHERE], "TYPE@PATH"),
    (["record", "T@a", "-P", NOWHERE], "-o FILE"),
    (["record", "T@a", "-o", "f"], "-P URL"),
    (["record", "T@a", "-o", "f", "-P", NOWHERE, "--count", "0"], "--count 0"),
    (["record", "T@a", "-o", "f", "-P", NOWHERE, "--duration", "soon"], "--duration soon"),
    (["record", "T@a", "-o", "f", "-P", NOWHERE, "--size", "big"], "--size big"),
    (["recrod"], "did you mean 'record'"),
    (["play", "-P", NOWHERE], "no file"),
    (["play", "f", "g", "-P", NOWHERE], "'g' is one argument too many"),
    (["play", "f"], "-P URL"),
    (["play", "f", "-P", NOWHERE, "--json"], "--json is for --info"),
    (["play", "f", "-P", NOWHERE, "--rate", "0"], "--rate 0: expected max"),
    (["play", "f", "-P", NOWHERE, "--loop", "-1"], "--loop -1"),
    (["play", "f", "-P", NOWHERE, "--route", "T@a"], "expected FROM=TO"),
    (["play", "f", "-P", NOWHERE, "--route", "T@a=x"], "TYPE@PATH"),
    (["play", "f", "-P", NOWHERE, "--route", "T@a=T@*"], "pattern"),
    (["play", "f", "-P", NOWHERE, "--wait", "soon"], "--wait soon"),
]


class Recording(harness.Case):
    def setUp(self):
        super().setUp()
        self.file = os.path.join(self.folder, "traffic.weftrec")

    def record(self, router, *args, **how):
        """A running recorder whose link stands and whose routes the router knows."""
        mark = router.proc.mark()
        proc = self.weft("record", *args, "-o", self.file, "-P", router.sock, **how)
        router.proc.wait_line("peer up", since=mark)
        return proc

    def make(self, router, lines=("one", "two", "three"), route="T@lab.a.x", rate=None):
        """A file of these messages, one by one."""
        recorder = self.record(router, "*@lab.**", "--count", str(len(lines)))
        pub = self.weft("pub", route, "-", "-P", router.sock, *(["--rate", str(rate)] if rate else []),
                        stdin=subprocess.PIPE)
        pub.process.stdin.write("".join(line + "\n" for line in lines))
        pub.process.stdin.close()
        pub.expect_exit(0)
        recorder.expect_exit(0)

    def info(self, code=0):
        return json.loads(self.run_weft("play", "--info", self.file, "--json", code=code))

    def subscriber(self, router, *args):
        mark = router.proc.mark()
        sub = self.weft("sub", *args, "-P", router.sock)
        router.proc.wait_line("peer up", since=mark)
        return sub


class Misuse(harness.Case):
    def test_misuse_is_told(self):
        for args, expected in MISUSES:
            with self.subTest(args=args):
                proc = self.weft(*args)
                proc.expect_exit(2)
                self.assertIn(expected, "\n".join(proc.lines))
        self.assertEqual(os.listdir(self.folder), [])

    def test_files_that_are_none(self):
        file = os.path.join(self.folder, "f")
        for content, expected in [(b"#!/bin/sh\n", "no recording"), (b"", "no recording"),
                                  (b"\x89weftre\n\0\0", "cut before its first record")]:
            with open(file, "wb") as out:
                out.write(content)
            proc = self.weft("play", "--info", file)
            proc.expect_exit(1)
            self.assertIn(expected, "\n".join(proc.lines))
        proc = self.weft("play", "--info", os.path.join(self.folder, "gone"))
        proc.expect_exit(1)
        self.assertIn("No such file", "\n".join(proc.lines))


class Kept(Recording):
    def test_messages_come_back_in_order_under_their_routes(self):
        a = self.router("lab.a")
        lines = [f"message {i}" for i in range(500)]
        self.make(a, lines)
        info = self.info()
        self.assertEqual((info["messages"], info["lost"], info["whole"]), (500, 0, True))
        self.assertEqual([route["route"] for route in info["routes"]], ["T@lab.a.x"])
        self.assertEqual(info["bytes"], sum(len(line) for line in lines))
        sub = self.subscriber(a, "*@lab.**", "--count", "500", "-v")
        self.weft("play", self.file, "-P", a.sock, "--rate", "max").expect_exit(0)
        self.assertEqual(sub.expect_exit(0), ["T@lab.a.x " + line for line in lines])

    def test_a_file_that_exists_is_left_alone(self):
        with open(self.file, "w", encoding="utf-8") as out:
            out.write("mine")
        proc = self.weft("record", "T@a", "-o", self.file, "-P", NOWHERE)
        proc.expect_exit(1)
        self.assertIn("exists", proc.lines[0])
        with open(self.file, encoding="utf-8") as file:
            self.assertEqual(file.read(), "mine")

    def test_a_recorder_that_cannot_begin_leaves_no_file(self):
        a = self.router("lab.a")
        proc = self.weft("record", "T@a", "-o", self.file, "-l", a.url)
        proc.expect_exit(1)
        self.assertIn("address", proc.lines[0])
        self.assertFalse(os.path.exists(self.file))

    def test_a_message_of_two_routes_is_kept_once(self):
        a = self.router("lab.a")
        recorder = self.record(a, "T@lab.a.x", "*@lab.**", "--count", "3")
        for text in ("1", "2", "3"):
            self.weft("pub", "T@lab.a.x", text, "-P", a.sock).expect_exit(0)
        recorder.expect_exit(0)
        sub = self.subscriber(a, "*@lab.**", "--count", "3")
        self.weft("play", self.file, "-P", a.sock).expect_exit(0)
        self.assertEqual(sub.expect_exit(0), ["1", "2", "3"])

    def test_a_signal_leaves_a_whole_file(self):
        a = self.router("lab.a")
        recorder = self.record(a, "*@lab.**")
        self.weft("pub", "T@lab.a.x", "kept", "-P", a.sock).expect_exit(0)
        deadline = time.monotonic() + harness.PATIENCE
        while os.path.getsize(self.file) < 40 and time.monotonic() < deadline:
            time.sleep(0.01)
        recorder.process.send_signal(signal.SIGINT)
        recorder.expect_exit(0)
        info = self.info()
        self.assertTrue(info["whole"])
        self.assertEqual(info["messages"], 1)

    def test_ends_by_size_and_by_duration(self):
        a = self.router("lab.a")
        recorder = self.record(a, "*@lab.**", "--size", "64KiB")
        pub = self.weft("pub", "T@lab.a.x", "--size", "1000", "--count", "0", "-P", a.sock)
        recorder.expect_exit(0)
        pub.terminate()
        self.assertLess(abs(os.path.getsize(self.file) - 65536), 2000)
        os.remove(self.file)
        proc = self.record(a, "*@lab.none", "--duration", "200ms")
        proc.expect_exit(1)
        self.assertIn("no message came", "\n".join(proc.lines))
        self.assertTrue(self.info()["whole"])


    def test_a_file_that_cannot_grow_keeps_what_it_has(self):
        a = self.router("lab.a")
        mark = a.proc.mark()
        recorder = self.spawn("weft record", [
            "/usr/bin/env", "--ignore-signal=XFSZ", "prlimit", "--fsize=20000", harness.program("weft"), "record",
            "T@lab.a.x", "-o", self.file, "-P", a.sock])
        a.proc.wait_line("peer up", since=mark)
        pub = self.weft("pub", "T@lab.a.x", "--size", "1000", "--count", "0", "--rate", "2000", "-P", a.sock)
        recorder.expect_exit(1)
        pub.terminate()
        self.assertIn("File too large; it is sound as far as it was written", "\n".join(recorder.lines))
        info = self.info()
        self.assertGreater(info["messages"], 10)
        self.assertEqual((info["whole"], info["damaged"]), (False, False))


class Played(Recording):
    def test_the_spacing_is_kept_and_scaled(self):
        a = self.router("lab.a")
        self.make(a, [str(i) for i in range(6)], rate=4)
        kept = self.info()["routes"][0]
        span = (kept["last_ns"] - kept["first_ns"]) / 1e9
        self.assertGreater(span, 0.8)  # 1.25, less what a busy machine delays the first by
        for rate, expected in [("1", span), ("2", span / 2)]:
            copy = os.path.join(self.folder, f"again-{rate}")
            mark = a.proc.mark()
            again = self.weft("record", "T@lab.a.x", "-o", copy, "-P", a.sock, "--count", "6")
            a.proc.wait_line("peer up", since=mark)
            self.weft("play", self.file, "-P", a.sock, "--rate", rate).expect_exit(0)
            again.expect_exit(0)
            route = json.loads(self.run_weft("play", "--info", copy, "--json"))["routes"][0]
            took = (route["last_ns"] - route["first_ns"]) / 1e9
            self.assertGreater(took, expected * 0.6)
            self.assertLess(took, expected + 5)

    def test_loops_and_renames(self):
        a = self.router("lab.a")
        self.make(a, ["x", "y"])
        sub = self.subscriber(a, "*@lab.**", "--count", "6", "-v")
        self.weft("play", self.file, "-P", a.sock, "--rate", "max", "--loop", "3",
                  "--route", "T@lab.a.x=U@lab.a.b").expect_exit(0)
        self.assertEqual(sub.expect_exit(0), ["U@lab.a.b x", "U@lab.a.b y"] * 3)
        proc = self.weft("play", self.file, "-P", a.sock, "--route", "T@lab.a.y=U@b")
        proc.expect_exit(1)
        self.assertIn("did you mean 'T@lab.a.x'", "\n".join(proc.lines))

    def test_nobody_there(self):
        a = self.router("lab.a")
        self.make(a)
        proc = self.weft("play", self.file, "-P", a.sock, "--wait", "100ms")
        proc.expect_exit(1)
        self.assertIn("nobody subscribed", "\n".join(proc.lines))
        proc = self.weft("play", self.file, "-P", a.sock, "--wait", "0", "--rate", "max")
        proc.expect_exit(0)
        self.assertIn("3 of them were sent to nobody", "\n".join(proc.lines))

    def test_a_cut_file_plays_to_its_last_whole_record(self):
        a = self.router("lab.a")
        self.make(a)
        with open(self.file, "rb") as file:
            content = file.read()
        end = 8 + 25  # of the record that ends it
        with open(self.file, "wb") as file:
            file.write(content[:len(content) - end - 1])
        sub = self.subscriber(a, "*@lab.**", "--count", "2")
        proc = self.weft("play", self.file, "-P", a.sock)
        proc.expect_exit(0)
        self.assertIn("was cut within the record at byte", "\n".join(proc.lines))
        self.assertEqual(sub.expect_exit(0), ["one", "two"])
        with open(self.file, "wb") as file:
            file.write(content[:len(content) - end - 1] + b"!" + content[len(content) - end:])
        info = self.info(code=1)
        self.assertEqual((info["messages"], info["damaged"]), (2, True))

    def test_a_moment_that_is_never(self):
        """Further away than a clock of 64 bits counts: it is waited for, not sent at once."""
        def message(at_ns, text):
            body = struct.pack(">BQQHH", 1, at_ns, 0, 9, 9) + b"T@lab.a.x" + b"tcp://x/y" + text
            size = struct.pack(">I", len(body))
            return size + struct.pack(">I", zlib.crc32(size + body)) + body

        head = b"\x89weftre\n" + struct.pack(">IQ", 1, 0)
        with open(self.file, "wb") as out:
            out.write(head + struct.pack(">I", zlib.crc32(head)) + message(0, b"now") + message(2 ** 63, b"never"))
        a = self.router("lab.a")
        for rate in ("0.5", "0.000001"):
            sub = self.subscriber(a, "*@lab.**", "--count", "1")
            player = self.weft("play", self.file, "-P", a.sock, "--rate", rate)
            self.assertEqual(sub.expect_exit(0), ["now"])
            player.process.send_signal(signal.SIGINT)
            player.expect_exit(0)
            self.assertIn("played 1 messages", "\n".join(player.lines))

    def test_a_signal_ends_it(self):
        a = self.router("lab.a")
        self.make(a, ["x"])
        sub = self.subscriber(a, "*@lab.**")
        player = self.weft("play", self.file, "-P", a.sock, "--loop", "0")
        sub.wait_line("x")
        player.process.send_signal(signal.SIGINT)
        player.expect_exit(0)
        sub.terminate()


class Terminal(Recording):
    def test_progress_on_a_terminal_only(self):
        a = self.router("lab.a")
        self.make(a, [str(i) for i in range(8)], rate=10)
        sub = self.subscriber(a, "*@lab.**", "--count", "8")
        leader, terminal = pty.openpty()
        termios.tcsetwinsize(terminal, (24, 40))
        player = subprocess.Popen([harness.program("weft"), "play", self.file, "-P", a.sock],
                                  stderr=terminal, stdin=subprocess.DEVNULL, cwd=self.folder)
        os.close(terminal)
        seen = b""
        try:
            while chunk := os.read(leader, 65536):
                seen += chunk
        except OSError:  # the other end was closed
            pass
        os.close(leader)
        self.assertEqual(player.wait(harness.PATIENCE), 0)
        sub.expect_exit(0)
        drawn = [part for part in seen.split(b"\r") if b"messages  " in part]
        self.assertTrue(drawn, seen)
        for line in drawn:
            self.assertLess(len(line.split(b"\x1b")[0]), 40)
        sub = self.subscriber(a, "*@lab.**", "--count", "8")
        proc = self.weft("play", self.file, "-P", a.sock)
        proc.expect_exit(0)
        self.assertNotIn("\x1b", "".join(proc.lines))


if __name__ == "__main__":
    harness.main()
