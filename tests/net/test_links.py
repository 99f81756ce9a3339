"""What a network does to links: silence, refusal, partition, one way, loss, flapping, interfaces, addresses.

The mesh of most tests: a publishes 100 messages a second, b is a weftd that looks on, c listens."""

import unittest

import world

TRIES_EACH_SECOND = world.tcp_tries_each_second(), "before Linux 6.15 TCP pauses for longer than a link lives"


class Links(world.Case):
    def never_down(self, formed):
        """No link of c has ended since, but for those that made way for another, as where dials crossed."""
        for node in self.nodes:
            self.assertEqual(node.proc.count(world.GONE, formed[node]), 0, node.proc.tail())

    def marks(self):
        return {node: node.mark() for node in self.nodes}

    def c_lost(self, began, marks):
        """Noticed on both sides of each link of c. Returns when the last did."""
        moments = [node.wait_down("lab.c", since=marks[node]) for node in (self.pub, self.router)]
        moments.append(self.sub.wait_down("lab.a", "lab.b", since=marks[self.sub]))
        self.figure(detected=max(moments) - began)
        return moments

    def c_back(self, healed, marks):
        moments = [node.wait_up("lab.c", since=marks[node]) for node in (self.pub, self.router)]
        moments.append(self.sub.wait_up("lab.a", "lab.b", since=marks[self.sub]))
        moments.append(self.sub.wait_news())
        self.figure(recovered=max(moments) - healed)
        self.whole(self.nodes)
        return self.numbers(self.pub, self.sub)

    def c_and_back(self, fault):
        self.trio()
        marks = self.marks()
        began = fault()
        self.c_lost(began, marks)
        marks = self.marks()
        return self.c_back(self.heal(), marks)

    def test_drop(self):
        """Packets to and from one host vanish: 10 s of silence end its links on both sides."""
        self.c_and_back(lambda: self.cut(self.c))
        self.assertEqual(self.router.links("lab.a"), 1)

    def test_reject_reset(self):
        """Connections are reset by a firewall: noticed with the next packet."""
        def fault():
            return self.rules(*(f"{rule} reject with tcp reset" for rule in (
                'iifname "to-c" meta l4proto tcp', 'oifname "to-c" meta l4proto tcp')))
        self.c_and_back(fault)

    def test_reject_icmp(self):
        """A firewall answers 'prohibited': TCP hopes on, silence tells; dials fail at once with the reason."""
        self.trio()
        marks = self.marks()
        self.c_lost(self.cut(self.c, how="reject with icmp type admin-prohibited"), marks)
        told = self.sub.proc.wait_line(r" failed \S*/lab\.\w+: (.*)", since=marks[self.sub]).group(1)
        self.figure(note=f"a dial says: {told}")
        marks = self.marks()
        self.c_back(self.heal(), marks)

    def test_one_way_out(self):
        """What one host sends vanishes, what is sent to it arrives: still both sides let go."""
        self.c_and_back(lambda: self.rules('iifname "to-c" counter drop'))

    def test_one_way_in(self):
        """What is sent to one host vanishes, what it sends arrives: still both sides let go."""
        self.c_and_back(lambda: self.rules('oifname "to-c" counter drop'))

    def test_partition(self):
        """Two halves: each goes on by itself without a gap, and they are one mesh again afterwards."""
        a, b, c, d = self.hosts("a", "b", "c", "d")
        pub = self.count(a, "lab.a", publish="T@lab.a.x")
        near = self.count(b, "lab.b", peers=[pub], subscribe="T@lab.a.x")
        far = self.count(c, "lab.c", peers=[pub, near], subscribe="T@lab.a.x")
        other = self.weftd(d, "lab.d", peers=[far])
        nodes = [pub, near, far, other]
        self.whole(nodes)
        near.wait_news()
        far.wait_news()
        marks = [node.mark() for node in nodes]
        began = self.rules(*(f'iifname "to-{x}" oifname "to-{y}" drop' for x, y in
                             "ac ad bc bd ca cb da db".split()))
        moments = [node.wait_down(*paths, since=mark) for node, mark, paths in zip(
            nodes, marks, (["lab.c", "lab.d"], ["lab.c", "lab.d"], ["lab.a", "lab.b"], ["lab.a", "lab.b"]))]
        self.figure(detected=max(moments) - began)
        for one, two in ((pub, near), (near, pub), (far, other), (other, far)):
            self.assertEqual(one.links(two.path), 1)
        marks = [node.mark() for node in nodes]
        healed = self.heal()
        moments = [node.wait_up(*paths, since=mark) for node, mark, paths in zip(
            nodes, marks, (["lab.c", "lab.d"], ["lab.c", "lab.d"], ["lab.a", "lab.b"], ["lab.a", "lab.b"]))]
        moments.append(far.wait_news())
        self.figure(recovered=max(moments) - healed)
        self.whole(nodes)
        last = pub.last()
        near.wait_message(last)
        far.wait_message(last)
        (numbers,) = near.heard().values()
        self.assertEqual(numbers, list(range(numbers[0], last + 1)), "the half that was not cut off lost some")
        (numbers,) = far.heard().values()
        self.assertEqual(sorted(set(numbers)), numbers)
        missing = last + 1 - numbers[0] - len(numbers)
        self.figure(sent=last, note=f"the near half missed none, the far half {missing}")

    def lossy(self, percent):
        self.trio(rate=1000, size=256)
        formed = self.marks()
        self.rules(f"numgen random mod 100 < {percent} counter drop")
        newest = self.sub.proc.wait_line(r" got \d+ (\d+)", since=self.sub.mark()).group(1)
        self.sub.wait_message(int(newest) + 8000)
        dropped = int(world.re.search(r"packets (\d+)", world.run("nft", "list", "ruleset")).group(1))
        self.assertGreater(dropped, 0)
        self.heal()
        self.never_down(formed)
        came = self.complete(self.pub, self.sub)
        self.figure(note=f"{dropped} packets lost, {came} messages in order, no link lost")

    def test_loss_5(self):
        """5 % of packets are lost: TCP mends it, no message is missing, no link ends."""
        self.lossy(5)

    @unittest.skipUnless(*TRIES_EACH_SECOND)
    def test_loss_20(self):
        """20 % of packets are lost: as with 5 %, slower."""
        self.lossy(20)

    def test_flapping(self):
        """A link that is dead for a second and lives for a second, ten times: shorter than the silence
        that ends it, so it stays and nothing is missing."""
        self.trio()
        formed = self.marks()
        for _ in range(10):
            self.cut(self.c)
            world.time.sleep(1)  # the fault itself: how long the network is away
            self.heal()
            world.time.sleep(1)  # and how long it is there
        self.never_down(formed)
        self.complete(self.pub, self.sub)

    @unittest.skipUnless(*TRIES_EACH_SECOND)
    def test_outage(self):
        """Eight seconds without a packet: less than the silence that ends a link, and TCP, whose pauses
        would have grown past it, tries again within a second of the end."""
        self.trio()
        formed = self.marks()
        self.cut(self.c)
        world.time.sleep(8)  # the fault itself
        self.heal()
        self.sub.wait_message(self.pub.last())
        self.never_down(formed)
        self.complete(self.pub, self.sub)

    def test_flapping_reset(self):
        """A firewall that resets all connections again and again: after each, one link a pair, and dials
        within the budget."""
        self.trio()
        for _ in range(6):
            marks = self.marks()
            self.rules('iifname "to-c" meta l4proto tcp reject with tcp reset',
                       'oifname "to-c" meta l4proto tcp reject with tcp reset')
            self.c_lost(world.time.monotonic(), marks)
            marks = self.marks()
            healed = self.heal()
            moments = [node.wait_up("lab.c", since=marks[node]) for node in (self.pub, self.router)]
            self.figure(recovered=max(moments) - healed)
        self.whole(self.nodes)
        dials = self.sub.totals()["dials"]
        self.figure(note=f"6 times; c dialled {dials} times")
        self.assertLessEqual(dials, 50, "two to form, and a few for each of two peers each time")
        self.numbers(self.pub, self.sub)

    def test_interface_down(self):
        """The interface of one host goes down and comes up later, with its route."""
        def fault():
            self.c.down()
            return world.time.monotonic()
        self.trio()
        marks = self.marks()
        self.c_lost(fault(), marks)
        marks = self.marks()
        self.c.up()
        self.c_back(world.time.monotonic(), marks)

    def test_interface_blinks(self):
        """Down and up within the silence that ends a link: the same links go on, nothing is missing."""
        self.trio()
        formed = self.marks()
        self.c.down()
        world.time.sleep(2)  # the fault itself: how long the network is away
        self.c.up()
        self.sub.wait_news()
        self.never_down(formed)
        self.complete(self.pub, self.sub)

    def test_address_changed(self):
        """Two hosts get other addresses: they dial from there, are known so, and find each other."""
        self.trio()
        (d,) = self.hosts("d")
        other = self.weftd(d, "lab.d", peers=[self.pub, self.router])
        self.nodes.append(other)
        self.whole(self.nodes)
        marks = self.marks()
        began = world.time.monotonic()
        for host in (self.c, d):
            host.take(9)
            host.up()
        moments = []
        for node in self.nodes:
            moved = [path for path in ("lab.c", "lab.d") if path != node.path]
            moments.append(node.wait_down(*moved, since=marks[node]))
        self.figure(detected=max(moments) - began)
        moments = [self.sub.wait_news()]
        for node in self.nodes:
            moved = [(path, number) for path, number in (("lab.c", 3), ("lab.d", 4)) if path != node.path]
            for path, number in moved:
                moments.append(node.moment(rf"\bup:? tcp://10\.77\.{number}\.9:7400/{path}\b", marks[node],
                                           world.RECOVER))
        self.figure(recovered=max(moments) - began)
        self.whole(self.nodes)
        self.numbers(self.pub, self.sub)
