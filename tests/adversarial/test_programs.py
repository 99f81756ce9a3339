"""An hour on the wire against a real weftd: connections that say nothing, frames that never end, floods,
links that come and go. After each, and while it lasts, a word handed to a publisher on one router must come
out at a subscriber on the other, over the links that stood before (test_bad_input.Abuse)."""

import os
import resource
import select
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402
from harness import wire  # noqa: E402
import test_bad_input  # noqa: E402

CONNECTIONS = 10000  # that say nothing
SPARE = 500  # descriptors for everything else
ALL = wire.COMPACT | wire.PATTERNS | wire.DIGEST | wire.GOODBYE | wire.BOOK


def scaled(count):
    """A sanitizer takes some ten times as long for each connection: then a tenth of them."""
    return count // 10 if harness.sanitized("weftd") else count


def until(condition, what, timeout=harness.PATIENCE):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        select.select([], [], [], 0.01)


class Adversary(test_bad_input.Abuse):
    def descriptors(self):
        return len(os.listdir(f"/proc/{self.victim.proc.pid}/fd"))

    def memory_kib(self, field="VmRSS"):
        with open(f"/proc/{self.victim.proc.pid}/status", encoding="utf-8") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(field))

    def silent(self, count):
        """So many connections, which stay open on this side whatever the other does."""
        conns = []
        for i in range(count):
            sock = socket.create_connection(self.victim.address, timeout=10)
            self.addCleanup(sock.close)
            conns.append(sock)
            if i % 2000 == 1999:
                self.healthy()
        return conns

    def a_new_peer_can_link(self, path):
        self.still_linked(self.join(path))
        router = self.router(path + ".router", peers=[self.victim.url])
        self.victim.wait_peer(path + ".router")
        router.proc.terminate()

    def count_sent(self, conn, name, seconds):
        """How many frames of a name come within the time, PINGs being answered."""
        count, end = 0, time.monotonic() + seconds
        while True:
            try:
                conn.expect(name, timeout=max(end - time.monotonic(), 0))
                count += 1
            except TimeoutError:
                return count


class SilentConnections(Adversary):
    def test_10000_connections_that_say_nothing(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        count = scaled(min(CONNECTIONS, hard - SPARE))
        before = self.descriptors()
        conns = self.silent(count)
        print(f"{count} connections that say nothing (the limit is {hard} descriptors), "
              f"{self.descriptors() - before} of them open on the other side")
        self.assertGreaterEqual(count, scaled(1000))
        self.healthy()
        self.a_new_peer_can_link("lab.fresh")
        self.healthy()
        for conn in conns:  # each was told why, or stands
            conn.setblocking(False)
        told = sum(1 for conn in conns if self.reason(conn) in (wire.LIMIT, wire.TIMEOUT))
        self.assertGreaterEqual(told, count - 100)
        for conn in conns:
            conn.close()
        until(lambda: self.descriptors() <= before + 2, f"{self.descriptors()} descriptors, {before} before")

    @staticmethod
    def reason(sock):
        try:
            frames = wire.Stream().feed(sock.recv(4096))
        except OSError:
            return None
        return frames[0].decode()["error"] if frames else None

    def test_with_no_descriptors_left(self):
        """The same against a limit that they reach: what stands goes on, and it recovers when they go."""
        pid, before = self.victim.proc.pid, self.descriptors()
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (before + 50, hard))
        conns = self.silent(500)
        self.victim.proc.wait_line(r"(?i)too many open files|descriptor")
        self.healthy()
        for conn in conns:
            conn.close()
        self.a_new_peer_can_link("lab.fresh")
        until(lambda: self.descriptors() <= before + 2, "descriptors are back")


class FramesThatNeverEnd(Adversary):
    def test_peers_that_announce_large_frames(self):
        """Each is linked, announces a frame of 4 MiB, and sends a byte of it now and then."""
        before, conns = self.memory_kib(), []
        for i in range(scaled(200)):
            conn = self.join(f"lab.slow{i}")
            conn.send(struct.pack(">III", wire.MAGIC, (4 << 20) - 8, 12))
            conns.append(conn)
        for _ in range(5):
            for conn in conns:
                conn.send(b"\0")
            self.healthy()
        grown = (self.memory_kib() - before) >> 10
        print(f"{len(conns)} frames of 4 MiB announced: {grown} MiB more")
        if not harness.sanitized("weftd"):
            self.assertLess(grown, 32)
        self.a_new_peer_can_link("lab.fresh")

    def test_one_byte_more_than_the_limit(self):
        conn = self.join()
        conn.send(struct.pack(">III", wire.MAGIC, (4 << 20) - 7, 12))
        self.refused(conn, wire.LIMIT)


class Floods(Adversary):
    def test_pings(self):
        """A peer that reads its answers may ask as often as it likes; nobody else waits."""
        conn, count = self.join("lab.eager"), scaled(20000)
        payload, before = os.urandom(16), self.memory_kib()
        for _ in range(20):
            conn.send(wire.message("PING", payload=payload) * (count // 20))
            for _ in range(count // 20):
                while conn.expect("PONG", timeout=20).decode()["payload"] != payload:
                    pass
        self.healthy()
        if not harness.sanitized("weftd"):
            self.assertLess(self.memory_kib() - before, 16 << 10)

    def test_resyncs(self):
        """It asks for the full lists without end, and is itself never asked more often than every 25 s."""
        conn = self.join("lab.confused", features=ALL)
        self.still_linked(conn)
        started = time.monotonic()
        for i in range(500):
            conn.send(wire.message("DIGEST", intents=i + 1, resync=False) + wire.message("DIGEST", resync=True))
        digests, asked = 0, 0
        try:
            while True:
                got = conn.expect("DIGEST", timeout=1.5).decode()
                digests += not got["resync"]
                asked += got["resync"]
        except TimeoutError:
            pass
        elapsed = time.monotonic() - started
        self.assertEqual(asked, 1)
        self.assertGreaterEqual(digests, 1)
        self.assertLessEqual(digests, 2 + int(elapsed))  # one a second, and the one of the link's beginning
        self.healthy()

    def test_handshakes_full_of_routes(self):
        """INITIAL with as many routes as fit into 64 KiB, none of them in scope: FINAL takes none."""
        path = "lab.wordy"
        me = f"tcp://127.0.0.1:{harness.free_port()}/{path}"
        fields = {"version": 1, "node_id": os.urandom(16), "incarnation": 7, "features": ALL, "agent": "test"}
        routes = [{"route": f"T@lab.a.r{i}", "register": True, "alias": i + 1} for i in range(2500)]
        conn = self.dial()
        hello = self.hello(me, intents=routes, **fields)
        self.assertLess(len(hello), 64 << 10)
        conn.send(hello)
        answer = conn.expect("HANDSHAKE").decode()
        conn.send(wire.message("HANDSHAKE", me=answer["you"], you=answer["me"], stage=wire.FINAL, **fields))
        final = conn.expect("HANDSHAKE").decode()
        self.assertEqual(final["intents"], [])
        conn.expect("PEERS")
        conn.send(wire.message("PEERS"))
        self.still_linked(conn)
        conn.send(wire.message("INTENTS", intents=routes))  # once more: a few are answered
        self.assertEqual(self.count_sent(conn, "RESULT", 0.5), 8)
        self.still_linked(conn)


class ComingAndGoing(Adversary):
    def test_links_that_come_and_go(self):
        """Peers without end, each with a name and a node id of its own, gone as soon as it is linked."""
        before = self.descriptors()
        for round_ in range(2):
            for i in range(scaled(300)):
                conn = self.join(f"lab.moth{i}")
                if i % 3 == 0:
                    conn.send(wire.message("GOODBYE", reason=1 + i % 5, description="enough"))
                conn.close()
            self.healthy()
            if round_ == 0:
                first = self.memory_kib()
        if not harness.sanitized("weftd"):
            self.assertLess(self.memory_kib() - first, 4 << 10)
        until(lambda: self.descriptors() <= before + 12, "descriptors are back, but for dials")  # at most 16 dial
        self.a_new_peer_can_link("lab.fresh")

    def test_a_goodbye_for_a_displaced_link_that_none_displaced(self):
        conn = self.join("lab.hasty", features=ALL)
        conn.send(wire.message("GOODBYE", reason=2, description="displaced"))
        self.victim.proc.wait_line(r"peer down.*lab.hasty")
        with self.assertRaises(EOFError):
            while True:
                conn.receive()
        self.still_linked(self.join("lab.hasty", features=ALL))


class Reconnect(Adversary):
    """The former link's aliases and queued messages; all else is in test_reconnect.c."""

    def rejoin(self, node_id, incarnation, port):
        me = f"tcp://127.0.0.1:{port}/lab.again"
        fields = {"version": 1, "node_id": node_id, "incarnation": incarnation, "role": wire.PEER,
                  "max_frame": 4 << 20, "agent": "test", "features": ALL}
        conn = self.dial()
        conn.send(self.hello(me, **fields))
        answer = conn.expect("HANDSHAKE").decode()
        conn.send(wire.message("HANDSHAKE", me=answer["you"], you=answer["me"], stage=wire.FINAL, **fields))
        conn.expect("PEERS")
        conn.send(wire.message("PEERS"))
        self.still_linked(conn)
        return conn

    def first_line(self, conn, out, number):
        """A line is written until the publisher, a leaf, has heard that somebody listens."""
        end = time.monotonic() + harness.PATIENCE
        while time.monotonic() < end:
            out.process.stdin.write(f"line {number}\n")
            out.process.stdin.flush()
            try:
                return conn.expect("COMPACT", timeout=0.1).body.rstrip(b"\n")
            except TimeoutError:
                pass
        return b""

    def test_aliases_and_queued_messages(self):
        sub = self.weft("sub", "T@lab.again.*", "-P", self.victim.sock)
        out = self.weft("pub", "T@lab.a.flow", "-", "-P", self.victim.sock, stdin=subprocess.PIPE)
        node_id, port = os.urandom(16), harness.free_port()
        for incarnation in (1, 2, 3):
            conn = self.rejoin(node_id, incarnation, port)
            # Nothing of the former link: its alias means nothing, and what was queued does not come.
            conn.send(wire.compact(5, b"ghost %d" % incarnation))
            self.still_linked(conn)
            self.assertEqual(self.count_sent(conn, "COMPACT", 0.2), 0)
            conn.send(wire.message("INTENT", route=f"T@lab.again.x{incarnation}", register=True, alias=5))
            conn.send(wire.compact(5, b"word %d" % incarnation))
            sub.wait_line(f"word {incarnation}")
            conn.send(wire.message("INTEREST", route="T@lab.a.flow", register=True))
            self.assertEqual(self.first_line(conn, out, incarnation), b"line %d" % incarnation)
            for _ in range(200):  # these wait when the connection is cut: it is not read any more
                out.process.stdin.write("unread " * 300 + "\n")
            out.process.stdin.flush()
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.close()  # a reset
        self.assertEqual(sub.count("ghost"), 0)
        out.process.stdin.close()


if __name__ == "__main__":
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    os.environ.pop("MALLOC_PERTURB_", None)  # meson sets it; memory that is filled is memory that is used
    harness.main()
