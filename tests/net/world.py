"""A small internet on one machine, for one test: hosts that are network namespaces, and a router between.

    class Example(world.Case):
        def test_it(self):
            a, b = self.hosts("a", "b")
            left = self.count(a, "lab.a", publish="T@lab.a.x", rate=100)
            right = self.count(b, "lab.b", peers=[left], subscribe="T@lab.a.x")
            right.wait_up("lab.a")
            self.cut(a, b)                       nothing passes between the two from here on
            right.wait_down("lab.a")
            self.heal()

The program that runs a test is itself the router: `faults.py` starts each in network, mount and process
namespaces of its own (`enter`), so that nothing is seen outside and nothing outlives it, however it ends:
with the last process the kernel takes away the hosts, the rules and the mounts. Each host has one
interface and a subnet of its own, 10.77.N.2; faults are nftables rules of the router's forward chain, set
anew as a whole with each change. What a program does with its time is read off its output: `count` stamps
its lines with the monotonic clock, which is this program's too."""

import collections
import json
import os
import re
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)

DETECT = 40    # seconds, deadline for noticing a silent end: the promise is 10 s of silence
RECOVER = 60   # seconds, deadline for being whole again
PORT = 7400
GONE = r"\bdown:? (?!.*displaced by a newer link)"
ENTER = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


def enter():
    """The command that puts a program into namespaces of its own, or None and why there is none."""
    reason = "unshare is not installed"
    for options in ([], ["--user", "--map-root-user"]):
        if options == [] and os.geteuid() != 0:
            continue
        command = ENTER + options
        probe = command + ["sh", "-ec", "mount -t tmpfs tmpfs /run && ip netns add probe && "
                           "echo 'add table inet probe' | nft -f - && echo 1 >/proc/sys/net/ipv4/ip_forward"]
        try:
            done = subprocess.run(probe, capture_output=True, text=True, errors="replace", check=False)
        except FileNotFoundError:
            break
        if done.returncode == 0:
            return command, None
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return None, f"network namespaces are not allowed here: {reason}"


def run(*argv, text=None):
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(argv)}: {done.stderr.strip()}\n{text or ''}")
    return done.stdout


def seconds(value):
    return f"{value:.2f} s"


def tcp_tries_each_second():
    """Whether this kernel knows the option by which weft has TCP try again each second at the latest."""
    with socket.socket() as sock:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, 44, 1000)  # TCP_RTO_MAX_MS
            return True
        except OSError:
            return False


class Host:
    """A network namespace with one interface, eth0, behind the router."""

    def __init__(self, name, number):
        self.name, self.number = name, number
        self.gateway, self.port = f"10.77.{number}.1", f"to-{name}"
        self.address = None
        run("ip", "netns", "add", name)
        run("ip", "link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "addr", "add", self.gateway + "/24", "dev", self.port)
        run("ip", "link", "set", self.port, "up")
        self.ip("link", "set", "lo", "up")
        self.take(2)
        self.up()

    def ip(self, *args):
        return run("ip", "-n", self.name, *args)

    def take(self, last):
        """Have this address, in place of the one before."""
        if self.address:
            self.ip("addr", "del", self.address + "/24", "dev", "eth0")
        self.address = f"10.77.{self.number}.{last}"
        self.ip("addr", "add", self.address + "/24", "dev", "eth0")

    def down(self):
        self.ip("link", "set", "eth0", "down")

    def up(self):
        """The interface comes up, with its route, as whatever manages the network would set it."""
        self.ip("link", "set", "eth0", "up")
        self.ip("route", "replace", "default", "via", self.gateway)

    def argv(self, argv):
        return ["ip", "netns", "exec", self.name, *argv]

    def url(self, path, port=PORT, address=None):
        return f"tcp://{address or self.address}:{port}/{path}"


class Node:
    """A program that is a node, of any kind: what it says of its peers is awaited here. Times are of the
    monotonic clock: from the line itself where the program stamps it, else when the line was seen."""

    def __init__(self, case, host, path, name, argv, listen="tcp://0.0.0.0:{port}/{path}", **how):
        self.case, self.host, self.path, self.name = case, host, path, name
        self.url = host.url(path)
        self.argv, self.how = host.argv(argv), how
        self.proc = None

    def start(self):
        self.proc = self.case.spawn(f"{self.name} {self.path}", self.argv, **self.how)
        self.proc.wait_line("listening")
        return self

    def again(self):
        """As start; returns the time before it."""
        started = time.monotonic()
        self.start()
        return started

    def mark(self):
        return self.proc.mark()

    def moment(self, pattern, since, timeout):
        found = self.proc.wait_line(pattern, timeout, since)
        stamp = re.match(r"(\d+\.\d+) ", found.string)
        return float(stamp.group(1)) if stamp else time.monotonic()

    def wait_up(self, *paths, since=0, timeout=RECOVER):
        return max(self.moment(rf"\bup:? \S*/{re.escape(path)}\b", since, timeout) for path in paths)

    def wait_down(self, *paths, since=0, timeout=DETECT):
        """Where dials crossed, one of two links goes, late on a busy machine: that is no peer gone."""
        return max(self.moment(rf"{GONE}\S*/{re.escape(path)}\b", since, timeout) for path in paths)

    def links(self, path):
        """Links to a peer that stand, by what was said."""
        ups = self.proc.count(rf"\bup:? \S*/{re.escape(path)}\b")
        return ups - self.proc.count(rf"\bdown:? \S*/{re.escape(path)}\b")


class Count(Node):
    """tests/net/count.c: publishes or hears numbered messages, and says what became of them."""

    def last(self):
        """Publish no more; the number of the last message."""
        self.proc.process.send_signal(harness.signal.SIGUSR1)
        return int(self.proc.wait_line(r" last (\d+)").group(1))

    def totals(self, now=True):
        since = self.mark()
        if now:
            self.proc.process.send_signal(harness.signal.SIGUSR2)
        words = self.proc.wait_line(r" totals (.*)", since=since if now else 0).group(1)
        return {key: int(value) for key, value in (word.split("=") for word in words.split())}

    def heard(self):
        """What has come so far: {run of the publisher: [numbers in order]}."""
        runs = collections.OrderedDict()
        with self.proc.changed:
            for line in self.proc.lines:
                found = re.match(r"\S+ got (\d+) (\d+)$", line)
                if found:
                    runs.setdefault(found.group(1), []).append(int(found.group(2)))
        return runs

    def wait_message(self, number, timeout=RECOVER, since=0):
        """Until this number, or a later one, has come."""
        def find(line):
            found = re.match(r"(\S+) got \d+ (\d+)$", line)
            return found and int(found.group(2)) >= number and found
        return float(self.proc.wait_for(find, f"no message {number}", timeout, since).group(1))

    def wait_many(self, many, timeout=RECOVER):
        """Until so many messages have come."""
        deadline = time.monotonic() + timeout
        with self.proc.changed:
            while sum(map(len, self.heard().values())) < many:
                assert self.proc.changed.wait(deadline - time.monotonic()), f"not {many} messages in {timeout} s"

    def wait_news(self, timeout=RECOVER):
        """Until a message comes after now."""
        return self.moment(r" got ", self.mark(), timeout)


class Case(harness.Case):
    accounted = True  # every missing message is counted: the two hosts' kernels are all that is in between

    def setUp(self):
        super().setUp()
        self.known, self.spoken = [], {}

    def hosts(self, *names):
        made = [Host(name, len(self.known) + i + 1) for i, name in enumerate(names)]
        self.known += made
        return made

    # ---- Programs

    def count(self, host, path, peers=(), publish=None, subscribe=None, rate=100, size=64, start=True, **more):
        """A node of the public API that counts. `peers` are nodes or URLs."""
        what = ["publish", publish] if publish else ["subscribe", subscribe or f"T@{path}.nothing"]
        argv = [harness.program("count"), *what, "self", f"tcp://0.0.0.0:{PORT}/{path}"]
        for peer in peers:
            argv += ["peer", peer if isinstance(peer, str) else peer.url]
        for key, value in {"rate": rate, "size": size, **more}.items():
            argv += [key, str(value)]
        node = Count(self, host, path, "count", argv)
        return node.start() if start else node

    def leaf(self, router, publish=None, subscribe=None, rate=100, size=64):
        """As count, attached to the router's unix socket."""
        what = ["publish", publish] if publish else ["subscribe", subscribe]
        argv = [harness.program("count"), *what, "peer", router.sock, "rate", str(rate), "size", str(size)]
        return Count(self, router.host, router.path, "leaf", argv).start()

    def weftd(self, host, path, peers=(), folder=None, extra="", start=True, log="info"):
        folder = folder or self.folder
        config = os.path.join(self.folder, path + ".yaml")
        sock = os.path.join(self.folder, path + ".sock")
        lines = [f"self: tcp://0.0.0.0:{PORT}/{path}", f"listen: ['unix://{sock}/{path}']", f"log: {log}",
                 f"addrbook: {os.path.join(folder, path + '.book')}"]
        if peers:
            urls = (peer if isinstance(peer, str) else peer.url for peer in peers)
            lines += ["peers:"] + [f"  - {{url: '{url}', persistent: true, max_backoff: 1s}}" for url in urls]
        with open(config, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n" + extra)
        node = Node(self, host, path, "weftd", [harness.program("weftd"), "-c", config])
        node.sock, node.addrbook = f"unix://{sock}/{path}", os.path.join(folder, path + ".book")
        return node.start() if start else node

    # ---- Faults

    def rules(self, *rules):
        """These rules, and no others, for all that passes the router."""
        lines = ["add table inet faults", "flush table inet faults",
                 "add chain inet faults forward { type filter hook forward priority 0; policy accept; }"]
        run("nft", "-f", "-", text="\n".join(lines + [f"add rule inet faults forward {rule}" for rule in rules])
            + "\n")
        return time.monotonic()

    def cut(self, *hosts, how="drop"):
        """Between these hosts and all others nothing passes, from either side."""
        return self.rules(*(rule for host in hosts for rule in self.between(host, how)))

    @staticmethod
    def between(host, how):
        return (f'iifname "{host.port}" counter {how}', f'oifname "{host.port}" counter {how}')

    def heal(self):
        return self.rules()

    # ---- What came of it

    def trio(self, **more):
        """a publishes to c, and b is a weftd that looks on."""
        self.a, self.b, self.c = self.hosts("a", "b", "c")
        self.pub = self.count(self.a, "lab.a", publish="T@lab.a.x", **more)
        self.router = self.weftd(self.b, "lab.b", peers=[self.pub])
        self.sub = self.count(self.c, "lab.c", peers=[self.pub, self.router], subscribe="T@lab.a.x")
        self.nodes = [self.pub, self.router, self.sub]
        self.whole(self.nodes)
        self.sub.wait_news()

    def whole(self, nodes, marks=None, timeout=RECOVER):
        """Every node has a link to every other (again, if marks say since when); returns when it had."""
        moments = []
        for i, node in enumerate(nodes):
            for other in nodes:
                if other is not node:
                    moments.append(node.wait_up(other.path, since=marks[i] if marks else 0, timeout=timeout))
        for node in nodes:
            for other in nodes:
                if other is not node:
                    self.one_link(node, other)
        return max(moments, default=time.monotonic())

    def one_link(self, node, other):
        deadline = time.monotonic() + harness.PATIENCE
        while node.links(other.path) != 1 and time.monotonic() < deadline:
            with node.proc.changed:
                node.proc.changed.wait(0.1)
        self.assertEqual(node.links(other.path), 1, f"links to {other.path}\n" + node.proc.tail())

    def numbers(self, pub, sub):
        """Everything that came was in order and at most once, and each that did not come is counted, by
        the publisher or where it was read too late. Returns the last, how many came, and what the
        publisher tells."""
        last = pub.last()
        totals, lost, counted = self.tally(pub, sub)
        got = sub.heard()
        for run_of, numbers in got.items():
            for before, after in zip(numbers, numbers[1:]):
                self.assertLess(before, after, f"run {run_of}: {after} came after {before}")
        self.assertEqual(sub.proc.count(" bad "), 0, sub.proc.tail())
        self.figure(sent=last, unheard=totals["nobody"], lost=lost, counted=counted)
        return last, sum(map(len, got.values())), totals

    def tally(self, pub, sub):
        """The last messages are still on their way; and a connection that is given up counts what it lost when it
        closes, a second later at most."""
        deadline = time.monotonic() + RECOVER
        while True:
            totals = pub.totals()
            dropped = totals["dropped"] + sub.totals()["dropped"]
            lost = max(0, totals["queued"] - sum(map(len, sub.heard().values())))
            if dropped >= lost or not self.accounted:
                return totals, lost, dropped
            self.assertLess(time.monotonic(), deadline,
                            f"{lost} messages are missing and only {dropped} counted")
            time.sleep(0.05)

    def complete(self, pub, sub):
        """As numbers; and nothing is missing once the first has come."""
        last = pub.last()
        sub.wait_message(last)
        last, came, totals = self.numbers(pub, sub)
        (numbers,) = sub.heard().values()
        self.assertEqual(numbers, list(range(numbers[0], last + 1)))
        self.assertEqual(totals["dropped"], 0)
        return came

    def figure(self, **figures):
        """Shown in the table of ./dev faults: times in seconds (detected, recovered), counts, and `note`."""
        self.spoken.update(figures)

    def tearDown(self):
        super().tearDown()
        print("\nfigures: " + json.dumps(self.spoken), flush=True)
