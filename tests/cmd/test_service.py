"""weftd as a service: what it tells a service manager, its pid and socket files, as an ordinary user, and the
files that are installed with it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)

DIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "dist")
NOBODY = 65534


class Manager:
    """The end of $NOTIFY_SOCKET where a service manager listens."""

    def __init__(self, case):
        self.path = os.path.join(case.folder, "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(0.2)
        self.heard = []
        case.addCleanup(self.socket.close)

    def argv(self, *rest):
        return ["env", f"NOTIFY_SOCKET={self.path}", *rest]

    def wait(self, pattern, count=1):
        """Until the pattern has been heard so often, from the last wait on."""
        deadline, seen = time.monotonic() + harness.PATIENCE, 0
        while seen < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"{pattern!r} not heard in {self.heard[-20:]}")
            try:
                text = self.socket.recv(4096).decode()
            except TimeoutError:
                continue
            self.heard.append(text)
            found = re.search(pattern, text, re.M)
            seen += bool(found)
        return found


class Notify(harness.Case):
    def start(self, *env, extra=""):
        manager = Manager(self)
        router = harness.Router(self, "lab.a", extra=extra)
        router.proc = self.spawn("weftd", manager.argv(*env, harness.program("weftd"), "-c", router.config))
        return manager, router

    def test_from_ready_to_stopping(self):
        manager, router = self.start()
        ready = manager.wait("^READY=1$")
        self.assertIn(f"STATUS={router.url}, 0 peers", ready.string)
        self.assertEqual(len(manager.heard), 1)
        other = self.router("lab.b", peers=[router.url])
        manager.wait("^STATUS=.*, 1 peers")
        other.proc.terminate()
        manager.wait("^STATUS=.*, 0 peers")
        router.proc.process.send_signal(signal.SIGTERM)
        manager.wait("^STOPPING=1$")
        router.proc.expect_exit(0)

    def test_watchdog(self):
        manager, router = self.start("WATCHDOG_USEC=100000")
        manager.wait("^READY=1$")
        manager.wait("^WATCHDOG=1$", count=3)
        router.proc.terminate()

    def test_no_watchdog_where_none_is_asked_for(self):
        manager, router = self.start()
        manager.wait("^READY=1$")
        router.proc.process.send_signal(signal.SIGTERM)
        manager.wait("^STOPPING=1$")
        router.proc.expect_exit(0)
        self.assertNotIn("WATCHDOG=1", manager.heard)

    def test_a_failed_start_is_not_ready(self):
        first, manager = self.router("lab.b"), Manager(self)
        self.spawn("weftd", manager.argv(harness.program("weftd"), "-l", first.url)).expect_exit(1)
        manager.socket.setblocking(False)
        with self.assertRaises(BlockingIOError):
            manager.socket.recv(4096)


class Files(harness.Case):
    def setUp(self):
        super().setUp()
        self.pid_file = os.path.join(self.folder, "weftd.pid")

    def weftd(self, *args, **how):
        return self.spawn("weftd", [harness.program("weftd"), "-l", "tcp://127.0.0.1:0/a", *args], **how)

    def content(self):
        with open(self.pid_file, encoding="utf-8") as file:
            return file.read()

    def test_pid_file(self):
        proc = self.weftd("--pid-file", self.pid_file)
        proc.wait_line(harness.READY)
        self.assertEqual(self.content(), f"{proc.pid}\n")
        proc.terminate()
        self.assertFalse(os.path.exists(self.pid_file))

    def test_pid_file_of_a_running_weftd(self):
        first = self.weftd("--pid-file", self.pid_file)
        first.wait_line(harness.READY)
        lines = "\n".join(self.weftd("--pid-file", self.pid_file).expect_exit(1))
        self.assertIn(f"{self.pid_file} is held by process {first.pid}", lines)
        self.assertIn("another file", lines)
        self.assertEqual(self.content(), f"{first.pid}\n")

    def test_pid_file_of_a_weftd_that_was_killed(self):
        first = self.weftd("--pid-file", self.pid_file)
        first.wait_line(harness.READY)
        first.kill9()
        self.assertEqual(self.content(), f"{first.pid}\n")
        second = self.weftd("--pid-file", self.pid_file)
        second.wait_line(harness.READY)
        self.assertEqual(self.content(), f"{second.pid}\n")

    def test_pid_file_that_is_something_else(self):
        with open(self.pid_file, "w", encoding="utf-8") as file:
            file.write("precious\n")
        self.assertIn("left as it is", "\n".join(self.weftd("--pid-file", self.pid_file).expect_exit(1)))
        self.assertEqual(self.content(), "precious\n")
        os.rename(self.pid_file, self.pid_file + ".real")
        os.symlink(self.pid_file + ".real", self.pid_file)
        self.assertIn("symbolic link", "\n".join(self.weftd("--pid-file", self.pid_file).expect_exit(1)))

    def test_pid_file_in_no_folder(self):
        path = os.path.join(self.folder, "no/such/pid")
        lines = "\n".join(self.weftd("--pid-file", path).expect_exit(1))
        self.assertIn(f"cannot write {path}", lines)
        self.assertIn("make its folder", lines)

    def test_a_failed_start_leaves_no_pid_file(self):
        first = self.router("lab.a")
        proc = self.spawn("weftd", [harness.program("weftd"), "-l", first.url, "--pid-file", self.pid_file])
        proc.expect_exit(1)
        self.assertFalse(os.path.exists(self.pid_file))

    def test_socket_in_no_folder(self):
        url = f"unix://{self.folder}/no/such/weft.sock/a"
        proc = self.spawn("weftd", [harness.program("weftd"), "-l", url])
        self.assertIn("folder does not exist", "\n".join(proc.expect_exit(1)))

    def test_ordinary_user(self):
        """A unix socket, an address book and a pid file in a folder of its own; nothing else is needed."""
        home = os.path.join(self.folder, "home")
        os.mkdir(home, 0o700)
        user = None
        if os.geteuid() == 0:
            user = NOBODY
            os.chown(home, NOBODY, NOBODY)
        url = f"unix://{home}/weft.sock/a"
        proc = self.spawn("weftd", [harness.program("weftd"), "-l", url, "--addrbook", home + "/book", "--pid-file",
                                    home + "/pid"], user=user)
        proc.wait_line("listening on unix://")
        self.run_weft("ping", url, "--count", "1")
        proc.terminate()
        self.assertEqual(os.listdir(home), ["book"])

    def test_a_leaf(self):
        """Without self and with one unix socket to dial, weftd is that router's leaf."""
        router = self.router("lab.a")
        leaf = self.spawn("leaf", [harness.program("weftd"), "-P", router.sock])
        leaf.wait_line("dialling only")
        leaf.wait_line("peer up")
        leaf.terminate()


class Dist(harness.Case):
    """What is installed beside the programs."""

    def read(self, name):
        with open(os.path.join(DIST, name), encoding="utf-8") as file:
            return file.read()

    def unit(self):
        path = os.path.join(self.folder, "weftd.service")
        text = self.read("systemd/weftd.service.in")
        text = text.replace("@bindir@", os.path.dirname(harness.program("weftd"))).replace("@sysconfdir@", "/etc")
        self.assertNotIn("@bindir", text)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run_tool(self, *argv):
        if not shutil.which(argv[0]):
            self.skipTest(f"no {argv[0]} here")
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    def test_unit(self):
        done = self.run_tool("systemd-analyze", "verify", "--man=no", self.unit())
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_unit_is_hardened(self):
        done = self.run_tool("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20",
                             self.unit())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_user(self):
        path = os.path.join(DIST, "systemd/weft.sysusers")
        root = os.path.join(self.folder, "root")
        os.makedirs(os.path.join(root, "etc"))
        done = self.run_tool("systemd-sysusers", f"--root={root}", path)
        if done.returncode and os.geteuid():
            self.skipTest("users are made as root alone")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(os.path.join(root, "etc/passwd"), encoding="utf-8") as file:
            self.assertRegex(file.read(), r"(?m)^weft:.*:/var/lib/weft:.*nologin$")

    def test_configuration(self):
        """The file that is installed is valid, and so is each setting it has in a comment."""
        text = self.read("weftd.yaml")
        every = re.sub(r"(?m)^self: unix.*\n", "", re.sub(r"(?m)^#(\w+:|  )", r"\1", text))
        for name, content in (("as it comes", text), ("all of it", every)):
            content = content.replace("/run/weft", self.folder).replace("/var/lib/weft", self.folder)
            path = os.path.join(self.folder, "weftd.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
            done = self.run_tool(harness.program("weftd"), "--check", "-c", path)
            self.assertEqual((done.returncode, done.stderr), (0, ""), f"{name}:\n{content}")
        for words in ("robot.base", "robot.arm", "network       lab", "asked by local"):
            self.assertIn(words, done.stdout)

    def test_exit_codes_are_documented(self):
        done = self.run_tool(harness.program("weftd"), "--help")
        for code in range(4):
            self.assertRegex(done.stdout, rf"(?s)Exit codes:.*\b{code} ")


if __name__ == "__main__":
    harness.main()
