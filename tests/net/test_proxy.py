"""What a bad way between two nodes does: delay, a narrow pipe, pieces of one byte, stalls, cuts in mid-frame.

a publishes, c listens and reaches it through a proxy alone: the direct way is closed. b is a weftd that both
can reach."""

import world
from proxy import IN, OUT, Proxy


class Proxied(world.Case):
    accounted = False  # what the proxy has acknowledged and thrown away nobody can know of

    def mesh(self, prepare=None, **more):
        self.a, self.b, self.c = self.hosts("a", "b", "c")
        self.rules('iifname "to-a" oifname "to-c" reject', 'iifname "to-c" oifname "to-a" reject')
        self.pub = self.count(self.a, "lab.a", publish="T@lab.a.x", **more)
        self.router = self.weftd(self.b, "lab.b", peers=[self.pub])
        self.proxy = Proxy((self.c.gateway, world.PORT), (self.a.address, world.PORT))
        self.addCleanup(self.proxy.close)
        if prepare:
            prepare(self.proxy)
        started = world.time.monotonic()
        self.sub = self.count(self.c, "lab.c", subscribe="T@lab.a.x",
                              peers=[self.c.url("lab.a", address=self.c.gateway), self.router])
        self.nodes = [self.pub, self.router, self.sub]
        linked = self.whole(self.nodes) - started
        self.formed = {node: node.mark() for node in self.nodes}
        self.sub.wait_news()
        return linked

    def never_down(self):
        """The link through the proxy. (b may change over from one name of a to another, as it hears of them.)"""
        for node, path in ((self.pub, "lab.c"), (self.sub, "lab.a")):
            self.assertEqual(node.proc.count(rf"\bdown \S*/{path}\b", self.formed[node]), 0, node.proc.tail())

    def lost_and_back(self, began):
        """The link between a and c ended and is there again; returns when it was lost and when back."""
        marks = self.marks
        down = max(self.pub.wait_down("lab.c", since=marks[0]), self.sub.wait_down("lab.a", since=marks[1]))
        up = max(self.pub.wait_up("lab.c", since=marks[0]), self.sub.wait_up("lab.a", since=marks[1]),
                 self.sub.wait_news())
        self.figure(detected=down - began)
        return down, up

    def mark(self):
        self.marks = [self.pub.mark(), self.sub.mark()]

    def test_delay_200(self):
        """Each byte takes 200 ms longer in each direction: linked all the same, nothing is missing."""
        linked = self.mesh(lambda proxy: setattr(proxy, "delay", 0.2), rate=500)
        newest = int(self.sub.proc.wait_line(r" got \d+ (\d+)").group(1))
        self.sub.wait_message(newest + 3000)
        self.never_down()
        came = self.complete(self.pub, self.sub)
        self.figure(note=f"whole after {world.seconds(linked)}; {came} messages in order")

    def test_byte_by_byte(self):
        """Every byte arrives in a packet of its own, handshake and messages alike."""
        self.mesh(lambda proxy: setattr(proxy, "piece", 1), rate=50)
        newest = int(self.sub.proc.wait_line(r" got \d+ (\d+)").group(1))
        self.sub.wait_message(newest + 300)
        self.never_down()
        came = self.complete(self.pub, self.sub)
        self.figure(note=f"{self.proxy.forwarded[IN]} bytes, {came} messages in order")

    def test_narrow(self):
        """A pipe of 64 KiB/s for 2 MiB/s of messages: the publisher waits, then drops and counts each."""
        self.mesh(rate=2000, size=1024, block=100, outbox=65536)
        self.proxy.rate = 65536
        deadline = world.time.monotonic() + world.RECOVER
        while self.pub.totals()["timeout"] == 0:
            self.assertLess(world.time.monotonic(), deadline, "nothing was dropped")
            self.sub.wait_news()
        self.never_down()
        self.proxy.rate = 0
        self.pub.last()
        self.sub.wait_many(self.pub.totals()["queued"])
        last, came, totals = self.numbers(self.pub, self.sub)
        self.assertEqual(came, totals["queued"])
        self.assertEqual(totals["refused"], totals["dropped"])
        (numbers,) = self.sub.heard().values()
        self.assertEqual(last + 1 - numbers[0] - len(numbers), totals["dropped"], "each missing one is counted")

    def test_stall_short(self):
        """Nothing passes for 6 s: shorter than the silence that ends a link, and nothing is missing."""
        self.mesh()
        self.proxy.stall()
        world.time.sleep(6)  # the fault itself
        self.proxy.go_on()
        self.sub.wait_news()
        self.never_down()
        self.complete(self.pub, self.sub)

    def test_stall_long(self):
        """Nothing passes until both sides have given up: they link anew, and the stalled bytes harm nobody."""
        self.mesh()
        self.mark()
        began = self.proxy.stall()
        self.pub.wait_down("lab.c", since=self.marks[0])
        self.sub.wait_down("lab.a", since=self.marks[1])
        went_on = self.proxy.go_on()
        _, up = self.lost_and_back(began)
        self.figure(recovered=up - went_on)
        self.whole(self.nodes)
        self.numbers(self.pub, self.sub)

    def cuts(self, kind, after, times=5, least=0, **more):
        """Cut so often in a frame towards c; every time noticed at once, and linked again."""
        self.mesh(**more)
        detected, recovered = [], []
        for _ in range(times):
            self.mark()
            self.proxy.cut_in(kind, after, IN, least)
            began = self.proxy.wait_cut(world.DETECT)
            down, up = self.lost_and_back(began)
            detected.append(down - began)
            recovered.append(up - began)
        self.whole(self.nodes)
        self.numbers(self.pub, self.sub)
        self.figure(detected=max(detected), recovered=max(recovered), note=f"the slowest of {times} cuts")

    def test_cut_compact(self):
        """The connection ends in the middle of a compact frame's head."""
        self.cuts("compact", 13)

    def test_cut_payload(self):
        """The connection ends in the middle of a message of 300 kB: no part of it is delivered."""
        self.cuts("compact", 150000, least=300000, rate=20, size=300000)

    def test_cut_header(self):
        """The first three dials end in the middle of a HANDSHAKE's Header, one way or the other."""
        def prepare(proxy):
            proxy.cut_in("standard", 14, OUT)
            proxy.cut_in("standard", 15, IN)
            proxy.cut_in("standard", 40, IN)
        linked = self.mesh(prepare)
        self.proxy.wait_cut(0)
        self.complete(self.pub, self.sub)
        self.figure(recovered=linked, note="from the start of c, with three dials cut")

    def test_half_close(self):
        """One direction ends, the other goes on: the link is given up by both, and made anew."""
        self.mesh()
        self.mark()
        began = self.proxy.half_close()
        _, up = self.lost_and_back(began)
        self.figure(recovered=up - began)
        self.whole(self.nodes)
        self.numbers(self.pub, self.sub)
