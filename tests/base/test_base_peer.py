#!/usr/bin/env python3
"""The base peer against itself, and that it is as fragile as docs/protocol.md section 8 says."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
import wire  # noqa: E402

ROUTE = "types.Foo@a.foo"
ME = "tcp://127.0.0.1:1/test"


class Base:
    """One base peer as a process; its events are read as they come."""

    def __init__(self, *args):
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "base_peer.py"), "--timeout", "50", *args],
            stdout=subprocess.PIPE, text=True)
        self.events = []

    @classmethod
    def listen(cls, *args):
        base = cls("--listen", "127.0.0.1:0", "--me", "tcp://127.0.0.1:0/a", *args)
        base.port = base.wait("listening")["port"]
        return base

    @classmethod
    def dial(cls, port, *args):
        return cls("--dial", f"127.0.0.1:{port}", "--me", "tcp://127.0.0.1:1/b",
                   "--you", f"tcp://127.0.0.1:{port}/a", *args)

    def wait(self, event):
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == event:
                return self.events[-1]
        raise AssertionError(f"no {event}: {self.events}")

    def finish(self):
        """Exit code and all events."""
        self.events += [json.loads(line) for line in self.process.stdout]
        self.process.stdout.close()
        return self.process.wait(), self.events

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def event(self, name):
        return next((event for event in self.events if event["event"] == name), None)


class AgainstItself(unittest.TestCase):
    def check(self, listener, dialler):
        first, second = Base.listen(*listener), None
        try:
            second = Base.dial(first.port, *dialler)
            done = threading.Thread(target=second.finish)
            done.start()
            code, events = first.finish()
            done.join()
            self.assertEqual((code, second.process.wait()), (0, 0), events + second.events)
        finally:
            for base in (first, second):
                if base:
                    base.stop()
        return first, second

    def test_listener_publishes(self):
        _, second = self.check(["--publish", ROUTE, "--count", "20000", "--paced"],
                               ["--subscribe", ROUTE, "--count", "20000"])
        self.assertEqual(second.event("received")["count"], 20000)

    def test_dialler_publishes(self):
        first, _ = self.check(["--subscribe", ROUTE, "--count", "20000"],
                              ["--publish", ROUTE, "--count", "20000", "--size", "200", "--paced"])
        self.assertEqual(first.event("received")["bytes"], 20000 * 200)

    def test_both_publish_and_subscribe(self):
        other = "types.Foo@b.foo"
        self.check(["--publish", ROUTE, "--subscribe", other, "--count", "3000", "--paced"],
                   ["--publish", other, "--subscribe", ROUTE, "--count", "3000", "--paced"])

    def test_large_messages(self):
        self.check(["--publish", ROUTE, "--count", "50", "--size", "10000", "--paced"],
                   ["--subscribe", ROUTE, "--count", "50"])


class Fragile(unittest.TestCase):
    """A connection made of hand against a listening base peer."""

    def start(self, *args, link=True):
        self.base = Base.listen(*args)
        self.addCleanup(self.base.stop)
        self.peer = wire.Connection.dial(("127.0.0.1", self.base.port))
        self.addCleanup(self.peer.close)
        if link:
            self.link()

    def link(self):
        self.peer.send(wire.message("HANDSHAKE", me=ME, you="tcp://127.0.0.1:1/a", stage=1))
        self.assertEqual(self.peer.expect("HANDSHAKE").decode()["stage"], wire.FINAL)
        self.peer.expect("PEERS")

    def ends(self, why):
        code, events = self.base.finish()
        self.assertEqual(code, 1, events)
        self.assertIn(why, events[-1]["reason"])

    def test_pings_at_once_and_every_3_s(self):
        self.start(link=False)
        before = time.monotonic()
        first = self.peer.expect("PING", timeout=1)
        self.assertEqual(len(first.decode()["payload"]), 1024)
        self.peer.expect("PING", timeout=6)
        self.assertGreater(time.monotonic() - before, 2.5)

    def test_answers_ping_and_want_result(self):
        self.start("--publish", ROUTE)
        self.peer.send(wire.message("PING", payload=b"p" * 16))
        self.assertEqual(self.peer.expect("PONG").decode()["payload"], b"p" * 16)
        self.peer.send(wire.frame("INTENT", wire.encode("INTENT", route="T@x", register=True), "T@x",
                                  timestamp=77, want_result=True))
        self.assertEqual(self.peer.expect("RESULT").decode()["nonce"], 77)

    def test_any_handshake_will_do(self):
        self.start("--publish", ROUTE, link=False)
        self.peer.send(wire.message("HANDSHAKE", me=ME, stage=wire.UPDATE))
        self.peer.expect("PEERS")
        self.assertEqual(self.peer.expect("INTENT").decode()["route"], ROUTE)

    def test_frame_in_two_pieces(self):
        self.start("--publish", ROUTE)
        frame = wire.message("PING", payload=b"p" * 16)
        self.peer.send(frame[:20])
        self.ends("came in pieces: 12 of")

    def test_start_of_a_frame_in_two_pieces(self):
        self.start("--publish", ROUTE)
        self.peer.send(wire.message("PING", payload=b"p" * 16)[:5])
        self.ends("came in pieces: 5 of 8")

    def test_types_it_does_not_know(self):
        for frame, why in ((wire.message("GOODBYE", reason=1), "unknown type 60"),
                           (wire.frame(62), "unknown type 62"),
                           (wire.compact(1, b"x"), "unknown magic 0xcebafe4a")):
            with self.subTest(why):
                self.start("--publish", ROUTE)
                self.peer.send(frame)
                self.ends(why)

    def test_header_too_large(self):
        self.start("--publish", ROUTE)
        self.peer.send(wire.message("INTENT", route="T@" + "x" * 2048, register=True))
        self.ends("header over 2048 bytes")

    def test_message_without_interest(self):
        self.start("--publish", ROUTE)
        self.peer.send(wire.frame("MESSAGE", b"", "T@other"))
        self.ends("nobody here is interested in")

    def test_message_right_after_intent(self):
        for _ in range(20):  # on a busy machine more than 1 ms may pass where the two are made or read
            self.start("--subscribe", ROUTE)
            self.peer.expect("INTEREST")
            self.peer.send(wire.message("INTENT", route=ROUTE, register=True) +
                           wire.frame("MESSAGE", b"\x0a\x06seq=0 ", ROUTE))
            code, events = self.base.finish()
            if code == 1:
                break
        self.assertEqual(code, 1, events)
        self.assertIn("within 1 ms after its INTENT", events[-1]["reason"])

    def test_message_a_while_after_intent(self):
        self.start("--subscribe", ROUTE)
        self.peer.expect("INTEREST")
        self.peer.send(wire.message("INTENT", route=ROUTE, register=True))
        self.peer.expect("INTEREST")
        time.sleep(0.002)
        self.peer.send(wire.frame("MESSAGE", b"\x0a\x06seq=0 ", ROUTE))
        self.assertEqual(self.base.wait("received")["count"], 1)
        self.assertEqual(self.base.finish()[0], 0)

    def test_message_lost_repeated_or_altered(self):
        for body in (b"\x0a\x06seq=2 ", b"\x0a\x06seq=0 ", b"\x0a\x07seq=1 y"):
            with self.subTest(body):
                self.start("--subscribe", ROUTE, "--count", "5")
                self.peer.expect("INTEREST")
                self.peer.send(wire.frame("MESSAGE", b"\x0a\x06seq=0 ", ROUTE))
                self.peer.send(wire.frame("MESSAGE", body, ROUTE))
                self.ends("message 1 expected")

    def test_peers_or_result_before_done(self):
        for name in ("PEERS", "RESULT"):
            with self.subTest(name):
                self.start("--publish", ROUTE, link=False)
                self.peer.send(wire.message(name))
                self.ends(f"{name} before the handshake is done")

    def test_handshake_without_address(self):
        self.start("--publish", ROUTE, link=False)
        self.peer.send(wire.message("HANDSHAKE", me="robot", stage=1))
        self.ends("handshake from 'robot'")

    def test_subscribe_of_what_the_other_side_subscribed(self):
        self.start("--subscribe", ROUTE, "--delay", "0.3")
        self.peer.send(wire.message("INTEREST", route=ROUTE, register=True))
        self.ends("Subscribe fails")

    def test_publish_of_what_the_other_side_publishes(self):
        self.start("--publish", ROUTE, "--delay", "0.3")
        self.peer.send(wire.message("INTENT", route=ROUTE, register=True))
        self.ends("Publish fails")

    def test_interest_withdrawn_while_sending(self):
        self.start("--publish", ROUTE, "--count", "1000000", "--size", "60000")
        self.peer.expect("INTENT")
        self.peer.send(wire.message("INTEREST", route=ROUTE, register=True))
        self.peer.expect("MESSAGE")
        self.peer.send(wire.message("INTEREST", route=ROUTE))
        self.ends("withdrawn while sending")

    def test_messages_in_random_pieces_are_whole(self):
        self.start("--publish", ROUTE, "--count", "500", "--split")
        self.peer.expect("INTENT")
        self.peer.send(wire.message("INTEREST", route=ROUTE, register=True))
        for seq in range(500):
            self.assertTrue(self.peer.expect("MESSAGE").body[2:].startswith(b"seq=%d " % seq))
        ping = self.peer.expect("PING")
        while ping:
            self.peer.send(wire.message("PONG", payload=ping.decode()["payload"]))
            try:
                ping = self.peer.expect("PING")
            except EOFError:
                ping = None
        self.assertEqual(self.base.finish()[0], 0)

    def test_connection_lost_before_the_end(self):
        self.start("--subscribe", ROUTE)
        self.peer.sock.shutdown(socket.SHUT_RDWR)
        self.ends("closed by the other side")


if __name__ == "__main__":
    unittest.main()
