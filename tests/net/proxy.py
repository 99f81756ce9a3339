"""A connection's bad day: forwards TCP from one address to another, late, slowly, in pieces, or not to its end.

    with Proxy((gateway, 7400), (host, 7400)) as proxy:
        proxy.delay = 0.2            each byte comes so much later, in both directions
        proxy.piece = 1              so many bytes a write, each sent by itself
        proxy.rate = 65536           bytes a second, in each direction
        proxy.stall() / .go_on()     nothing is forwarded in between; the buffers fill
        proxy.cut_in("compact", 10)  the next such frame towards the dialler: 10 bytes of it, then the end
        proxy.half_close()           the dialler sees the end of what comes to it; its own bytes still pass

Two threads a connection and direction: one reads, one writes when it is time. What lies in between is
bounded in time by `delay`, and by BUFFER bytes otherwise, so that a slow writer is felt by who sends."""

import collections
import socket
import struct
import threading
import time

BUFFER = 256 * 1024
MAGIC, COMPACT = 0xFADABEDA, 0xCEBAFE4A
IN, OUT = "in", "out"  # towards the dialler, and away from it


class Cutter:
    """Finds the frames of one direction, and says after how many bytes of a piece it is over."""

    def __init__(self, proxy, way):
        self.proxy, self.way = proxy, way
        self.head, self.left, self.wanted = b"", 0, None

    def allowed(self, data):
        """How many bytes of `data` may pass, and whether the connection ends there."""
        at = 0
        while at < len(data):
            if self.left == 0 and not self._head_ends_in(data[at:at + 8 - len(self.head)]):
                return len(data), False
            if self.left == 0:
                at += 8 - len(self.head)
                self.head += data[at - (8 - len(self.head)):at]
                self._new_frame()
            step = min(self.left, len(data) - at)
            if self.wanted is not None:
                if step >= self.wanted:
                    return at + self.wanted, True
                self.wanted -= step
            at, self.left = at + step, self.left - step
            if self.left == 0:
                self.head = b""
        return len(data), False

    def _head_ends_in(self, data):
        if len(self.head) + len(data) == 8:
            return True
        self.head += data
        return False

    def _new_frame(self):
        magic, total = struct.unpack(">II", self.head)
        assert magic in (MAGIC, COMPACT), f"no frame begins with {self.head!r}"
        self.left = total
        kind = "compact" if magic == COMPACT else "standard"
        self.wanted = self.proxy.cut_now(self.way, kind, total + 8)
        if self.wanted is not None:
            self.wanted = max(0, self.wanted - 8)


class Pipe:
    """One direction of one connection."""

    def __init__(self, link, way, source, sink):
        self.link, self.way, self.source, self.sink = link, way, source, sink
        self.proxy = link.proxy
        self.cutter = Cutter(self.proxy, way)
        self.queue, self.size, self.changed = collections.deque(), 0, threading.Condition()
        for job in (self._read, self._write):
            threading.Thread(target=job, daemon=True).start()

    def _read(self):
        while True:
            self.proxy.going.wait()
            with self.changed:
                self.changed.wait_for(lambda: self.size < BUFFER or self.link.over or self.proxy.delay)
            try:
                data = self.source.recv(65536)
            except OSError:
                data = b""
            with self.changed:
                self.queue.append((time.monotonic() + self.proxy.delay, data))
                self.size += len(data)
                self.changed.notify_all()
            if not data:
                return

    def _write(self):
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.queue or self.link.over)
                if self.link.over:
                    return
                due, data = self.queue.popleft()
            self.link.ended.wait(max(0, due - time.monotonic()))
            self.proxy.going.wait()
            try:
                if not data:
                    self.sink.shutdown(socket.SHUT_WR)
                    return
                many, over = self.cutter.allowed(data)
                self._send(data[:many])
            except OSError:
                over = True
            if over:
                self.link.end()
                return
            with self.changed:
                self.size -= len(data)
                self.changed.notify_all()

    def _send(self, data):
        piece = self.proxy.piece or len(data)
        if self.proxy.rate:
            piece = min(piece, max(1, self.proxy.rate // 20))
        for at in range(0, len(data), piece):
            self.sink.sendall(data[at:at + piece])
            if self.proxy.rate:
                self.link.ended.wait(piece / self.proxy.rate)
            with self.proxy.lock:
                self.proxy.forwarded[self.way] += len(data[at:at + piece])


class Link:
    def __init__(self, proxy, dialler, target):
        self.proxy, self.sockets = proxy, (dialler, target)
        self.ended, self.over = threading.Event(), False
        self.dialler = dialler
        for each in self.sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pipes = [Pipe(self, OUT, dialler, target), Pipe(self, IN, target, dialler)]

    def end(self):
        """Both sides see the connection end, reset where bytes were under way."""
        self.over = True
        self.ended.set()
        for each in self.sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()
        for pipe in self.pipes:
            with pipe.changed:
                pipe.changed.notify_all()


class Proxy:
    def __init__(self, address, target):
        self.target, self.links, self.lock = target, [], threading.Lock()
        self.delay, self.piece, self.rate = 0, 0, 0
        self.forwarded = {IN: 0, OUT: 0}
        self.cuts, self.cut_done = collections.deque(), threading.Condition()
        self.going = threading.Event()
        self.going.set()
        self.listener = socket.create_server(address)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                dialler, _ = self.listener.accept()
            except OSError:
                return
            try:
                target = socket.create_connection(self.target, timeout=3)
                target.settimeout(None)
            except OSError:
                dialler.close()
                continue
            with self.lock:
                self.links.append(Link(self, dialler, target))

    # ---- Faults

    def stall(self):
        self.going.clear()
        return time.monotonic()

    def go_on(self):
        self.going.set()
        return time.monotonic()

    def cut_in(self, kind, after, way=IN, least=0):
        """The next frame of this kind, of `least` bytes, is cut after so many of its bytes."""
        with self.cut_done:
            self.cuts.append((way, kind, after, least))

    def cut_now(self, way, kind, size):
        with self.cut_done:
            for cut in self.cuts:
                if cut[:2] == (way, kind) and size >= max(cut[3], cut[2] + 1):
                    self.cuts.remove(cut)
                    self.cut_done.notify_all()
                    return cut[2]
        return None

    def wait_cut(self, timeout):
        """Until no cut is left to be made; returns when."""
        with self.cut_done:
            assert self.cut_done.wait_for(lambda: not self.cuts, timeout), f"not cut within {timeout} s"
        return time.monotonic()

    def half_close(self):
        with self.lock:
            for link in self.links:
                if not link.over:
                    link.dialler.shutdown(socket.SHUT_WR)
        return time.monotonic()

    # ---- The end

    def close(self):
        self.going.set()
        self.listener.close()
        with self.lock:
            for link in self.links:
                if not link.over:
                    link.end()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()
