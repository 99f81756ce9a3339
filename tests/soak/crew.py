"""The processes of the soak: started, asked, measured and ended."""

import os
import re
import signal
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)
import plan  # noqa: E402

PATIENCE = 60  # seconds; to fail, never to wait for
# They get no Ctrl-C of their own, and none of them outlives the one who drives them.
ALONE = ["setpriv", "--pdeathsig", "KILL", "setsid"]

# What a node may warn of: that one of those who come and go is gone, and what two dials at once lead to. In the end
# all may say goodbye.
COMING_AND_GOING = "|".join(re.escape(m.path) for m in plan.MEMBERS if m.ends or m.router in plan.ENDED_ROUTERS)
EXPECTED = re.compile(rf"peer down: \S+/(?:{COMING_AND_GOING}): (?:goodbye: this node shuts down|connection lost)"
                      r"|(?:peer down|refused): .*(?:duplicate|displaced)")
GOODBYE = re.compile(r"peer down: \S+: goodbye: this node shuts down")


class Wrong(Exception):
    """Something that was promised did not hold."""


def processor_ns(pid):
    """The processor time of all its threads."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total


def resources(pid):
    """Proportional and plain resident KiB, descriptors, threads."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB", file.read(), re.M))
    return {"pss": int(sizes["Pss"]), "rss": int(sizes["Rss"]), "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
            "threads": len(os.listdir(f"/proc/{pid}/task"))}


class Runner:
    """A member of the soak, through all its lives."""

    def __init__(self, member, folder, ports, plant="none"):
        self.member, self.folder, self.ports, self.plant = member, folder, ports, plant
        self.name, self.life, self.proc = member.name, 0, None
        self.read = 0  # lines looked at
        self.tallied = 0  # counted in former lives
        self.complaints = []
        self.parting = False  # all are about to leave

    # ---- Addresses ----

    def tcp(self):
        return f"tcp://127.0.0.1:{self.ports[self.name]}/{self.member.path}"

    def unix(self):
        return f"unix://{self.folder}/{self.name}.sock/{self.member.path}"

    def file(self, end):
        return os.path.join(self.folder, f"{self.name}.{end}")

    # ---- Starting and ending ----

    @property
    def alive(self):
        return self.proc is not None

    def start(self, peers, seed):
        self.life += 1
        self.read = 0
        argv = self.weftd(peers) if self.member.weftd else self.program(peers, seed)
        self.proc = harness.Proc(self.name, ALONE + argv, self.folder, stdin=subprocess.PIPE)
        self.proc.wait_line("^listening on" if self.member.weftd else "^ready", PATIENCE)

    def weftd(self, peers):
        with open(self.file("yaml"), "w", encoding="utf-8") as file:
            file.write(f"self: {self.tcp()}\nlisten: ['{self.unix()}']\naddrbook: {self.file('book')}\n"
                       "linger: 20s\nlog: info\nlimits: {outbox: 64MiB}\n" + ("peers:\n" if peers else ""))
            file.writelines(f"  - {{url: '{url}', backoff: 100ms, max_backoff: 500ms}}\n" for url in peers)
        return [harness.program("weftd"), "-c", self.file("yaml")]

    def program(self, peers, seed):
        member = self.member
        words = [f"seed={seed}", f"tally={self.file('tally')}", f"plant={self.plant}"]
        if member.router:
            words += ["role=leaf", f"path={member.path}"]
        else:
            words += ["role=peer", f"self={self.tcp() if member.tcp else self.unix()}", f"addrbook={self.file('book')}"]
        if member.tcp and member.unix:
            words.append(f"listen={self.unix()}")
        return [os.path.join(harness.BUILD, "tests", "soak", "soak-node"), *words, *(f"peer={url}" for url in peers)]

    def end(self, how):
        """Ends this life; returns what it said last."""
        proc = self.proc
        if how == "kill":
            proc.kill9()
        elif self.member.weftd:
            proc.process.send_signal(signal.SIGTERM)
        else:
            self.tell("quit")
        code = proc.exit_code(PATIENCE)
        said = self.news()
        proc.process.stdin.close()
        proc.process.stdout.close()
        if how != "kill" and code != 0:
            self.complaints.append(f"{self.name} ended with {code}, told to end in order\n{proc.tail()}")
        self.tallied += self.tally()
        self.proc = None
        return said

    def tally(self):
        """What mode "tally" has counted in this life; the file outlives it."""
        try:
            with open(self.file("tally"), "rb") as file:
                return struct.unpack("=Q", file.read(8))[0]
        except FileNotFoundError:
            return 0

    # ---- Asking ----

    def tell(self, command):
        try:
            self.proc.process.stdin.write(command + "\n")
            self.proc.process.stdin.flush()
        except BrokenPipeError:
            raise Wrong(f"{self.name} is gone\n{self.proc.tail()}") from None

    def ask(self, command, may_fail=False):
        """The lines it answers with."""
        mark = self.proc.mark()
        self.tell(command)
        try:
            last = self.proc.wait_line(r"^(ok$|failed.*)", PATIENCE, since=mark)
        except AssertionError as error:
            raise Wrong(f"{self.name} does not answer to {command!r}: {error}") from None
        if last.group() != "ok" and not may_fail:
            raise Wrong(f"{self.name}: {command}: {last.group()}")
        return self.news()

    def news(self):
        """The lines since the last look; those that should not be are kept as complaints."""
        with self.proc.changed:
            lines, self.read = self.proc.lines[self.read:], len(self.proc.lines)
        return [line for line in lines if not self.complains(line)]

    def expects(self, line):
        """Is it a line that may be?"""
        if harness.SANITIZER.search(line):
            return False
        if self.member.weftd:
            found = re.match(r"\S+ (warn|error)\s+(.*)", line)
        else:
            found = re.match(r"(?:log )?(warn|error|wrong|notice):? (.*)", line)
        if not found:
            return True
        known = EXPECTED.match(found.group(2)) or (self.parting and GOODBYE.match(found.group(2)))
        return found.group(1) == "warn" and known is not None

    def complains(self, line):
        if self.expects(line):
            return False
        self.complaints.append(f"{self.name}: {line}")
        return True

    def trim(self):
        """Give back the memory of lines that were looked at."""
        with self.proc.changed:
            del self.proc.lines[: self.read]
            self.read = 0

    def stat(self):
        line = next(line for line in self.ask("stat") if line.startswith("stat "))
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)}
