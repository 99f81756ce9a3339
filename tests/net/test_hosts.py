"""What happens to processes and their hosts: killed, stopped, powered off, out of disk, descriptors, addresses."""

import os
import re

import world
from world import harness


class Hosts(world.Case):
    def in_order(self, sub):
        for numbers in sub.heard().values():
            self.assertEqual(sorted(set(numbers)), numbers)
        self.assertEqual(sub.proc.count(" bad "), 0)

    # ---- Killed

    def test_kill_publisher(self):
        """kill -9 of a publisher: its peers notice at once; started again, it is heard again."""
        self.trio()
        marks = [self.router.mark(), self.sub.mark()]
        killed = world.time.monotonic()
        self.pub.proc.kill9()
        noticed = max(self.router.wait_down("lab.a", since=marks[0]), self.sub.wait_down("lab.a", since=marks[1]))
        marks = [self.router.mark(), self.sub.mark()]
        started = self.pub.again()
        back = max(self.router.wait_up("lab.a", since=marks[0]), self.sub.wait_up("lab.a", since=marks[1]),
                   self.sub.wait_news())
        self.whole([self.router, self.sub])
        self.figure(detected=noticed - killed, recovered=back - started)
        self.assertEqual(len(self.sub.heard()), 2)
        self.in_order(self.sub)
        last = self.pub.last()
        self.sub.wait_message(last, since=marks[1])
        numbers = list(self.sub.heard().values())[1]
        self.assertEqual(numbers, list(range(numbers[0], last + 1)))

    def test_kill_router(self):
        """kill -9 of a router with leaves: they and the mesh are back by themselves when it is."""
        a, b, c = self.hosts("a", "b", "c")
        router = self.weftd(a, "lab.a")
        other = self.weftd(b, "lab.b", peers=[router])
        sub = self.count(c, "lab.c", peers=[router, other], subscribe="T@lab.a.x")
        self.whole([router, other, sub])
        pub = self.leaf(router, publish="T@lab.a.x")
        near = self.leaf(router, subscribe="T@lab.a.x")
        sub.wait_news()
        near.wait_news()
        marks = [other.mark(), sub.mark()]
        killed = world.time.monotonic()
        router.proc.kill9()
        noticed = max(other.wait_down("lab.a", since=marks[0]), sub.wait_down("lab.a", since=marks[1]))
        marks = [other.mark(), sub.mark()]
        started = router.again()
        back = max(other.wait_up("lab.a", since=marks[0]), sub.wait_up("lab.a", since=marks[1]),
                   sub.wait_news(), near.wait_news())
        self.figure(detected=noticed - killed, recovered=back - started)
        self.whole([other, sub])
        last = pub.last()
        for each in (sub, near):
            each.wait_message(last)
            self.in_order(each)
        (numbers,) = sub.heard().values()
        self.figure(sent=last, note=f"{last + 1 - numbers[0] - len(numbers)} did not arrive, "
                    f"{pub.totals()['nobody']} of all sent while the router was away")

    def test_kill_all(self):
        """kill -9 of four nodes at once; without any configured peer their books bring them together."""
        hosts = self.hosts("a", "b", "c", "d")
        seed = self.weftd(hosts[0], "lab.a")
        others = [self.weftd(host, f"lab.{host.name}", peers=[seed]) for host in hosts[1:]]
        nodes = [seed] + others
        self.whole(nodes)
        for node in nodes:  # each writes its book as it ends, and has it then
            node.proc.terminate()
        for node in nodes:
            node.start()
        self.whole(nodes)
        for node in nodes:
            node.proc.kill9()
        started = world.time.monotonic()
        nodes = [self.weftd(host, f"lab.{host.name}") for host in hosts]
        self.figure(recovered=self.whole(nodes) - started, note="from the books alone, 6 links")

    def test_power_cut(self):
        """A host vanishes without a word and is back within the silence: its new links displace the old."""
        self.trio()
        marks = [node.mark() for node in self.nodes]
        self.c.down()
        self.sub.proc.kill9()
        before = sum(map(len, self.sub.heard().values()))
        self.c.up()
        started = self.sub.again()
        back = max(self.pub.wait_up("lab.c", since=marks[0]), self.router.wait_up("lab.c", since=marks[1]),
                   self.sub.wait_news())
        self.figure(recovered=back - started)
        self.whole(self.nodes[:2])
        for node in self.nodes[:2]:
            self.one_link(node, self.sub)
        self.accounted = False  # what the killed process had not read yet nobody can know of
        _, came, totals = self.numbers(self.pub, self.sub)
        self.figure(lost=max(0, totals["queued"] - came - before))

    # ---- Stopped

    def stop(self, victim):
        """SIGSTOP until the others gave it up, then SIGCONT; returns when it went on."""
        others = [node for node in self.nodes if node is not victim]
        marks = [node.mark() for node in others]
        began = world.time.monotonic()
        victim.proc.process.send_signal(harness.signal.SIGSTOP)
        noticed = max(node.wait_down(victim.path, since=mark) for node, mark in zip(others, marks))
        self.figure(detected=noticed - began)
        marks = [node.mark() for node in others]
        went_on = world.time.monotonic()
        victim.proc.process.send_signal(harness.signal.SIGCONT)
        back = max(node.wait_up(victim.path, since=mark) for node, mark in zip(others, marks))
        self.figure(recovered=max(back, self.sub.wait_news()) - went_on)
        self.whole(self.nodes)
        return self.numbers(self.pub, self.sub)

    def test_stop_subscriber(self):
        """A subscriber is stopped for longer than 10 s: given up, and back when it goes on, nothing twice."""
        self.trio()
        self.stop(self.sub)

    def test_stop_publisher(self):
        """A publisher is stopped for longer than 10 s: as the subscriber."""
        self.trio()
        self.stop(self.pub)

    # ---- The disk

    def disk(self):
        folder = os.path.join(self.folder, "disk")
        os.mkdir(folder)
        world.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)
        self.addCleanup(world.run, "umount", "-l", folder)
        return folder

    @staticmethod
    def fill(folder):
        """Until not one byte more is taken."""
        with open(os.path.join(folder, "filler"), "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    def dump(self, path):
        return self.run_weft("addrbook", "dump", path, "--tsv")

    def test_disk_full(self):
        """No room for the address book: said, the old one stays whole, the node goes on, and saves again."""
        folder = self.disk()
        a, b, c = self.hosts("a", "b", "c")
        pub = self.count(a, "lab.a", publish="T@lab.a.x")
        router = self.weftd(b, "lab.b", peers=[pub], folder=folder)
        router.wait_up("lab.a")
        router.proc.terminate()
        with open(router.addrbook, "rb") as file:
            before = file.read()
        self.fill(folder)
        router.start()
        sub = self.count(c, "lab.c", peers=[pub, router], subscribe="T@lab.a.x")
        self.whole([pub, router, sub])
        router.proc.terminate()
        router.proc.wait_line("address book .*lab.b.book could not be saved: No space left on device")
        with open(router.addrbook, "rb") as file:
            self.assertEqual(file.read(), before, "the old book")
        self.assertIn("lab.a", self.dump(router.addrbook))
        self.assertEqual(sorted(os.listdir(folder)), ["filler", "lab.b.book"])
        os.remove(os.path.join(folder, "filler"))
        router.start()
        router.wait_up("lab.a", "lab.c")
        router.proc.terminate()
        self.assertIn("lab.c", self.dump(router.addrbook))
        self.complete(pub, sub)

    def test_disk_full_at_first(self):
        """A new node on a full disk: said at once, it serves, and the book is there once there is room."""
        folder = self.disk()
        self.fill(folder)
        a, b = self.hosts("a", "b")
        pub = self.count(a, "lab.a", publish="T@lab.a.x")
        router = self.weftd(b, "lab.b", peers=[pub], folder=folder)
        router.proc.wait_line("could not be saved: No space left on device")
        router.wait_up("lab.a")
        sub = self.leaf(router, subscribe="T@lab.a.x")
        sub.wait_news()
        os.remove(os.path.join(folder, "filler"))
        began = world.time.monotonic()
        deadline = began + 150  # the book is saved every two minutes
        while not os.path.exists(router.addrbook) and world.time.monotonic() < deadline:
            sub.wait_news()
        self.assertIn("lab.a", self.dump(router.addrbook))
        self.figure(recovered=world.time.monotonic() - began, note="until the next save, two minutes apart")
        self.complete(pub, sub)
    test_disk_full_at_first.long = True

    # ---- Descriptors

    def descriptors(self, node, many):
        world.run("prlimit", f"--pid={node.proc.pid}", f"--nofile={many}:{4096}")

    def use_up_descriptors(self, node, sockets):
        """No more than those it has at rest: no lost duplicate's, no file that it writes."""
        folder = f"/proc/{node.proc.pid}/fd"
        lasting = r"socket:|pipe:|anon_inode:|/dev/null|.*\.lock$"
        deadline = world.time.monotonic() + world.RECOVER
        while True:
            try:
                held = {int(name): os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)}
            except FileNotFoundError:  # closed meanwhile
                continue
            if all(re.match(lasting, what) for what in held.values()) and \
                    sum(what.startswith("socket:") for what in held.values()) == sockets:
                break
            self.assertLess(world.time.monotonic(), deadline, f"{node.path} holds {held}")
            world.time.sleep(0.05)
        self.descriptors(node, next(number for number in range(len(held) + 1) if number not in held))

    def test_no_descriptors(self):
        """Not one descriptor is left: no new link, said so; the old ones serve, the new come with the first."""
        self.trio()
        (d,) = self.hosts("d")
        self.use_up_descriptors(self.pub, sockets=3)  # it listens, and has two links
        self.use_up_descriptors(self.router, sockets=4)  # and for leaves
        mark = self.router.mark()
        late = self.count(d, "lab.d", peers=[self.pub, self.router, self.sub],
                          subscribe="T@lab.a.x")
        self.router.proc.wait_line("too many open files", since=mark)
        late.wait_up("lab.c")
        self.sub.wait_news()
        self.assertEqual([late.links("lab.a"), late.links("lab.b")], [0, 0])
        said = self.router.proc.count("too many open files")
        self.descriptors(self.pub, 1024)
        self.descriptors(self.router, 1024)
        freed = world.time.monotonic()
        back = max(late.wait_up("lab.a", "lab.b"), late.wait_news())
        self.figure(recovered=back - freed, note=f"said {said} times meanwhile")
        self.whole(self.nodes + [late])
        self.accounted = False  # the publisher's totals are of two subscribers; each number is looked at
        self.complete(self.pub, self.sub)
        self.figure(lost=0)

    # ---- Addresses

    def test_address_in_use(self):
        """A second router on one address: exit code 1, naming the address and the remedy; the first stays."""
        a, b = self.hosts("a", "b")
        first = self.weftd(a, "lab.a")
        other = self.weftd(b, "lab.b", peers=[first])
        self.whole([first, other])
        second = self.weftd(a, "lab.z", start=False)
        second.proc = self.spawn("weftd lab.z", second.argv)
        second.proc.expect_exit(1)
        said = second.proc.wait_line(f"0.0.0.0:{world.PORT}.*in use.*").group(0)
        self.assertRegex(said, "stop|another|choose", "the remedy")
        self.assertEqual([first.links("lab.b"), other.links("lab.a")], [1, 1])
        self.figure(note=said.strip())

    def test_address_not_ours(self):
        """Listening on an address that the host does not have (yet): exit code 1, naming it."""
        (a,) = self.hosts("a")
        node = self.weftd(a, "lab.a", start=False)
        config = os.path.join(self.folder, "lab.a.yaml")
        with open(config, encoding="utf-8") as file:
            text = file.read()
        with open(config, "w", encoding="utf-8") as file:
            file.write(text.replace("0.0.0.0", "10.77.1.77"))
        node.proc = self.spawn("weftd lab.a", node.argv)
        node.proc.expect_exit(1)
        said = node.proc.wait_line(r"10\.77\.1\.77.*not available.*").group(0)
        a.ip("addr", "add", "10.77.1.77/24", "dev", "eth0")
        node.start()
        self.figure(note=said.strip())
