"""Routers and leaves across a mesh: messages in both directions, and all of it back after a restart."""

import subprocess
import time
import uuid

import harness

PATHS = ("lab.a", "lab.b", "lab.c")
BACK_DEADLINE = 10  # seconds; the promise is 2, and the time taken is printed


class MeshCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.a = self.router("lab.a")
        self.b = self.router("lab.b", peers=[self.a.url])
        self.c = self.router("lab.c", peers=[self.a.url])
        for router in (self.a, self.b, self.c):
            for path in PATHS:
                if path != router.path:
                    router.wait_peer(path)

    def publisher(self, route, router):
        """A `weft pub` that sends each line it is given."""
        return self.weft("pub", route, "-", "-P", router.sock, stdin=subprocess.PIPE)

    def subscriber(self, route, router, *args):
        return self.weft("sub", route, "-P", router.sock, *args)

    def say(self, pub, *subs, timeout=harness.PATIENCE):
        """A word into the publisher comes out at every subscriber."""
        word = uuid.uuid4().hex
        pub.process.stdin.write(word + "\n")
        pub.process.stdin.flush()
        for sub in subs:
            sub.wait_line(word, timeout)

    def meet(self, pub, *subs, deadline=harness.PATIENCE):
        """Until the first word has come through to each: what is said before goes to nobody."""
        end = time.monotonic() + deadline
        for sub in subs:
            while True:
                try:
                    self.say(pub, sub, timeout=0.1)
                    break
                except AssertionError:
                    if time.monotonic() > end:
                        raise

    def hang_up(self, *pubs):
        for pub in pubs:
            pub.process.stdin.close()
            pub.expect_exit(0)


class Mesh(MeshCase):
    def test_forms_from_one_seed(self):
        for router in (self.a, self.b, self.c):
            self.assertEqual(router.proc.count("peer up"), 2, router.proc.tail())
            self.assertEqual(router.proc.count("peer down"), 0, router.proc.tail())

    def test_across_both_ways(self):
        sub_b, sub_c = (self.subscriber("T@lab.a.x", router) for router in (self.b, self.c))
        back = self.subscriber("T@lab.b.y", self.a)
        pub_a, pub_b = self.publisher("T@lab.a.x", self.a), self.publisher("T@lab.b.y", self.b)
        self.meet(pub_a, sub_b, sub_c)
        self.meet(pub_b, back)
        for _ in range(10):
            self.say(pub_a, sub_b, sub_c)
            self.say(pub_b, back)
        self.hang_up(pub_a, pub_b)

    def test_leaf_to_leaf_of_one_router(self):
        sub = self.subscriber("T@lab.a.x", self.a)
        pub = self.publisher("T@lab.a.x", self.a)
        self.say(pub, sub)
        self.hang_up(pub)

    def test_pattern_across(self):
        sub = self.subscriber("*@lab.*.temp", self.c)
        pubs = [self.publisher("T@lab.a.temp", self.a), self.publisher("U@lab.b.temp", self.b)]
        for pub in pubs:
            self.say(pub, sub)
        self.hang_up(*pubs)

    def test_many_in_order(self):
        """Each once, in order, byte for byte, to a subscriber on every router."""
        subs = [self.subscriber("T@lab.a.x", router) for router in (self.a, self.b, self.c)]
        pub = self.publisher("T@lab.a.x", self.a)
        self.meet(pub, *subs)
        words = [f"word-{n}-{'x' * (n % 97)}" for n in range(20000)]
        pub.process.stdin.write("\n".join(words) + "\n")
        self.hang_up(pub)
        for sub in subs:
            sub.wait_line("^word-19999-", timeout=60)
            got = [line for line in sub.lines if line.startswith("word-")]
            self.assertEqual(len(got), len(words))
            self.assertEqual(got, words)

    def test_router_restarts(self):
        """Its leaves are back, and so are its links, without anybody's help."""
        sub_a, sub_b = self.subscriber("T@lab.a.x", self.a), self.subscriber("T@lab.a.x", self.b)
        pub = self.publisher("T@lab.a.x", self.a)
        self.meet(pub, sub_a, sub_b)
        for way in ("kill -9", "SIGTERM"):
            if way == "SIGTERM":
                self.a.proc.terminate()
            else:
                self.a.proc.kill9()
            marks = [router.proc.mark() for router in (self.b, self.c)]
            self.a.start()
            started = time.monotonic()
            self.meet(pub, sub_a, deadline=BACK_DEADLINE)
            leaves = time.monotonic() - started
            self.meet(pub, sub_b, deadline=BACK_DEADLINE)
            mesh = time.monotonic() - started
            for router, mark in zip((self.b, self.c), marks):
                router.wait_peer("lab.a", since=mark)
            print(f"after {way}: leaves back in {leaves:.2f} s, the mesh in {mesh:.2f} s", flush=True)
        self.hang_up(pub)


class Books(MeshCase):
    def test_dump_of_live_node_and_file(self):
        live = self.run_weft("addrbook", "dump", self.b.sock, "--tsv")
        for path in ("lab.a", "lab.c"):
            self.assertIn(path, live)
        self.b.proc.terminate()
        kept = self.run_weft("addrbook", "dump", self.b.addrbook, "--json")
        for path in ("lab.a", "lab.c"):
            self.assertIn(path, kept)

    def test_dump_of_what_is_not_there(self):
        proc = self.weft("addrbook", "dump", self.folder + "/missing.book")
        self.assertNotEqual(proc.exit_code(), 0)
        proc.may_exit_with.add(proc.process.returncode)
        self.assertTrue(any("missing.book" in line for line in proc.lines), proc.tail())


if __name__ == "__main__":
    harness.main()
