"""Starts real programs in a temporary folder, waits for what they say, and always cleans up.

    class Example(harness.Case):
        def test_it(self):
            a = self.router("lab.a")                     a weftd; a.url, a.sock
            sub = self.weft("sub", "T@lab.a.x", "-P", a.sock, "--count", "1")
            sub.expect_exit(0)

    if __name__ == "__main__":
        harness.main()

Waits end with what they wait for; a deadline is there only to fail. A test fails, besides its own
assertions, if a program crashed or a sanitizer spoke. The build to test is the folder given as first
argument, or $WEFT_BUILD."""

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
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import wire  # noqa: E402, F401  (found by the line above; tests use it as harness.wire)

BUILD = os.environ.get("WEFT_BUILD", "")
PATIENCE = float(os.environ.get("WEFT_PATIENCE", "20"))  # seconds, for what should come at once
SANITIZER = re.compile(r"(?:Address|Thread|Leak|UndefinedBehavior)Sanitizer|runtime error:")


_reserved = []  # sockets by whose names other test programs see what is ours, till this one ends


def free_port():
    """A port nobody listens on now, below those the kernel hands out to outgoing connections, and that no
    other test program gets meanwhile: a node may come to it later, or come back to it."""
    while True:
        port = random.randrange(15000, 32000)
        mine = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                mine.bind(f"\0weft-test-port-{port}")  # an abstract name: no file, and gone with the program
                probe.bind(("127.0.0.1", port))
            except OSError:
                mine.close()
                continue
            _reserved.append(mine)
            return port


class Proc:
    """A running program. Its output is gathered line by line, standard error with standard output
    unless `split` (then .lines is standard output alone)."""

    def __init__(self, name, argv, cwd, split=False, stdin=subprocess.DEVNULL, user=None):
        self.name, self.argv = name, argv
        self.lines, self.errors = [], []
        self.changed = threading.Condition()
        self.may_exit_with = {0}
        self.process = subprocess.Popen(
            argv, cwd=cwd, stdin=stdin, stdout=subprocess.PIPE, user=user, errors="replace",
            stderr=subprocess.PIPE if split else subprocess.STDOUT, text=True, bufsize=1)
        self.readers = [self._reader(self.process.stdout, self.lines)]
        if split:
            self.readers.append(self._reader(self.process.stderr, self.errors))

    def _reader(self, stream, into):
        def gather():
            for line in stream:
                with self.changed:
                    into.append(line.rstrip("\n"))
                    self.changed.notify_all()
            with self.changed:
                self.changed.notify_all()
        thread = threading.Thread(target=gather, daemon=True)
        thread.start()
        return thread

    @property
    def pid(self):
        return self.process.pid

    def mark(self):
        """Where the output stands now, for the `since` of wait_line."""
        with self.changed:
            return len(self.lines)

    def wait_line(self, pattern, timeout=PATIENCE, since=0):
        """The first match in a line from `since` on, waited for."""
        return self.wait_for(lambda line: re.search(pattern, line), f"no line matches {pattern!r}", timeout, since)

    def wait_for(self, find, otherwise, timeout=PATIENCE, since=0):
        """What `find` makes of the first line from `since` on that it makes something of, waited for."""
        deadline, at = time.monotonic() + timeout, since
        while True:
            with self.changed:
                while at < len(self.lines):
                    found = find(self.lines[at])
                    at += 1
                    if found:
                        return found
                over = self.process.poll() is not None and not any(r.is_alive() for r in self.readers)
                left = deadline - time.monotonic()
                if over or left <= 0:
                    why = f"ended with {self.process.poll()}" if over else f"not within {timeout} s"
                    raise AssertionError(f"{self.name}: {otherwise}: {why}\n" + self.tail())
                self.changed.wait(min(left, 0.2))

    def count(self, pattern, since=0):
        with self.changed:
            return sum(1 for line in self.lines[since:] if re.search(pattern, line))

    def exit_code(self, timeout=PATIENCE):
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name}: still running after {timeout} s\n" + self.tail()) from None
        for reader in self.readers:
            reader.join(timeout)
        return code

    def expect_exit(self, code, timeout=PATIENCE):
        self.may_exit_with.add(code)
        got = self.exit_code(timeout)
        if got != code:
            raise AssertionError(f"{self.name}: exit code {got}, expected {code}\n" + self.tail())
        return self.lines

    def kill9(self):
        self.may_exit_with.add(-signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def terminate(self, code=0, timeout=PATIENCE):
        self.process.send_signal(signal.SIGTERM)
        return self.expect_exit(code, timeout)

    def terminate_any(self, timeout=PATIENCE):
        """SIGTERM; returns whatever exit code the program has for it."""
        self.process.send_signal(signal.SIGTERM)
        return self.exit_code(timeout)

    def stop(self):
        """End it whatever it does; returns what is wrong with how it ended, or None."""
        forced = False
        if self.process.poll() is None:
            self.may_exit_with |= {-signal.SIGTERM, 128 + signal.SIGTERM}
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                forced = True
                self.process.kill()
                self.process.wait()
        for reader in self.readers:
            reader.join(5)
        self.process.stdout.close()
        if self.process.stderr:
            self.process.stderr.close()
        if forced:
            return f"{self.name}: did not end on SIGTERM\n" + self.tail()
        if any(SANITIZER.search(line) for line in self.lines + self.errors):
            return f"{self.name}: a sanitizer spoke\n" + self.tail(200)
        if self.process.returncode not in self.may_exit_with:
            return f"{self.name}: exit code {self.process.returncode}\n" + self.tail()
        return None

    def tail(self, count=40):
        lines = self.lines[-count:] + self.errors[-count:]
        return "\n".join([f"    $ {' '.join(self.argv)}"] + [f"    {line[:200]}" for line in lines])


class Router:
    """A weftd with a config file of its own, that can be started again."""

    def __init__(self, case, path, peers=(), network=None, extra="", port=None, addrbook=True):
        self.case, self.path = case, path
        self.port = port or free_port()
        self.name = path.replace("/", ".") or "root"
        self.url = f"tcp://127.0.0.1:{self.port}/{path}"
        self.sock_file = os.path.join(case.folder, f"{self.name}-{self.port}.sock")
        self.sock = f"unix://{self.sock_file}/{path}"
        self.addrbook = os.path.join(case.folder, f"{self.name}-{self.port}.book")
        self.config = os.path.join(case.folder, f"{self.name}-{self.port}.yaml")
        lines = [f"self: {self.url}", f'listen: ["{self.sock}"]']
        if addrbook:
            lines.append(f"addrbook: {self.addrbook}")
        if network:
            lines.append(f"network: {network}")
        if peers:
            lines += ["peers:"] + [f"  - {{url: '{url}', persistent: true, max_backoff: 1s}}" for url in peers]
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n" + extra)
        self.proc = None

    def start(self, ready=True, **how):
        self.proc = self.case.spawn(f"weftd {self.name}", [program("weftd"), "-c", self.config], **how)
        if ready:
            self.proc.wait_line(READY)
        return self

    def wait_peer(self, path, since=0, timeout=PATIENCE):
        return self.proc.wait_line(PEER_UP.format(path=re.escape(path)), timeout, since)

    @property
    def address(self):
        return ("127.0.0.1", self.port)


READY = r"listening on tcp://"
PEER_UP = r"peer up.*/{path}(?:\s|$|[,:;(\"'])"
PEER_DOWN = r"peer down.*/{path}(?:\s|$|[,:;(\"'])"


def program(name):
    for folder in ("cmd", "examples", "tests/integration", "tests/net"):
        path = os.path.join(BUILD, folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(f"no program {name} in {BUILD or '(no build folder given)'}")


def sanitized(name):
    """Whether it was built with a sanitizer that brings its own allocator."""
    with open(program(name), "rb") as file:
        content = file.read()
    return any(symbol in content for symbol in (b"__asan_init", b"__tsan_init", b"__msan_init", b"__lsan_init"))


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weft-")
        os.chmod(self.folder, 0o755)
        self.procs = []
        self.addCleanup(self.end)  # where setUp fails there is no tearDown

    def tearDown(self):
        self.end()

    def end(self):
        procs, self.procs = self.procs, []
        wrong = [text for text in (proc.stop() for proc in reversed(procs)) if text]
        shutil.rmtree(self.folder, ignore_errors=True)
        if wrong:
            self.fail("\n".join(wrong))

    def spawn(self, name, argv, **how):
        proc = Proc(name, argv, self.folder, **how)
        self.procs.append(proc)
        return proc

    def router(self, path, **options):
        return Router(self, path, **options).start()

    def weft(self, *args, **how):
        return self.spawn("weft " + " ".join(args[:2]), [program("weft"), *args], **how)

    def run_weft(self, *args, code=0):
        """Run it to its end; returns its standard output."""
        proc = self.weft(*args, split=True)
        proc.expect_exit(code)
        return "\n".join(proc.lines)


class Result(unittest.TextTestResult):
    """unittest hides a test's output until the end; a reader of the log wants failures in place."""

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.stream.write(self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.stream.write(self.errors[-1][1])

    def printErrors(self):
        pass


def main():
    global BUILD
    if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
        BUILD = os.path.abspath(sys.argv.pop(1))
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result)
    result = unittest.main(module="__main__", exit=False, testRunner=runner).result
    failed = len({str(test) for test, _ in result.failures + result.errors})
    passed = result.testsRun - failed - len(result.skipped)
    print(f"[====] Synthesis: Tested: {passed + failed} | Passing: {passed} | Failing: {failed} | Crashing: 0")
    sys.exit(0 if passed and not failed else 77 if not failed and result.skipped else 1)
