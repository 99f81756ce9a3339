#!/usr/bin/env python3
"""Writes the seed corpus below tests/fuzz/corpus/, a folder for each target, from the frames captured of dndm and
from samples of every message, field, route, URL and setting. The files are kept in the repository, so that a build
needs no Python for them; run it again after a change of format:

    seeds.py [FOLDER]      default: the corpus beside this file
"""

import os
import struct
import subprocess
import sys
import zlib

import seeds_session

HERE = os.path.dirname(os.path.abspath(__file__))
CAPTURED = os.path.join(HERE, "..", "proto", "dndm-frames.txt")

TYPES = [2, 3, 4, 5, 7, 6, 8, 9, 50, 51, 52, 60, 61, 62, 63]  # as tests/proto/samples.c has them
RECORD = len(TYPES)
ID_A = bytes(range(1, 17))


# ---- protobuf ------------------------------------------------------------------------------------

def varint(n):
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def num(field, value):
    return varint(field << 3) + varint(value & (1 << 64) - 1)


def blob(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def fixed64(field, value):
    return varint(field << 3 | 1) + struct.pack("<Q", value)


def float32(field, value):
    return varint(field << 3 | 5) + struct.pack("<f", value)


def intent(route, alias=77, schema=0xfedcba98, origin="tcp://h:1/a"):
    return (blob(1, route) + num(2, 2) + num(3, 60 * 10**9) + num(4, 1) + num(16, alias) + fixed64(17, schema) +
            blob(18, origin))


def interest(route):
    return blob(1, route) + num(2, 1) + num(3, 5) + num(4, 1) + fixed64(17, 9)


def record(peer, **more):
    fields = {"attempts": 4, "last_success": 1795230441000909513, "node_id": ID_A, "origin": 2, **more}
    return (blob(1, peer) + num(2, 10) + num(3, 10**9) + num(4, 60 * 10**9) + float32(5, 1.5) +
            num(6, fields["attempts"]) + num(7, 3) + num(8, fields["last_success"]) + num(9, 7 * 10**9) + num(10, 1) +
            blob(16, fields["node_id"]) + blob(17, "tcp://h:2") + num(18, fields["origin"]) + blob(19, "refused") +
            num(20, 8) + num(21, 9) + num(23, 1) + num(24, 11))


def handshake(stage):
    return (blob(1, "tcp://h:1/a") + blob(2, "tcp://h:2/b") + num(3, stage) + blob(4, intent("T@a.b")) +
            blob(5, interest("*@a.**")) + blob(6, b"key") + num(16, 1) + blob(17, ID_A) + num(18, 2**64 - 2) +
            blob(19, "lab") + num(20, 0x7f) + num(21, 4 << 20) + blob(22, "weft/0") + num(23, 2))


def status():
    stats = b"".join(num(f, f) for f in range(1, 13)) + blob(13, bytes(range(1, 9))) + num(14, 1) + num(17, 2**40)
    return (blob(1, "tcp://h:1/a") + blob(2, "a") + blob(3, "weftd/1") + blob(6, "tcp://h:1/a") + blob(8, ID_A) +
            num(9, 1) + num(10, 4) + num(11, 77) + num(12, 1795230441000909513) + num(14, 4 << 20) + blob(18, stats))


def peer_status(url):
    return (blob(1, url) + blob(2, "b") + blob(4, "linked") + blob(5, ID_A) + num(6, 2) + num(7, 1) + num(9, 0x7f) +
            num(10, 10**9) + num(11, 12345) + num(13, 9) + blob(18, b"\1\2") + num(18, 3) + blob(19, "refused") +
            num(20, 1500 * 10**6) + num(21, 3) + num(22, 1))


def route_status(route):
    return (blob(1, route) + blob(2, "tcp://h:3/c") + num(3, 1) + num(4, 2) + num(5, 3) + num(6, 4) + blob(7, b"\1") +
            blob(8, "tcp://h:2/b") + fixed64(9, 0xfedcba98))


def incident(kind, error):
    return num(1, 1795230441000909513) + num(2, 7) + num(3, kind) + num(4, 2 * -error - 1) + blob(7, "nothing listens")


BODIES = {
    2: [intent("T@a.b"), blob(1, "U@c"), b""],
    3: [blob(1, intent("T@a.b")) + blob(1, blob(1, "U@c")), blob(1, b"") * 50],
    4: [interest("*@a.**")],
    5: [blob(1, interest("*@a.**")) + blob(1, interest("U@c"))],
    6: [blob(1, "T@a")],
    7: [num(1, 2**64 - 1) + num(2, 10) + blob(3, "schemas differ")],
    8: [blob(3, ID_A)],
    9: [num(1, 5) + num(3, 2**63) + blob(4, ID_A)],
    50: [handshake(1), handshake(2), handshake(3), blob(1, "tcp://h:1/a") + blob(2, "tcp://h:2/b") + num(3, 1)],
    51: [blob(1, "tcp://h:1/a") + blob(1, "tcp://[::1]:2/b") + blob(1, ""), blob(1, "tcp://h:1/a") + num(2, 1)],
    52: [blob(1, record("tcp://h:1/a")) + blob(1, blob(1, "tcp://h:3"))],
    60: [num(1, 4) + blob(2, "idle")],
    61: [num(1, 3) + fixed64(2, 2**64 - 1) + num(3, 2**32 - 1) + fixed64(4, 1) + num(5, 1)],
    62: [num(1, 31) + blob(2, "T@a.**"), blob(3, "add") + blob(4, "tcp://h:1/a") + blob(4, "persistent=true")],
    63: [num(1, 7) + num(2, 1) + blob(3, status()), blob(4, peer_status("tcp://h:2/b")) * 2 + blob(8, "added"),
         blob(5, route_status("T@a.b")) + blob(5, b"") + blob(6, record("tcp://h:1/a")) + blob(7, incident(4, -42)),
         blob(7, incident(77, 3)) + blob(3, blob(8, b"short"))],
}


# ---- frames --------------------------------------------------------------------------------------

def header(kind, route=None):
    head = num(2, 1795230441000909513) + num(3, kind)
    return head + (blob(6, route) if route else b"")


def standard(head, body):
    total = len(head) + len(body) + 8
    return struct.pack(">III", 0xFADABEDA, total, len(head)) + head + struct.pack(">I", len(body)) + body


def compact(alias, body):
    return struct.pack(">IIIQ", 0xCEBAFE4A, len(body) + 12, alias, 1795230441000909513) + body


def captured():
    with open(CAPTURED, encoding="utf-8") as file:
        return [bytes.fromhex(line.strip()) for line in file if line.startswith("  ")]


def cut(stream, pieces, limit=1):
    return bytes([limit, len(pieces)]) + b"".join(struct.pack(">H", p - 1) for p in pieces) + stream


def frame_seeds():
    frames = captured()
    small = [f for f in frames if len(f) < 200]
    yield from (cut(f, [7]) for f in frames)
    yield cut(b"".join(small), [1])
    yield cut(b"".join(small), [13, 300, 2, 64])
    yield cut(compact(5, b"hello") + compact(5, b"") + small[0], [20, 5])
    yield cut(compact(5, b"x" * 100), [200], limit=7)
    yield cut(standard(header(1, "types.Pose@robot.arm"), b"payload") * 3, [33])
    yield cut(standard(b"", b""), [12, 1])
    yield cut(standard(num(1, 9) + num(4, 1) + blob(5, b"signed") + header(1000, "T@a"), b"m"), [])
    yield cut(struct.pack(">III", 0xFADABEDA, 2**32 - 1, 0), [4])
    yield cut(struct.pack(">III", 0xFADABEDA, 9000, 4000), [8])
    yield cut(b"GET / HTTP/1.1\r\n", [3])


def codec_seeds():
    for kind, bodies in BODIES.items():
        for body in bodies:
            yield bytes([TYPES.index(kind)]) + body
    for frame in captured():
        head = struct.unpack(">I", frame[8:12])[0]
        kind = frame[12 + head - 1] if head < 20 else None  # the type ends a short Header
        if kind in TYPES and len(frame) < 300:
            yield bytes([TYPES.index(kind)]) + frame[16 + head:]
    yield bytes([RECORD]) + record("tcp://h:1/a")


# ---- text ----------------------------------------------------------------------------------------

HASH = "bM0pVbnRwMlhRzGWmRkVWFJ4DVM"

ROUTES = [
    ("types.Pose@robot.arm.pose", "types.Pose@robot/arm/pose", "robot"),
    ("*@robot.*.temp", "types.Temp@robot.a.temp", "robot.a"),
    ("types.Pose@robot.**", "types.Pose@robot", "robot"),
    ("*@**", "a.b.C@x", ""),
    ("T@a.**.c", "T@a.b.b.c", "a.b"),
    ("T@**.a.**.b.*", "T@a.a.b.b.c", "a.a.b"),
    ("*@*", "T@a.b", "b"),
    (f"robot#{HASH}", f"robot#{HASH}", "robot.arm"),
    (f"#{HASH}", f"robot.arm#{HASH}", ""),
    ("T@" + ".".join("a" * 64), "T@" + "/".join("a" * 65), "a" * 1025),
    ("T@a..b", "T@.a", "a."),
    ("T@a*b", "T@***", "*"),
    ("1T@a", "T.@a", "a@b"),
    ("T@\u00e9t\u00e9.\u4f60\u597d", "T@a b", "\u00e9t\u00e9"),
    ("T@a#b", "", "a\tb"),
    ("@a", "T@", "/"),
    ("**@a", "*@a", "a"),
]

URLS = [
    ("tcp://10.0.0.7:7400/robot.arm", "10.0.0.8", "x.y", "tcp://10.0.0.7:7400/other"),
    ("tcp://[fe80::1%eth0]:7400/robot", "::1", "robot/arm", "tcp://[FE80::1%eth0]:7400"),
    ("tcp://Host.Lan:65535/a?k=v&x=", "host.lan", "", "tcp://host.lan:65535"),
    ("unix:///run/weft.sock/robot.arm", "h", "a/b.sock/c", "unix:///run/weft.sock"),
    ("unix:///run/weft/robot", "", "robot", "unix:///run/weft/"),
    ("unix:///run/weft.sock", "", "", ""),
    ("serial:///dev/ttyUSB0/sensors?baud=115200", "0.0.0.0", "s", "serial:///dev/ttyUSB0/"),
    ("inproc://name/path", "x", "/", "inproc://name"),
    ("tcp://0.0.0.0:0/path", "127.1", "p", "tcp://:7400/x"),
    ("tcp://:7400", "::", "p", "tcp://[::]:7400"),
    ("tcp://[::ffff:127.0.0.1]:1/a", "localhost", "", "tcp://127.0.0.1:1"),
    ("tcp://h:07400/x", "h:1", "a b", "TCP://h:1"),
    ("tcp://h:70000/x", "[::1]", "a#b", "tcp://::1:5/x"),
    ("a+b-c.d://x/y?", "x", "y", "abcdefghijklmnop://x"),
    ("tcp://h:1/a?" + "k=v&" * 60, "h" * 250, "p" * 250, "tcp:/h"),
    ("unix:///a.sock.sock//x", "", "..", "unix:////"),
]


def text_seeds(rows):
    for row in rows:
        yield "\0".join(row).encode()


CONFIGS = [
    """self: tcp://0.0.0.0:7400/robot.base
network: lab                     # nodes of another network are refused
advertise: tcp://robot.lan:7400/robot.base
listen: [unix:///run/weft.sock/robot.base]
peers:
  - tcp://10.0.0.2:7400/robot.arm
  - {url: tcp://10.0.0.3:7400/robot.eye, persistent: true, max_backoff: 10s}
addrbook: /var/lib/weft/addrbook
limits: {max_frame: 4MiB, peers: 1024, routes: 1000000, outbox: 16MiB}
""",
    "peers: [unix:///run/weft.sock]\nrole: leaf\npath: a.b\nallow_base: yes\nlinger: 500ms\nlog: debug\n",
    "self: 'tcp://:1/a'\nself: \"tcp://:2/b\"\n",
    "peers:\n  - url: tcp://h:1/a\n    backoff: 1h\n    max_backoff: 1m\n    multiplier: 2.5\n    max_attempts: 3\n",
    "limits: {max_frame: 1, peers: 0, routes: x, outbox: 99999999GiB, other: 1}\n",
    "limits: []\nlisten: {}\npeers: tcp://h:1\nlog: loud\nlinger: -1\nrole: ~\n",
    "? [a, b]\n: c\n&x self: *x\n",
    "&a listen: [&b tcp://h:1/x, *b, *b]\npeers: *a\n",
    "---\nself: tcp://h:1/a\n---\nself: tcp://h:2/b\n",
    "self: |\n  tcp://h:1/a\nnetwork: >-\n  two\n  lines\n",
    "self:\ttcp://h:1/a\n", "network: \"\\x00\\u263a\\n\"\n", "\ufeffnetwork: ''\n", "- a\n- b\n", "[[[[{{", "",
    "linger: 1.5s\nlimits: {outbox: 0.5GiB, routes: 1k, max_frame: 64KiB}\npeers: []\n", "!!str self: !u 7\n",
]


# ---- the address book ----------------------------------------------------------------------------

STEPS = bytes([2, 64, 3, 1, 0, 0, 1, 12, 0, 4, 3, 130, 7, 8, 8, 0, 5, 131, 4, 2, 6, 1, 1, 23, 0, 12, 1, 20])
RECORDS = [
    record("tcp://10.0.0.1:7400/a", origin=1),
    record("tcp://10.0.0.2:7400/b", node_id=bytes(16), last_success=0),
    record("unix:///run/x.sock/e", origin=3),
    blob(1, "tcp://h.lan:1/d"),
]


def book_file(records):
    data = b"WEFTBOOK" + struct.pack(">I", 1) + b"the book's owner"
    for r in records:
        data += struct.pack(">II", len(r), zlib.crc32(r)) + r
    data += b"WEFTEND." + struct.pack(">I", len(records))
    return data + struct.pack(">I", zlib.crc32(data))


def book_seeds():
    def seed(how, place, steps, file):
        return bytes([how, place, len(steps)]) + steps + file
    yield seed(0, 10, STEPS, book_file(RECORDS))
    yield seed(0, 200, b"", book_file([]))
    yield seed(0, 90, STEPS[:10], book_file(RECORDS[:1]))
    yield seed(0, 0, b"", book_file(RECORDS)[:-1])
    yield seed(0, 0, b"", b"WEFTBOOK" + struct.pack(">I", 2) + bytes(40))
    yield seed(0, 77, STEPS, b"")
    listed = b"".join(struct.pack(">H", len(r)) + r for r in RECORDS)
    yield seed(1, 128, STEPS, listed)
    yield seed(1, 5, STEPS * 3, listed * 2)
    yield seed(1, 5, b"", struct.pack(">H", 5000) + bytes(5000))


# ---- Of weft alone ------------------------------------------------------------------------------

def recording_file(records):
    """docs/recording.md"""
    head = b"\x89weftre\n" + struct.pack(">IQ", 1, 1700000000 * 10**9)
    file = head + struct.pack(">I", zlib.crc32(head))
    for body in records:
        size = struct.pack(">I", len(body))
        file += size + struct.pack(">I", zlib.crc32(size + body)) + body
    return file


def recording_seeds():
    def message(at, route, sender, data):
        return struct.pack(">BQQHH", 1, at, at + 7, len(route), len(sender)) + route + sender + data
    gap = struct.pack(">BQQH", 2, 50, 12, 7) + b"*@lab.*"
    end = struct.pack(">BQQQ", 3, 99, 2, 12)
    whole = recording_file([message(5, b"T@lab.a", b"tcp://h:1/lab", b"data"), message(6, b"", b"", b""), gap, end])
    yield b"\x00" + whole
    yield b"\x01" + whole
    yield b"\x00" + whole[:-9]
    yield b"\x01" + recording_file([b"\x07later", gap, message(1, b"T@a\0", b"", b"")])


TYPED_TEXT = (r'f_double: -1.5 f_float: inf f_int32: -7 f_sint64: -9 f_fixed64: 5 f_string: "a\303\244" f_bytes: "\000\377" '
              r'f_color: GREEN f_point { x: 1 } r_int32: [1, -2] r_unpacked: 3 r_point {} r_color: RED r_double: 0.1 '
              r'm_string { key: "a" value: 1 } m_int64 { key: -1 value { x: 3 } } m_bool { key: true } '
              r'm_uint32 { key: 9 value: 77 } c_point {} o_int32: 0 nested { f_bool: true } inner: < deep: "x" > '
              r'old { number: 1 plain: 1 packed: 2 shade: DARK Couple { a: 4 } Many { c: false } [kinds2.more]: "x" }')
TYPED_JSON = ('{"fDouble":-1.5,"fFloat":"NaN","fInt64":"5","f_uint64":1e3,"rPoint":[{},{"y":2}],"mString":{"a":1},'
              '"mBool":{"true":"x"},"fBytes":"AP8=","fColor":"RED","rColor":[1,"GREEN"],"oString":null,'
              '"nested":{"oInt32":0,"cPoint":{}},"old":{"couple":{"a":1},"[kinds2.more]":"x"}}')


def typed_seeds():
    folder = os.path.join(HERE, "..", "cmd")

    def protoc(*args, data=b""):
        return subprocess.run(["protoc", "-I", folder, *args, os.path.join(folder, "kinds.proto")], input=data,
                              stdout=subprocess.PIPE, check=True).stdout
    wire = protoc("--encode=kinds.All", "--deterministic_output", data=TYPED_TEXT.encode())
    yield b"\x00" + wire
    yield b"\x00" + wire[:40] + b"\xd3\x3e\x08\x01\xd4\x3e\xd2\x3e\x02\x08\x01"
    yield b"\x01" + TYPED_TEXT.encode()
    yield b"\x01# a comment\nf_string: 'a' \"b\\u00e4\\x41\" f_uint64: 0xff f_float: 1.5f; f_bool: t"
    yield b"\x02" + TYPED_JSON.encode()
    files = protoc("--include_imports", "--descriptor_set_out=/dev/stdout")
    yield b"\x03" + struct.pack(">H", len(files)) + files + wire


SEEDS = {
    "frame": frame_seeds, "codec": codec_seeds, "book": book_seeds,
    "route": lambda: text_seeds(ROUTES), "url": lambda: text_seeds(URLS),
    "config": lambda: (c.encode() for c in CONFIGS), "session": seeds_session.seeds,
    "recording": recording_seeds, "typed": typed_seeds,
}


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "corpus")
    for target, make in SEEDS.items():
        folder = os.path.join(root, target)
        os.makedirs(folder, exist_ok=True)
        for i, seed in enumerate(make()):
            with open(os.path.join(folder, f"{i:02}"), "wb") as file:
                file.write(seed)
        print(f"{target}: {i + 1} inputs")


if __name__ == "__main__":
    main()
