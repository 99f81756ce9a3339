"""The mesh at work, in under half a minute:  demo.py BUILD

Three routers are started from config files that name only one seed address. A program that knows no
more publishes this machine's load twice a second; two others subscribe, each attached to a router.
Then the third router is killed and started again, and comes back by itself. What is shown is what the programs
say; the exit code is 0 only if every step happened."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROUTE = "weft.demo.Machine@demo.load"
MESSAGE = r"#\d+ .*load"
NODES = ("a", "b", "c")
PATIENCE = 8  # seconds, for what takes one at most
COLOURS = {"a": 36, "b": 35, "c": 33, "ok": 32, "bad": 31, "dim": 2, "bold": 1}


def paint(colour, text):
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"


def step(text):
    print(f"\n{paint('bold', text)}", flush=True)


def done(text):
    print(f"  {paint('ok', 'ok')}  {text}", flush=True)


def tell(node, text):
    print(f"  {paint(node, 'node ' + node)}  {text}", flush=True)


class Failed(Exception):
    pass


def find(build, name):
    for folder in ("cmd", "examples"):
        path = os.path.join(build, folder, name)
        if os.path.isfile(path):
            return path
    raise Failed(f"{build} holds no program {name}")


def free_port():
    """Below the ports the kernel gives to outgoing connections."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Program:
    """A running program, its lines gathered as they come."""

    def __init__(self, argv):
        self.name, self.lines, self.news = os.path.basename(argv[0]), [], threading.Condition()
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace")
        self.reader = threading.Thread(target=self.gather, daemon=True)
        self.reader.start()

    def gather(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line.rstrip())
                self.news.notify_all()

    def mark(self):
        with self.news:
            return len(self.lines)

    def wait(self, pattern, since=0, count=1):
        """The first `count` lines from `since` on that match, waited for."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with self.news:
                found = [line for line in self.lines[since:] if re.search(pattern, line)]
                if len(found) >= count:
                    return found[:count]
                left = deadline - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self.reader.is_alive()):
                    said = "\n    ".join(self.lines[-15:])
                    raise Failed(f"{self.name} did not say {pattern!r}; it said:\n    {said}")
                self.news.wait(min(left, 0.1))

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


class Demo:
    def __init__(self, build, folder):
        self.folder = folder
        self.weftd, self.weft = find(build, "weftd"), find(build, "weft")
        self.load, self.watch = find(build, "machine_load"), find(build, "machine_watch")
        self.ports = dict(zip(NODES, self.three_ports()))
        self.seed = self.url("a")
        self.running, self.routers = [], {}

    @staticmethod
    def three_ports():
        ports = set()
        while len(ports) < len(NODES):
            ports.add(free_port())
        return ports

    def url(self, node):
        return f"tcp://127.0.0.1:{self.ports[node]}/demo.{node}"

    def sock(self, node):
        return f"unix://{self.folder}/{node}.sock/demo.{node}"

    def book(self, node):
        return os.path.join(self.folder, f"{node}.book")

    def start(self, argv):
        program = Program(argv)
        self.running.append(program)
        return program

    def configure(self, node):
        lines = [f"self: {self.url(node)}", f"listen: ['{self.sock(node)}']", f"addrbook: {self.book(node)}"]
        if node != "a":
            lines.append(f"peers: ['{self.seed}']")
        with open(os.path.join(self.folder, f"{node}.yaml"), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def start_router(self, node):
        self.routers[node] = self.start([self.weftd, "-c", os.path.join(self.folder, f"{node}.yaml")])
        self.routers[node].wait(r"^listening on ")

    # ---- The steps ----

    def form(self):
        step(f"Three nodes; b and c know only the seed, {self.seed}")
        started = time.monotonic()
        for node in NODES:
            self.configure(node)
            self.start_router(node)
        for node in NODES:
            for other in NODES:
                if other != node:
                    tell(node, self.bare(self.routers[node].wait(rf"peer up.*/demo\.{other}\b")[0]))
        done(f"a full mesh after {time.monotonic() - started:.1f} s: b and c found each other through a")

    @staticmethod
    def bare(line):
        """A log line without its time and level."""
        return re.sub(r"^\S+ (?:\S+ )?(?:error|warn|info|debug)\s+", "", line)

    def publish(self):
        step("A program joins by the seed and publishes this machine's load twice a second; "
             "two more subscribe, attached to b and c")
        self.watchers = {node: self.start([self.watch, ROUTE, "--peer", self.sock(node)]) for node in ("b", "c")}
        self.publisher = self.start([self.load, "--self", "tcp://127.0.0.1:0/demo.load", "--peer", self.seed])
        for node, watcher in self.watchers.items():
            for line in watcher.wait(MESSAGE, count=3):
                tell(node, line)
        done("messages arrive at both")

    def kill(self):
        step("Node c is killed (kill -9)")
        marks = {node: self.routers[node].mark() for node in ("a", "b")}
        self.routers["c"].end(signal.SIGKILL)
        for node, mark in marks.items():
            tell(node, self.bare(self.routers[node].wait(r"peer down.*/demo\.c\b", mark)[0]))
        since = self.watchers["b"].mark()
        tell("b", self.watchers["b"].wait(MESSAGE, since)[0])
        done("a and b noticed; b goes on being served")

        step("Node c is started again, with the same config file")
        marks = {node: self.routers[node].mark() for node in ("a", "b")}
        since = self.watchers["c"].mark()
        started = time.monotonic()
        self.start_router("c")
        for node, mark in marks.items():
            tell(node, self.bare(self.routers[node].wait(r"peer up.*/demo\.c\b", mark)[0]))
        linked = time.monotonic() - started
        for line in self.watchers["c"].wait(MESSAGE, since, 2):
            tell("c", line)
        done(f"linked again after {linked:.1f} s; the program at c, never restarted, hears the publisher again")

    def dump(self, where):
        result = subprocess.run([self.weft, "addrbook", "dump", where], text=True, capture_output=True,
                                check=False, timeout=PATIENCE)
        if result.returncode != 0:
            raise Failed(f"weft addrbook dump {where}: {result.stderr.strip()}")
        print("\n".join("  " + line for line in result.stdout.rstrip().split("\n")), flush=True)
        return result.stdout

    def books(self):
        step(f"The address book of the live node b: weft addrbook dump {self.sock('b')}")
        live = self.dump(self.sock("b"))
        if self.routers["c"].end() != 0:
            raise Failed("node c did not end well on SIGTERM")
        step(f"Node c is asked to end (SIGTERM); what it leaves on disk: weft addrbook dump {self.book('c')}")
        kept = self.dump(self.book("c"))
        for text, others in ((live, "ac"), (kept, "ab")):
            for other in others:
                if str(self.ports[other]) not in text:
                    raise Failed(f"node {other} is missing from an address book")
        done("both books hold the others; only the seed was ever configured")

    def run(self):
        self.form()
        self.publish()
        self.kill()
        self.books()

    def clean_up(self):
        for program in reversed(self.running):
            program.end()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="weft-demo-")
    demo, started, code = None, time.monotonic(), 1
    try:
        demo = Demo(os.path.abspath(sys.argv[1]), folder)
        demo.run()
        code = 0
    except Failed as why:
        print(f"\n{paint('bad', 'FAILED')}  {why}")
    except KeyboardInterrupt:
        code = 130
    finally:
        if demo:
            demo.clean_up()
        shutil.rmtree(folder, ignore_errors=True)
    if code == 0:
        print(f"\n{paint('ok', 'All of it happened')}, in {time.monotonic() - started:.1f} s. Nothing is left running.")
    sys.exit(code)


main()
