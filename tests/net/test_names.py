"""Name service: a peer named by a host name that does not resolve, resolves later, or is not answered."""

import world
from names import NameServer


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
