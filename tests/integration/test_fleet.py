"""A fleet of router processes: they form a full mesh from one seed, one dies by kill -9 and comes back.
Times are printed, not asserted; the promises are 2 s for 10 and 10 s for 50, 1 s to notice, 2 s to be back."""

import time

import harness

PATIENCE = 40


class Fleet(harness.Case):
    def form(self, count):
        """Routers that know only the first, started at once. Returns them, and how long it took."""
        started = time.monotonic()
        seed = self.router("lab.n0")
        routers = [seed]
        for i in range(1, count):
            router = harness.Router(self, f"lab.n{i}", peers=[seed.url])
            router.start(ready=False)
            routers.append(router)
        for router in routers:
            for other in routers:
                if other is not router:
                    router.wait_peer(other.path, timeout=PATIENCE)
        return routers, time.monotonic() - started

    def one_link_a_pair(self, routers):
        for router in routers:
            up, down = router.proc.count("peer up"), router.proc.count("peer down")
            self.assertEqual(up - down, len(routers) - 1, router.proc.tail())

    def test_ten(self):
        routers, took = self.form(10)
        self.one_link_a_pair(routers)
        print(f"10 processes, 45 links: {took:.2f} s from the first start", flush=True)
        for victim in (routers[4], routers[0]):  # the seed too, which nobody told it of the others
            others = [router for router in routers if router is not victim]
            marks = [router.proc.mark() for router in others]
            victim.proc.kill9()
            killed = time.monotonic()
            for router, mark in zip(others, marks):
                router.proc.wait_line(f"peer down: .*/{victim.path}:", PATIENCE, since=mark)
            noticed = time.monotonic() - killed
            marks = [router.proc.mark() for router in others]
            victim.start()
            back = time.monotonic()
            for router, mark in zip(others, marks):
                router.wait_peer(victim.path, since=mark, timeout=PATIENCE)
            print(f"{victim.path} killed: noticed by all in {noticed:.2f} s, linked to all again in "
                  f"{time.monotonic() - back:.2f} s", flush=True)

    def test_fifty(self):
        routers, took = self.form(50)
        self.one_link_a_pair(routers)
        print(f"50 processes, 1225 links: {took:.2f} s from the first start", flush=True)


if __name__ == "__main__":
    harness.main()
