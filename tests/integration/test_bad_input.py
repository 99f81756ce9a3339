"""What bad input gets: a RESULT with a reason before the close, and nobody else disturbed.

Every test has a publisher and a subscriber on two routers beside it; after the abuse a word handed to
the publisher must still come out at the subscriber, over the links that stood before."""

import os
import struct
import subprocess
import time
import uuid

import harness
from harness import wire

HANDSHAKE_SECONDS = 5
DEAD_SECONDS = 10


class Abuse(harness.Case):
    def setUp(self):
        super().setUp()
        self.victim = self.router("lab.a")
        self.other = self.router("lab.b", peers=[self.victim.url])
        self.victim.wait_peer("lab.b")
        self.sub = self.weft("sub", "T@lab.b.words", "-P", self.victim.sock)
        self.pub = self.weft("pub", "T@lab.b.words", "-", "-P", self.other.sock, stdin=subprocess.PIPE)
        self.healthy()

    def tearDown(self):
        try:
            if all(proc.process.poll() is None for proc in self.procs):
                self.healthy()
                self.assertEqual(self.lost_links(), [])
            self.pub.process.stdin.close()
        finally:
            super().tearDown()

    def healthy(self):
        word = uuid.uuid4().hex
        self.pub.process.stdin.write(word + "\n")
        self.pub.process.stdin.flush()
        self.sub.wait_line(word)

    def lost_links(self):
        return [line for line in self.victim.proc.lines if "peer down" in line and "lab.b" in line]

    # ---- The other side, hand-made ----

    def dial(self):
        conn = wire.Connection.dial(self.victim.address)
        self.addCleanup(conn.close)
        return conn

    def hello(self, me, **fields):
        return wire.message("HANDSHAKE", me=me, you=self.victim.url, stage=wire.INITIAL, **fields)

    def join(self, path="lab.evil", features=0):
        """A linked peer, with an address at which nobody listens."""
        me = f"tcp://127.0.0.1:{harness.free_port()}/{path}"
        fields = {"version": 1, "node_id": os.urandom(16), "incarnation": 7, "role": wire.PEER,
                  "max_frame": 4 << 20, "agent": "test", "features": features}
        conn = self.dial()
        conn.send(self.hello(me, **fields))
        answer = conn.expect("HANDSHAKE", "RESULT")
        self.assertEqual(answer.name, "HANDSHAKE", answer)
        answer = answer.decode()
        self.assertEqual(answer["stage"], wire.INITIAL)
        conn.send(wire.message("HANDSHAKE", me=answer["you"], you=answer["me"], stage=wire.FINAL,
                               **fields))
        self.assertEqual(conn.expect("HANDSHAKE").decode()["stage"], wire.FINAL)
        conn.expect("PEERS")
        conn.send(wire.message("PEERS"))
        return conn

    def refused(self, conn, *codes, timeout=5):
        """A RESULT with one of the codes and a sentence comes, then the close."""
        result = conn.expect("RESULT", timeout=timeout).decode()
        self.assertIn(result["error"], codes, result)
        self.assertGreater(len(result["description"].split()), 1, result)
        with self.assertRaises(EOFError):
            while True:
                conn.receive(timeout)
        return result

    def still_linked(self, conn):
        payload = os.urandom(16)
        conn.send(wire.message("PING", payload=payload))
        while conn.expect("PONG").decode()["payload"] != payload:
            pass


class BeforeTheHandshake(Abuse):
    def test_wrong_magic(self):
        conn = self.dial()
        conn.send(b"GET / HTTP/1.1\r\nHost: weft\r\n\r\n")
        self.refused(conn, wire.MALFORMED)

    def test_lengths_that_cannot_be(self):
        for total in (0, 3, 4, 7, 2**32 - 1):
            with self.subTest(total=total):
                conn = self.dial()
                conn.send(struct.pack(">IIIII", wire.MAGIC, total, 0, 0, 0))
                self.refused(conn, wire.MALFORMED, wire.LIMIT)

    def test_compact_lengths_that_cannot_be(self):
        for total in (0, 3, 4, 11, 2**32 - 1):
            with self.subTest(total=total):
                conn = self.dial()
                conn.send(struct.pack(">IIIQ", wire.MAGIC_COMPACT, total, 1, 0))
                self.refused(conn, wire.MALFORMED, wire.LIMIT, wire.DENIED)

    def test_header_larger_than_its_frame(self):
        conn = self.dial()
        conn.send(struct.pack(">III", wire.MAGIC, 40, 41) + b"\0" * 40)
        self.refused(conn, wire.MALFORMED)

    def test_header_over_its_limit(self):
        conn = self.dial()
        conn.send(struct.pack(">III", wire.MAGIC, 4000, 2049) + b"\0" * 4000)
        self.refused(conn, wire.MALFORMED, wire.LIMIT)

    def test_frame_over_the_limit_of_the_handshake(self):
        conn = self.dial()
        conn.send(struct.pack(">III", wire.MAGIC, 70000, 12))
        self.refused(conn, wire.MALFORMED, wire.LIMIT)

    def test_header_that_does_not_parse(self):
        conn = self.dial()
        conn.send(wire.raw_frame(b"\xff" * 12, b""))
        self.refused(conn, wire.MALFORMED)

    def test_handshake_that_does_not_parse(self):
        conn = self.dial()
        conn.send(wire.frame("HANDSHAKE", b"\x0a\xff\xff\xff\xff\x0f"))
        self.refused(conn, wire.MALFORMED)

    def test_handshake_with_a_name_that_is_none(self):
        for me in ("", "robot", "tcp://", "tcp://10.0.0.1/no-port", "tcp://h:1/" + "x" * 300):
            with self.subTest(me=me):
                conn = self.dial()
                conn.send(self.hello(me, version=1, node_id=os.urandom(16)))
                self.refused(conn, wire.MALFORMED)

    def test_message_before_the_handshake(self):
        conn = self.dial()
        conn.send(wire.frame("MESSAGE", b"data", "T@lab.a.x"))
        self.refused(conn, wire.MALFORMED, wire.DENIED, wire.FAILURE)

    def test_handshake_in_our_own_name(self):
        """With the victim's own identity, which it tells in its handshake."""
        conn = self.dial()
        conn.send(self.hello("tcp://127.0.0.1:1/lab.z", version=1, node_id=os.urandom(16), incarnation=1))
        told = conn.expect("HANDSHAKE").decode()
        self.assertEqual(len(told["node_id"]), 16)
        conn.close()
        conn = self.dial()
        conn.send(self.hello("tcp://127.0.0.1:1/lab.z", version=1, node_id=told["node_id"],
                             incarnation=told["incarnation"]))
        self.refused(conn, wire.SELF)

    def test_one_that_says_nothing(self):
        conn, started = self.dial(), time.monotonic()
        self.refused(conn, wire.TIMEOUT, timeout=HANDSHAKE_SECONDS + 5)
        self.assertGreater(time.monotonic() - started, HANDSHAKE_SECONDS - 1)

    def test_one_that_stops_in_mid_frame(self):
        conn = self.dial()
        conn.send(self.hello("tcp://127.0.0.1:1/lab.z", version=1)[:20])
        self.refused(conn, wire.TIMEOUT, timeout=HANDSHAKE_SECONDS + 5)

    def test_hundreds_that_say_nothing(self):
        conns = [self.dial() for _ in range(200)]
        self.healthy()
        told = [conn.expect("RESULT", timeout=HANDSHAKE_SECONDS + 5).decode()["error"] for conn in conns]
        self.assertEqual(set(told), {wire.LIMIT, wire.TIMEOUT})
        self.assertEqual(told.count(wire.TIMEOUT), 100)


class AfterTheHandshake(Abuse):
    def test_a_well_behaved_one_stays(self):
        self.still_linked(self.join())

    def test_wrong_magic(self):
        conn = self.join()
        conn.send(b"\x00" * 64)
        self.refused(conn, wire.MALFORMED)

    def test_lengths_that_cannot_be(self):
        for total in (0, 3, 4, 2**32 - 1):
            with self.subTest(total=total):
                conn = self.join()
                conn.send(struct.pack(">IIIII", wire.MAGIC, total, 0, 0, 0))
                self.refused(conn, wire.MALFORMED, wire.LIMIT)

    def test_bodies_that_do_not_parse(self):
        for kind in ("INTENT", "INTENTS", "INTEREST", "INTERESTS", "PEERS", "ADDRBOOK", "DIGEST"):
            with self.subTest(kind=kind):
                conn = self.join()
                conn.send(wire.frame(kind, b"\x0a\xff\xff\xff\xff\x0f"))
                self.refused(conn, wire.MALFORMED)

    def test_second_handshake(self):
        conn = self.join()
        conn.send(self.hello("tcp://127.0.0.1:1/lab.z", version=1, node_id=os.urandom(16)))
        self.refused(conn, wire.MALFORMED, wire.DENIED, wire.FAILURE)

    def test_ten_thousand_names(self):
        conn = self.join()
        names = [f"tcp://192.0.2.{i % 250 + 1}:{1000 + i // 250}/lab.far{i}" for i in range(10000)]
        conn.send(wire.message("PEERS", ids=names))
        result = conn.expect("RESULT").decode()
        self.assertEqual(result["error"], wire.LIMIT, result)
        self.still_linked(conn)
        book = self.run_weft("addrbook", "dump", self.victim.sock, "--tsv")
        self.assertLessEqual(book.count("lab.far"), 250)
        self.assertGreater(book.count("lab.far"), 0)

    def test_names_nobody_should_dial(self):
        conn = self.join()
        bad = [self.victim.url, "tcp://0.0.0.0:7400/lab.zero", "tcp://[::]:7400/lab.zero",
               "tcp://192.0.2.1:0/lab.zero", "not a name", "", "tcp://192.0.2.1:7400/" + "z" * 300]
        conn.send(wire.message("PEERS", ids=bad + ["tcp://192.0.2.9:7400/lab.good"]))
        self.still_linked(conn)
        book = self.run_weft("addrbook", "dump", self.victim.sock, "--tsv")
        self.assertIn("lab.good", book)
        self.assertNotIn("lab.zero", book)
        self.assertNotIn("zzz", book)
        self.assertNotIn(f":{self.victim.port}/", book)

    def test_routes_that_are_none(self):
        conn = self.join()
        for route in ("", "@", "T@", "@path", "T@a@b", "T@a b", "T@" + "x" * 1100):
            conn.send(wire.frame("INTEREST", wire.encode("INTEREST", route=route, register=True)))
        conn.send(wire.message("INTEREST", route="T@lab.a.x", register=True))
        self.still_linked(conn)

    def test_a_goodbye_that_writes_lines_of_its_own(self):
        """Text of a peer cannot break out of its line of the log."""
        self.join("lab.liar").send(wire.message("GOODBYE", reason=1, description="\x1b[31mso\nlong"))
        self.victim.proc.wait_line(r"peer down: .*lab.liar: goodbye: \\x1b\[31mso\\nlong$")

    def test_one_that_asks_and_does_not_read(self):
        """Its answers have a limit: it is told off, nobody waits for it, and the memory comes back."""
        pings = wire.message("PING", payload=b"x" * 60000)
        books = wire.message("ADDRBOOK", want_result=True)
        for ask, count in ((pings, 2000), (books, 50000)):
            conn = self.join("lab.greedy", features=wire.BOOK)
            conn.send(wire.message("PEERS", ids=[f"tcp://192.0.2.9:{i + 1}/lab.far" + "x" * 200
                                                 for i in range(250)]))
            since = self.victim.proc.mark()
            try:
                for _ in range(count):
                    conn.send(ask)
            except OSError:
                pass
            self.healthy()
            self.victim.proc.wait_line("peer down.*lab.greedy.* too much waits for it unread", since=since)
            conn.close()
        self.assertLess(self.peak_mib(), 1000)

    def peak_mib(self):
        with open(f"/proc/{self.victim.proc.pid}/status", encoding="utf-8") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) >> 10

    def test_one_that_dies_without_a_word(self):
        """Linked, then silent: found dead after DEAD_SECONDS, and said so."""
        conn, started = self.join("lab.silent"), time.monotonic()
        with self.assertRaises(EOFError):
            while True:
                conn.receive(DEAD_SECONDS * 2)
        self.assertGreater(time.monotonic() - started, DEAD_SECONDS - 3)

    def test_one_that_stops_reading(self):
        """Its own queue fills (16 MiB); everybody else goes on being served. The rate is one that a reader on a
        loaded machine keeps up with: a relay waits a second for room and then drops, for the slow one too."""
        reader = self.weft("sub", "T@lab.a.flood", "-P", self.other.sock, "--count", "301", split=True)
        self.run_weft("pub", "T@lab.a.flood", "first", "-P", self.victim.sock, "--wait", "10")
        reader.wait_line("first")  # its interest has come to the victim
        conn = self.join("lab.stuck")
        conn.send(wire.message("INTEREST", route="T@lab.a.flood", register=True, hops=0))
        self.still_linked(conn)
        flood = self.weft("pub", "T@lab.a.flood", "-P", self.victim.sock, "--size", "131072", "--count",
                          "300", "--rate", "100", "--wait", "10")
        for _ in range(5):
            self.healthy()
        reader.expect_exit(0)
        flood.may_exit_with.add(flood.exit_code())
        conn.expect("MESSAGE")  # it was among the subscribers


if __name__ == "__main__":
    harness.main()
