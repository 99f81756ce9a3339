"""The wire in Python, written from docs/protocol.md and from nothing else, so that tests can speak to a
node without its own code: frames, headers and the messages of section 3.

    encode("HANDSHAKE", me=..., you=..., stage=1)      -> body bytes
    frame("HANDSHAKE", body)                           -> one whole standard frame
    decode("HANDSHAKE", body)                          -> dict, absent scalars 0, "" or b""
    Stream().feed(data)                                -> list of Frame

A Frame has type, name, timestamp, want_result, route, body; a compact one has alias and name
"COMPACT". Malformed input raises WireError.
"""

import socket
import struct
import time

MAGIC = 0xFADABEDA
MAGIC_COMPACT = 0xCEBAFE4A

TYPES = {
    "MESSAGE": 1, "INTENT": 2, "INTENTS": 3, "INTEREST": 4, "INTERESTS": 5, "NOTIFY_INTENT": 6,
    "RESULT": 7, "PING": 8, "PONG": 9, "HANDSHAKE": 50, "PEERS": 51, "ADDRBOOK": 52,
    "GOODBYE": 60, "DIGEST": 61, "QUERY": 62, "ANSWER": 63,
}
NAMES = {number: name for name, number in TYPES.items()}

INITIAL, FINAL, UPDATE = 1, 2, 3
PEER, CLIENT, LEAF = 0, 1, 2
(OK, FAILURE, MALFORMED, SELF, DUPLICATE, NETWORK, VERSION, DENIED, LIMIT, NO_ROUTE, SCHEMA, TIMEOUT,
 SHUTDOWN, NOT_SUPPORTED, NOT_FOUND, INVALID, TIMED_OUT, BUSY, IO) = range(19)
COMPACT, PATTERNS, ACK, DIGEST, GOODBYE, BOOK, INFO = (1 << bit for bit in range(7))

# Message: {field number: (name, kind)}; a kind in a list is repeated, a dict is a message.
DECL = {1: ("route", "string"), 2: ("hops", "uint"), 3: ("ttl", "uint"), 4: ("register", "bool"),
        16: ("alias", "uint"), 17: ("schema", "fixed64"), 18: ("origin", "string")}
ENTRY = {1: ("peer", "string"), 2: ("max_attempts", "uint"), 3: ("default_backoff", "uint"),
         4: ("max_backoff", "uint"), 5: ("backoff_multiplier", "float"), 6: ("attempts", "uint"),
         7: ("failed_attempts", "uint"), 8: ("last_success", "uint"), 9: ("backoff", "uint"),
         10: ("persistent", "bool"), 16: ("node_id", "bytes"), 17: ("source", "string"),
         18: ("origin", "uint"), 19: ("last_error", "string"), 20: ("banned_until", "uint"),
         21: ("added", "uint"), 22: ("linked", "bool"), 23: ("dialing", "bool"),
         24: ("next_dial", "uint"), 25: ("in_config", "bool")}
STATS = {number: (name, "uint") for number, name in enumerate(
    "uptime peers intents interests remote_intents remote_interests messages_in messages_out bytes_in bytes_out "
    "delivered relayed dropped dials dials_failed refused outbox_bytes".split(), 1)}
STATS[13] = ("dropped", ["uint"])
STATUS = {1: ("url", "string"), 2: ("path", "string"), 3: ("agent", "string"), 4: ("version", "string"),
          5: ("network", "string"), 6: ("listen", "string"), 7: ("addrbook", "string"),
          8: ("node_id", "bytes"), 9: ("role", "uint"), 10: ("log_level", "uint"), 11: ("pid", "uint"),
          12: ("now", "uint"), 13: ("started", "uint"), 14: ("max_frame", "uint"),
          15: ("max_peers", "uint"), 16: ("max_routes", "uint"), 17: ("outbox", "uint"),
          18: ("stats", STATS)}
PEER_STATUS = {1: ("url", "string"), 2: ("path", "string"), 3: ("agent", "string"), 4: ("state", "string"),
               5: ("node_id", "bytes"), 6: ("role", "uint"), 7: ("inbound", "bool"),
               8: ("base_peer", "bool"), 9: ("features", "uint"), 10: ("uptime", "uint"), 11: ("rtt", "uint"),
               12: ("jitter", "uint"), 13: ("messages_in", "uint"), 14: ("messages_out", "uint"),
               15: ("bytes_in", "uint"), 16: ("bytes_out", "uint"), 17: ("outbox_bytes", "uint"),
               18: ("dropped", ["uint"]), 19: ("last_error", "string"), 20: ("next_dial", "uint"),
               21: ("failed_attempts", "uint"), 22: ("persistent", "bool")}
ROUTE_STATUS = {1: ("route", "string"), 2: ("peer", "string"), 3: ("intent", "bool"), 4: ("hops", "uint"),
                5: ("matches", "uint"), 6: ("messages", "uint"), 7: ("dropped", ["uint"]),
                8: ("via", "string"), 9: ("schema", "fixed64")}
INCIDENT = {1: ("time", "uint"), 2: ("count", "uint"), 3: ("type", "uint"), 4: ("error", "sint"),
            5: ("peer", "string"), 6: ("route", "string"), 7: ("text", "string")}
HEADER = {1: ("receive_timestamp", "uint"), 2: ("timestamp", "uint"), 3: ("type", "uint"),
          4: ("want_result", "bool"), 5: ("signature", "bytes"), 6: ("route", "string")}
BODIES = {
    "INTENT": DECL, "INTEREST": DECL,
    "INTENTS": {1: ("intents", [DECL])}, "INTERESTS": {1: ("interests", [DECL])},
    "NOTIFY_INTENT": {1: ("route", "string")},
    "RESULT": {1: ("nonce", "uint"), 2: ("error", "uint"), 3: ("description", "string"), 16: ("route", "string"),
               17: ("intent", "bool")},
    "PING": {3: ("payload", "bytes")},
    "PONG": {1: ("receive_timestamp", "uint"), 3: ("ping_timestamp", "uint"), 4: ("payload", "bytes")},
    "HANDSHAKE": {1: ("me", "string"), 2: ("you", "string"), 3: ("stage", "uint"),
                  4: ("intents", [DECL]), 5: ("interests", [DECL]), 6: ("public_key", "bytes"),
                  16: ("version", "uint"), 17: ("node_id", "bytes"), 18: ("incarnation", "uint"),
                  19: ("network", "string"), 20: ("features", "uint"), 21: ("max_frame", "uint"),
                  22: ("agent", "string"), 23: ("role", "uint")},
    "PEERS": {1: ("ids", ["string"]), 2: ("remove", "bool")},
    "ADDRBOOK": {1: ("entries", [ENTRY])},
    "GOODBYE": {1: ("reason", "uint"), 2: ("description", "string")},
    "DIGEST": {1: ("intents", "uint"), 2: ("intents_hash", "fixed64"), 3: ("interests", "uint"),
               4: ("interests_hash", "fixed64"), 5: ("resync", "bool")},
    "QUERY": {1: ("parts", "uint"), 2: ("route", "string"), 3: ("command", "string"),
              4: ("arguments", ["string"])},
    "ANSWER": {1: ("nonce", "uint"), 2: ("more", "bool"), 3: ("status", STATUS), 4: ("peers", [PEER_STATUS]),
               5: ("routes", [ROUTE_STATUS]), 6: ("entries", [ENTRY]), 7: ("incidents", [INCIDENT]),
               8: ("text", "string")},
}
WIRE_TYPE = {"uint": 0, "sint": 0, "bool": 0, "fixed64": 1, "string": 2, "bytes": 2, "float": 5}
EMPTY = {"uint": 0, "sint": 0, "bool": False, "fixed64": 0, "string": "", "bytes": b"", "float": 0.0}


class WireError(Exception):
    """What came is not what the protocol allows."""


def now_ns():
    return time.time_ns()


# ---- protobuf --------------------------------------------------------------------------------

def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise WireError("varint ends early or is too long")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7


def pack_field(number, kind, value):
    if isinstance(kind, dict):
        body = pack(kind, value)
        return varint(number << 3 | 2) + varint(len(body)) + body
    tag = varint(number << 3 | WIRE_TYPE[kind])
    if kind in ("uint", "bool"):
        return tag + varint(int(value))
    if kind == "sint":
        return tag + varint(value << 1 if value >= 0 else -2 * value - 1)
    if kind == "fixed64":
        return tag + struct.pack("<Q", value)
    if kind == "float":
        return tag + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return tag + varint(len(data)) + data


def pack(schema, values):
    """Fields in order of number; scalars that are zero or empty are left out, as proto3 has it."""
    unknown = set(values) - {name for name, _ in schema.values()}
    if unknown:
        raise KeyError(f"no such field: {', '.join(sorted(unknown))}")
    out = bytearray()
    for number, (name, kind) in sorted(schema.items()):
        value = values.get(name)
        if isinstance(kind, list):
            for item in value or ():
                out += pack_field(number, kind[0], item)
        elif value:
            out += pack_field(number, kind, value)
    return bytes(out)


def empty(schema):
    """A message that is absent is None."""
    return {name: [] if isinstance(kind, list) else None if isinstance(kind, dict) else EMPTY[kind]
            for name, kind in schema.values()}


def read_raw(data, at, wire_type):
    if wire_type == 0:
        return read_varint(data, at)
    size = 8 if wire_type == 1 else 4
    if wire_type == 2:
        size, at = read_varint(data, at)
    elif wire_type not in (1, 5):
        raise WireError(f"wire type {wire_type}")
    if at + size > len(data):
        raise WireError("field runs past its message")
    return data[at:at + size], at + size


def unpack_value(kind, raw):
    if isinstance(kind, dict):
        return unpack(kind, raw)
    if kind == "bool":
        return raw != 0
    if kind == "sint":
        return -(raw + 1 >> 1) if raw & 1 else raw >> 1
    if kind == "fixed64":
        return struct.unpack("<Q", raw)[0]
    if kind == "float":
        return struct.unpack("<f", raw)[0]
    if kind == "string":
        return raw.decode(errors="replace")
    return raw


def unpack_packed(data):
    values, at = [], 0
    while at < len(data):
        value, at = read_varint(data, at)
        values.append(value)
    return values


def unpack(schema, data):
    values, at = empty(schema), 0
    while at < len(data):
        tag, at = read_varint(data, at)
        raw, at = read_raw(data, at, tag & 7)
        if tag >> 3 not in schema:
            continue
        name, kind = schema[tag >> 3]
        item = kind[0] if isinstance(kind, list) else kind
        if kind == ["uint"] and tag & 7 == 2:
            values[name] += unpack_packed(raw)
            continue
        if tag & 7 != (2 if isinstance(item, dict) else WIRE_TYPE[item]):
            raise WireError(f"field {name} has wire type {tag & 7}")
        if isinstance(kind, list):
            values[name].append(unpack_value(item, raw))
        else:
            values[name] = unpack_value(item, raw)
    return values


def encode(name, **values):
    return pack(BODIES[name], values)


def decode(name, body):
    return unpack(BODIES[name], body)


# ---- frames ----------------------------------------------------------------------------------

def raw_frame(header, body):
    return (struct.pack(">III", MAGIC, len(header) + len(body) + 8, len(header)) + header +
            struct.pack(">I", len(body)) + body)


def frame(kind, body=b"", route="", timestamp=None, want_result=False):
    """One standard frame. `kind` is a name of TYPES or a number."""
    header = pack(HEADER, {"timestamp": now_ns() if timestamp is None else timestamp,
                           "type": TYPES.get(kind, kind), "want_result": want_result, "route": route})
    return raw_frame(header, body)


def message(kind, route="", want_result=False, **values):
    """encode() and frame() in one; INTENT and INTEREST carry their route in the header too."""
    if kind in ("INTENT", "INTEREST"):
        route = values["route"] = values.get("route", route)
    return frame(kind, encode(kind, **values), route, want_result=want_result)


def compact(alias, body, timestamp=None):
    return struct.pack(">IIIQ", MAGIC_COMPACT, len(body) + 12, alias,
                       now_ns() if timestamp is None else timestamp) + body


class Frame:
    def __init__(self, kind, body, timestamp=0, route="", want_result=False, alias=None):
        self.type, self.body, self.timestamp = kind, body, timestamp
        self.route, self.want_result, self.alias = route, want_result, alias

    @property
    def name(self):
        return "COMPACT" if self.alias is not None else NAMES.get(self.type, str(self.type))

    def decode(self):
        return decode(self.name, self.body)

    def __repr__(self):
        shown = self.decode() if self.name in BODIES else f"{len(self.body)} bytes"
        return f"<{self.name} {self.route} {shown}>"


def parse(data):
    """One whole frame (exactly) to a Frame."""
    magic, total = struct.unpack_from(">II", data)
    if len(data) != total + 8:
        raise WireError("not one whole frame")
    if magic == MAGIC_COMPACT:
        if total < 12:
            raise WireError(f"compact total {total}")
        alias, timestamp = struct.unpack_from(">IQ", data, 8)
        return Frame(TYPES["MESSAGE"], data[20:], timestamp, alias=alias)
    if magic != MAGIC:
        raise WireError(f"magic {magic:#x}")
    size = struct.unpack_from(">I", data, 8)[0] if total >= 8 else total
    if size + 8 > total:
        raise WireError(f"header of {size} in a frame of {total}")
    header = unpack(HEADER, data[12:12 + size])
    if struct.unpack_from(">I", data, 12 + size)[0] != total - size - 8:
        raise WireError("lengths do not add up")
    return Frame(header["type"], data[16 + size:], header["timestamp"], header["route"],
                 header["want_result"])


class Stream:
    """Finds frames in bytes as they come, in whatever pieces."""

    def __init__(self):
        self.pending = bytearray()

    def feed(self, data):
        self.pending += data
        frames, at = [], 0
        while len(self.pending) - at >= 8:
            magic, total = struct.unpack_from(">II", self.pending, at)
            if magic not in (MAGIC, MAGIC_COMPACT):
                raise WireError(f"magic {magic:#x}")
            if len(self.pending) - at < total + 8:
                break
            frames.append(parse(bytes(self.pending[at:at + total + 8])))
            at += total + 8
        del self.pending[:at]
        return frames


class Connection:
    """A socket that speaks frames. receive() raises TimeoutError at the deadline and EOFError when
    the other side has closed."""

    def __init__(self, sock):
        self.sock, self.stream, self.frames = sock, Stream(), []

    @classmethod
    def dial(cls, address, timeout=5):
        """`address` is (host, port) or the path of a unix socket."""
        if isinstance(address, str):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(timeout)
            sock.connect(address)
        else:
            sock = socket.create_connection(address, timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(sock)

    def send(self, data):
        self.sock.settimeout(10)
        self.sock.sendall(data)

    def receive(self, timeout=5):
        deadline = time.monotonic() + timeout
        while not self.frames:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no frame came")
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionError as err:
                raise EOFError(str(err)) from err
            if not data:
                raise EOFError("closed by the other side")
            self.frames += self.stream.feed(data)
        return self.frames.pop(0)

    def expect(self, *names, timeout=5, answer_pings=True):
        """The next frame of one of these names; others are passed over."""
        deadline = time.monotonic() + timeout
        while True:
            got = self.receive(deadline - time.monotonic())
            if got.name == "PING" and answer_pings:
                self.send(message("PONG", receive_timestamp=now_ns(), ping_timestamp=got.timestamp,
                                  payload=got.decode()["payload"]))
            if got.name in names:
                return got

    def close(self):
        self.sock.close()


def self_test(path):
    """Every captured frame of a file decodes and encodes to the same bytes; returns how many."""
    count = 0
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("  "):
                continue
            data = bytes.fromhex(line.strip())
            got = parse(data)
            body = got.body if got.name == "MESSAGE" else encode(got.name, **got.decode())
            if frame(got.type, body, got.route, got.timestamp, got.want_result) != data:
                raise WireError(f"{got!r} does not encode to itself")
            count += 1
    return count
