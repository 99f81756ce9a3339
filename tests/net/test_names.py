"""Name service: a peer named by a host name that does not resolve, resolves later, or is not answered."""

import world
from names import NameServer
from world import harness


class Names(world.Case):
    def trio(self, answered):
        """a publishes and is dialled by name by c; b, a weftd, is reached by its address."""
        self.a, self.b, self.c = self.hosts("a", "b", "c")
        self.names = NameServer(self.c.gateway)
        self.addCleanup(self.names.close)
        self.names.silent = not answered
        self.pub = self.count(self.b, "lab.b", publish="T@lab.b.x")
        self.named = self.weftd(self.a, "lab.a")
        self.sub = self.count(self.c, "lab.c", peers=[self.a.url("lab.a", address="seed.lab"), self.pub],
                              subscribe="T@lab.b.x")

    def linked(self, since):
        back = max(self.sub.wait_up("lab.a"), self.named.wait_up("lab.c"))
        self.whole([self.pub, self.named, self.sub])
        self.figure(recovered=back - since)
        self.complete(self.pub, self.sub)

    def test_name_unknown(self):
        """The name does not exist, then it does: dials are repeated with their pauses, and link."""
        self.trio(answered=True)
        text = self.sub.proc.wait_line(r" failed \S*seed\.lab\S*: (.*)").group(1)
        self.assertRegex(text, "resolve")
        self.names.wait_asked("seed.lab", 6)
        self.sub.wait_up("lab.b")
        self.sub.wait_news()
        self.assertEqual(self.sub.links("lab.a"), 0)
        self.linked(self.names.know("seed.lab", self.a.address))
        self.figure(note=text)

    def test_name_unanswered(self):
        """The name server says nothing: others are dialled and served meanwhile; then it answers."""
        self.trio(answered=False)
        self.names.wait_asked("seed.lab")
        self.sub.wait_up("lab.b")
        for _ in range(20):
            self.sub.wait_news()
        self.names.wait_asked("seed.lab", 3)
        self.sub.wait_news()
        self.assertEqual(self.sub.links("lab.a"), 0)
        self.linked(self.names.know("seed.lab", self.a.address))
    def test_names_unanswered_many(self):
        """More names than may be dialled at a time, none answered: one that is answered links all the same."""
        a, b = self.hosts("a", "b")
        names = NameServer(b.gateway)
        self.addCleanup(names.close)
        names.silent = True
        pub = self.count(a, "lab.a", publish="T@lab.a.x")
        missing = [f"tcp://no{i}.lab:7400/lab.n{i}" for i in range(12)]
        started = world.time.monotonic()
        names.know("seed.lab", a.address)
        sub = self.count(b, "lab.b", peers=missing + [a.url("lab.a", address="seed.lab")],
                         subscribe="T@lab.a.x")
        back = max(sub.wait_up("lab.a"), sub.wait_news())
        self.figure(recovered=back - started, note="from the start; 12 names are not answered")
        names.wait_asked("no0.lab")
        self.complete(pub, sub)

    def test_name_at_the_end(self):
        """Asked to end while a name is not answered, a router does not wait for it."""
        a, b = self.hosts("a", "b")
        names = NameServer(b.gateway, options="timeout:30 attempts:5")
        self.addCleanup(names.close)
        names.silent = True
        router = self.weftd(b, "lab.b", peers=[a.url("lab.a", address="seed.lab")])
        names.wait_asked("seed.lab")
        asked = world.time.monotonic()
        router.proc.terminate(timeout=harness.PATIENCE)  # shorter than the resolver's patience
        self.figure(recovered=world.time.monotonic() - asked, note="from SIGTERM to the end")
