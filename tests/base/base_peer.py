#!/usr/bin/env python3
"""A base peer, as docs/protocol.md section 8 describes dndm: fragile where it is fragile.

It dials or accepts one connection, completes the handshake, publishes and subscribes what it was
asked to, and ends: exit code 0 only if all of that happened. One JSON object per line tells what
goes on: listening, linked, published, subscribed, matched, sent, delivered, received, result,
closed, error.

    base_peer.py --listen 127.0.0.1:0 --me tcp://127.0.0.1:0/base --publish types.Foo@base.foo --count 1000
    base_peer.py --dial 127.0.0.1:7400 --me tcp://127.0.0.1:7500/base --you tcp://127.0.0.1:7400/robot \
                 --subscribe types.Foo@robot.foo --count 1000

Message i is types.Foo with text "seq=i " followed by as many "x" as make up --size bytes.

Whatever ends a connection of dndm ends one here, and the reason is told: a frame that one recv does
not bring whole, an unknown type, a header over 2,048 bytes, a MESSAGE nobody here is interested in
or that follows its INTENT within 1 ms, PEERS or RESULT before the handshake is done, an interest
withdrawn while messages for it are being sent.

Its own frames are sent as TCP likes: many in one write, or with --split in random pieces. Only
another base peer needs --paced: one write a frame, and no more on the way than its window holds.
"""

import argparse
import collections
import json
import os
import random
import re
import select
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import wire  # noqa: E402

KNOWN = set(range(1, 10)) | {50, 51, 52}
HEADER_MAX = 2048
PING_EVERY = 3.0
PING_SIZE = 1024
TTL_NS = 60_000_000_000
TOO_SOON_NS = 1_000_000
BATCH = 64 << 10  # bytes gathered before a write
WINDOW = 16 << 10  # --paced: bytes on the way before the other side has confirmed them
READS = 200  # frames in a row
LINGER = 1.0  # a subscriber stays this long for the publisher to learn that all has arrived


class Closed(Exception):
    """The connection is over, and why."""


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def content(seq, size):
    """types.Foo{text} of `size` bytes, or as many as its text needs."""
    text = f"seq={seq} ".encode()
    room = size - 1 - len(wire.varint(size))
    text += b"x" * (room - len(text))
    return b"\x0a" + wire.varint(len(text)) + text


class Inbox:
    """Reads as dndm does: one recv for magic and length, one for the rest, and what they did not
    bring is lost."""

    def __init__(self, sock):
        self.sock = sock

    def recv(self, size, what, flags=0):
        try:
            data = self.sock.recv(size, flags)
        except BlockingIOError:
            return None
        except OSError as err:
            raise Closed(f"connection lost: {err}") from err
        if not data:
            raise Closed("closed by the other side")
        if len(data) < size:
            raise Closed(f"{what} came in pieces: {len(data)} of {size} bytes")
        return data

    def next(self):
        """Bytes of one frame, or None while nothing of it is there."""
        head = self.recv(8, "the start of a frame", socket.MSG_DONTWAIT)
        if head is None:
            return None
        magic, total = struct.unpack(">II", head)
        if magic != wire.MAGIC:
            raise Closed(f"unknown magic {magic:#x}")
        if total < 8:
            raise Closed(f"frame of total {total}")
        rest = self.recv(total, "a frame")
        if struct.unpack_from(">I", rest)[0] > HEADER_MAX:
            raise Closed(f"header over {HEADER_MAX} bytes")
        return head + rest


def parse(data):
    try:
        return wire.parse(data)
    except (wire.WireError, struct.error) as err:
        raise Closed(f"malformed frame: {err}") from err


class Outbox:
    """Frames to be written, in the manner that was asked for."""

    def __init__(self, sock, paced, split, rng):
        self.sock, self.paced, self.split, self.rng = sock, paced, split, rng
        self.frames = collections.deque()
        self.pending = b""

    def put(self, frame):
        self.frames.append(frame)

    def empty(self):
        return not self.pending and not self.frames

    def gather(self):
        if self.paced:
            return self.frames.popleft()
        parts, size = [], 0
        while self.frames and size < BATCH:
            parts.append(self.frames.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    def write(self):
        """One write, without waiting."""
        if not self.pending:
            self.pending = memoryview(self.gather())
        size = self.rng.randint(1, 1500) if self.split else len(self.pending)
        try:
            sent = self.sock.send(self.pending[:size], socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as err:
            raise Closed(f"connection lost: {err}") from err
        self.pending = self.pending[sent:]


class Publication:
    def __init__(self, route, count, size):
        self.route, self.count, self.size = route, count, size
        self.open = False  # INTENT sent
        self.ready_at = 0.0  # no message before: the other side may be a base peer too
        self.matched = False
        self.sent = 0
        self.delivered = False  # the other side has read all of it

    def frames(self, limit):
        """The next messages, at least one, about `limit` bytes of them."""
        size = 0
        while self.sent < self.count and size < limit:
            frame = wire.frame("MESSAGE", content(self.sent, self.size), self.route)
            self.sent += 1
            size += len(frame)
            yield frame


class Subscription:
    def __init__(self, route, count):
        self.route, self.count = route, count
        self.open = False  # INTEREST sent
        self.matched = False
        self.received = self.bytes = 0
        self.started = None
        self.tail = wire.pack(wire.HEADER, {"type": wire.TYPES["MESSAGE"], "route": route})
        self.stamp_size = len(wire.pack(wire.HEADER, {"timestamp": wire.now_ns()}))

    def body_of_next(self, data):
        """Body of a frame that is plainly the next message: its header is a timestamp and then what
        every message of this route has. Else None, and the frame is taken apart in full."""
        size = struct.unpack_from(">I", data, 8)[0]
        if not self.received or data[12] != 0x10 or size != len(self.tail) + self.stamp_size:
            return None
        if data[12 + self.stamp_size:12 + size] != self.tail:
            return None
        if struct.unpack_from(">I", data, 12 + size)[0] != len(data) - size - 16:
            return None
        return data[16 + size:]

    def take(self, body):
        if self.received >= self.count:
            raise Closed(f"message {self.received} of {self.count}")
        if body != content(self.received, len(body)):
            raise Closed(f"message {self.received} expected, got {body[:40]!r}")
        self.started = self.started or time.monotonic()
        self.received += 1
        self.bytes += len(body)
        if self.received == self.count:
            say("received", route=self.route, count=self.received, bytes=self.bytes,
                seconds=round(time.monotonic() - self.started, 3))


class Peer:
    def __init__(self, args, sock, me, you, initiator):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.args, self.sock, self.me, self.you, self.initiator = args, sock, me, you, initiator
        self.inbox = Inbox(sock)
        self.out = Outbox(sock, args.paced, args.split, random.Random(args.seed))
        self.done_at = None  # the handshake is done since
        self.ping_at = time.monotonic()
        self.probe = None  # payload of the PING whose PONG confirms what went before it
        self.pub = Publication(args.publish, args.count, args.size) if args.publish else None
        self.sub = Subscription(args.subscribe, args.count) if args.subscribe else None
        self.intents, self.interests = {}, set()  # of the other side; when its INTENT came
        self.finished_at = None

    # ---- sending ----

    def send(self, kind, **values):
        self.out.put(wire.message(kind, **values))

    def handshake(self, stage):
        self.send("HANDSHAKE", me=self.me, you=self.you, stage=stage)

    def declare(self, kind, route):
        self.send(kind, route=route, ttl=TTL_NS, register=True)

    def ping(self, payload=None):
        self.send("PING", payload=payload or os.urandom(PING_SIZE))

    # ---- what comes in ----

    def read(self):
        """What has arrived, but not so much that sending has to wait for it."""
        for _ in range(READS):
            data = self.inbox.next()
            if data is None:
                return
            body = self.sub.body_of_next(data) if self.sub else None
            if body is not None:
                self.sub.take(body)
            else:
                self.on_frame(parse(data))

    def on_frame(self, got):
        if got.type not in KNOWN and got.type < 1000:
            raise Closed(f"unknown type {got.type}")
        if got.type == wire.TYPES["MESSAGE"] or got.type >= 1000:
            self.on_message(got)
            return
        if got.name in ("PEERS", "RESULT") and self.done_at is None:
            detail = got.decode().get("description", "")
            raise Closed(f"{got.name} before the handshake is done{': ' if detail else ''}{detail}")
        handler = getattr(self, "on_" + got.name.lower(), None)
        if handler:
            handler(got, got.decode())
        if got.want_result:
            self.send("RESULT", nonce=got.timestamp)

    def on_handshake(self, got, body):
        if not re.match(r"tcp://[^/]*:\d+(/|$)", body["me"]):
            raise Closed(f"handshake from {body['me']!r}, expected tcp://HOST:PORT/PATH")
        if self.done_at is not None:
            return
        self.you = body["me"]
        self.done_at = time.monotonic()
        self.handshake(wire.FINAL)
        self.send("PEERS")
        say("linked", peer=self.you, called=body["you"], stage=body["stage"])

    def on_ping(self, got, body):
        self.send("PONG", receive_timestamp=wire.now_ns(), ping_timestamp=got.timestamp,
                  payload=body["payload"])

    def on_pong(self, got, body):
        if body["payload"] != self.probe:
            return
        self.probe = None
        if self.pub and self.pub.sent == self.pub.count and not self.pub.delivered:
            self.pub.delivered = True
            say("delivered", route=self.pub.route, count=self.pub.sent)

    def on_result(self, got, body):
        if body["error"]:
            say("result", error=body["error"], description=body["description"])

    def on_peers(self, got, body):
        say("peers", ids=body["ids"], remove=body["remove"])

    def on_intents(self, got, body):
        for decl in body["intents"]:
            self.on_intent(got, decl)

    def on_interests(self, got, body):
        for decl in body["interests"]:
            self.on_interest(got, decl)

    def on_intent(self, got, body):
        route = body["route"]
        if not body["register"]:
            self.intents.pop(route, None)
            return
        self.intents[route] = (time.monotonic_ns(), got.timestamp)
        if self.sub and self.sub.open and route == self.sub.route:
            self.declare("INTEREST", route)
            self.match_subscription()

    def on_interest(self, got, body):
        route = body["route"]
        if not body["register"]:
            self.interests.discard(route)
            if self.pub and self.pub.matched and self.pub.sent < self.pub.count:
                raise Closed(f"crashed: interest in {route} withdrawn while sending")
            return
        self.interests.add(route)
        self.match_publication()

    def on_message(self, got):
        if not self.sub or not self.sub.open or got.route != self.sub.route:
            raise Closed(f"MESSAGE for {got.route!r}, which nobody here is interested in")
        if self.sub.received == 0 and got.route in self.intents:
            arrived, stamped = self.intents[got.route]
            # Both clocks, so that being slow to read is not held against the sender.
            if (time.monotonic_ns() - arrived < TOO_SOON_NS and
                    got.timestamp - stamped < TOO_SOON_NS):
                raise Closed(f"MESSAGE for {got.route!r} within 1 ms after its INTENT")
        self.sub.take(got.body)

    # ---- what it does by itself ----

    def match_publication(self):
        pub = self.pub
        if pub and pub.open and not pub.matched and pub.route in self.interests:
            pub.matched = True
            say("matched", route=pub.route, kind="intent")

    def match_subscription(self):
        if not self.sub.matched and self.sub.route in self.intents:
            self.sub.matched = True
            say("matched", route=self.sub.route, kind="interest")

    def declare_own(self):
        """Publish and Subscribe, which fail for what the other side has registered alike."""
        if self.pub and not self.pub.open:
            if self.pub.route in self.intents:
                raise Closed(f"Publish fails: the other side has an intent {self.pub.route}")
            self.pub.open = True
            self.pub.ready_at = time.monotonic() + 0.005
            self.declare("INTENT", self.pub.route)
            say("published", route=self.pub.route)
            self.match_publication()
        if self.sub and not self.sub.open:
            if self.sub.route in self.interests:
                raise Closed(f"Subscribe fails: the other side has an interest {self.sub.route}")
            self.sub.open = True
            self.declare("INTEREST", self.sub.route)
            say("subscribed", route=self.sub.route)
            self.match_subscription()

    def publish_more(self):
        """Keep the outbox filled; at the end, and now and then if paced, wait to be confirmed."""
        pub = self.pub
        if not pub or not pub.matched or pub.delivered or self.probe or not self.out.empty():
            return
        if time.monotonic() < pub.ready_at:
            return
        if pub.sent < pub.count:
            for frame in pub.frames(WINDOW if self.args.paced else BATCH):
                self.out.put(frame)
            if pub.sent == pub.count:
                say("sent", route=pub.route, count=pub.sent)
        if self.args.paced or pub.sent == pub.count:
            self.probe = os.urandom(PING_SIZE)
            self.ping(self.probe)

    def finished(self):
        return ((not self.pub or self.pub.delivered) and
                (not self.sub or self.sub.received == self.sub.count) and
                self.done_at is not None)

    def tick(self):
        now = time.monotonic()
        if now >= self.ping_at:
            self.ping_at = now + PING_EVERY
            self.ping()
        if self.done_at is not None and now >= self.done_at + self.args.delay:
            self.declare_own()
        self.publish_more()
        if self.finished() and self.finished_at is None:
            self.finished_at = now

    def lingers(self):
        """A subscriber that has all stays a while, to answer the publisher's last PING."""
        return self.finished_at is None or (
            self.sub and time.monotonic() < self.finished_at + LINGER)

    def run(self, deadline):
        if self.initiator:
            self.handshake(wire.INITIAL)
        while self.lingers():
            if time.monotonic() > deadline:
                raise Closed("timed out")
            self.tick()
            busy = not self.out.empty()
            readable, writable, _ = select.select([self.sock], [self.sock] if busy else [], [], 0.02)
            if writable:
                self.out.write()
            if readable:
                self.read()


def host_port(text):
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"expected HOST:PORT, got {text!r}")
    return host.strip("[]"), int(port)


def accept(address, me, deadline):
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.create_server(address, family=family) as server:
        port = server.getsockname()[1]
        me = re.sub(r"^(tcp://.*):0(/|$)", rf"\g<1>:{port}\2", me)
        say("listening", port=port, me=me)
        server.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            sock, _ = server.accept()
        except TimeoutError as err:
            raise Closed("nobody dialled") from err
    sock.settimeout(None)
    return sock, me


def dial(address, deadline):
    while True:
        try:
            sock = socket.create_connection(address, 3)
            sock.settimeout(None)
            return sock
        except OSError as err:
            if time.monotonic() > deadline:
                raise Closed(f"dial failed: {err}") from err
            time.sleep(0.1)


def parse_args():
    parser = argparse.ArgumentParser(description="A base peer for tests; see the head of this file.")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--listen", type=host_port, metavar="HOST:PORT")
    way.add_argument("--dial", type=host_port, metavar="HOST:PORT")
    parser.add_argument("--me", help="own URL; port 0 stands for the port listened on")
    parser.add_argument("--you", help="URL of the other side, when dialling")
    parser.add_argument("--publish", metavar="ROUTE")
    parser.add_argument("--subscribe", metavar="ROUTE")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--size", type=int, default=64, help="bytes of a message")
    parser.add_argument("--delay", type=float, default=0, help="seconds before it publishes, subscribes")
    parser.add_argument("--timeout", type=float, default=30)
    parser.add_argument("--split", action="store_true", help="send in random pieces")
    parser.add_argument("--paced", action="store_true", help="send so that a base peer can read it")
    parser.add_argument("--seed", type=int, default=1, help="of --split")
    return parser.parse_args()


def main():
    args = parse_args()
    deadline = time.monotonic() + args.timeout
    address = args.listen or args.dial
    me = args.me or f"tcp://{address[0]}:{address[1] if args.listen else 0}/base"
    you = args.you or f"tcp://{address[0]}:{address[1]}/"
    peer = None
    try:
        if args.listen:
            sock, me = accept(address, me, deadline)
        else:
            sock = dial(address, deadline)
        with sock:
            peer = Peer(args, sock, me, you, initiator=bool(args.dial))
            peer.run(deadline)
    except Closed as why:
        ok = peer is not None and peer.finished()
        say("closed" if ok else "error", reason=str(why),
            sent=peer.pub.sent if peer and peer.pub else 0,
            received=peer.sub.received if peer and peer.sub else 0)
        return 0 if ok else 1
    say("closed", reason="finished")
    return 0


if __name__ == "__main__":
    sys.exit(main())
