"""weftd's configuration: what it takes, and that each mistake is told with its line and column, what was
found and what was expected."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)

SELF = "self: tcp://0.0.0.0:7400/robot.base\n"

WHOLE = """\
self: tcp://0.0.0.0:7400/robot.base
network: lab                     # a comment
advertise: tcp://robot.lan:7400/robot.base
listen: [unix:///run/weft.sock/robot.base]
peers:
  - tcp://10.0.0.2:7400/robot.arm
  - {url: tcp://10.0.0.3:7400/robot.eye, persistent: true, max_backoff: 10s}
  - url: tcp://10.0.0.4:7400/robot.leg
    persistent: false
    max_attempts: 7
    backoff: 500ms
    multiplier: 2
addrbook: FOLDER/addrbook
limits: {max_frame: 8MiB, peers: 99, routes: 1000, outbox: 1MiB}
linger: 500ms
log: {level: debug, format: json}
access: {info: any, control: none}
pid_file: FOLDER/pid
role: peer
allow_base: true
http: {listen: [0.0.0.0:7480, unix:FOLDER/http.sock], names: [robot.lan], remote: true}
"""

# The text, and where and what the complaint is: line, column, words.
MISTAKES = [
    ("unknown key", SELF + "netwrok: lab\n", 2, 1, ["netwrok", 'did you mean "network"', "allow_base"]),
    ("unknown key of a peer", "peers:\n  - {url: tcp://h:1/a, persistant: true}\n", 2, 24,
     ["peers[0]", 'did you mean "persistent"']),
    ("unknown limit", SELF + "limits: {frames: 1}\n", 2, 10, ["limits", "max_frame"]),
    ("key twice", SELF + "network: a\nnetwork: b\n", 3, 1, ["network", "twice", "line 2"]),
    ("url without a port", "self: tcp://0.0.0.0/robot.base\n", 1, None, ["self", "tcp://10.0.0.2:7400"]),
    ("url in quotes", 'self: "nonsense"\n', 1, None, ["self", "nonsense", "expected a peer URL"]),
    ("url in a list", SELF + "listen:\n  - unix:///run/weft.sock/a\n  - what\n", 4, None, ["listen[1]", "what"]),
    ("bad peer", "peers:\n  - tcp://h:1/a\n  - 17\n", 3, None, ["peers[1]"]),
    ("peer that is a list", "peers:\n  - [a, b]\n", 2, 5, ["peers[0]", "found a list"]),
    ("peer without url", "peers:\n  - {persistent: true}\n", 2, 5, ["peers[0]", "url is missing"]),
    ("peers that are no list", "peers: tcp://h:1/a\n", 1, 8, ["peers", "a list", "- "]),
    ("listen that is no list", SELF + "listen: unix:///a.sock/b\n", 2, 9, ["listen", "a list"]),
    ("backoff longer than its maximum", "peers:\n  - {url: tcp://h:1/a, backoff: 2s, max_backoff: 1s}\n",
     2, 5, ["max_backoff is shorter"]),
    ("duration without unit", SELF + "linger: 10\n", 2, 9, ["linger", '"10"', "500ms, 10s"]),
    ("duration of nonsense", "peers:\n  - {url: tcp://h:1/a, max_backoff: 10 parsecs}\n", 2, 37,
     ["peers[0].max_backoff", "10 parsecs", "500ms, 10s"]),
    ("duration too long", SELF + "linger: 2h\n", 2, 9, ["from 0s to 1h"]),
    ("size of nonsense", SELF + "limits: {max_frame: 4XB}\n", 2, 21, ["limits.max_frame", "4XB", "4MiB"]),
    ("size too large", SELF + "limits: {max_frame: 65MiB}\n", 2, 21, ["from 64KiB to 64MiB"]),
    ("number out of range", SELF + "limits:\n  peers: 0\n", 3, 10, ["limits.peers", "from 1 to"]),
    ("number that is none", SELF + "limits:\n  routes: many\n", 3, 11, ["limits.routes", "many"]),
    ("limits that are no mapping", SELF + "limits: 4MiB\n", 2, 9, ["limits", "a mapping"]),
    ("multiplier", "peers:\n  - {url: tcp://h:1/a, multiplier: 99}\n", 2, 36, ["multiplier", "1 to 10"]),
    ("attempts", "peers:\n  - {url: tcp://h:1/a, max_attempts: 0}\n", 2, 38, ["max_attempts"]),
    ("boolean", SELF + "allow_base: maybe\n", 2, 13, ["allow_base", "maybe", "true or false"]),
    ("choice", SELF + "log: loud\n", 2, 6, ["log", "loud", "error, warn, info or debug"]),
    ("level", SELF + "log: {level: loud}\n", 2, 14, ["log.level", "loud", "error, warn, info or debug"]),
    ("format", SELF + "log: {format: xml}\n", 2, 15, ["log.format", "xml", "auto, text, json or journal"]),
    ("unknown key of log", SELF + "log: {levle: info}\n", 2, 7, ["log", 'did you mean "level"']),
    ("log that is a list", SELF + "log: [info]\n", 2, 6, ["log", "found a list"]),
    ("access", SELF + "access: {info: all}\n", 2, 16, ["access.info", "all", "none, unix, local or any"]),
    ("access that is no mapping", SELF + "access: any\n", 2, 9, ["access", "a mapping of info and control"]),
    ("pid_file", SELF + "pid_file: [a]\n", 2, 11, ["pid_file", "found a list", "a text"]),
    ("http that is no mapping", SELF + "http: 7480\n", 2, 7, ["http", "a mapping of listen, names and remote"]),
    ("unknown key of http", SELF + "http: {lissen: []}\n", 2, 8, ["http", 'did you mean "listen"']),
    ("address without a port", SELF + "http: {listen: [127.0.0.1]}\n", 2, 17, ["http.listen[0]", "127.0.0.1:7480"]),
    ("address that is a name", SELF + "http:\n  listen:\n    - '[::1]:80'\n    - robot:80\n", 5, 7,
     ["http.listen[1]", "robot:80", "unix:/PATH"]),
    ("address for all", SELF + "http: {listen: ['[::1]:1', '0.0.0.0:7480'], remote: false}\n", 2, 28,
     ["http.listen[1]", "other hosts", "remote: true"]),
    ("addresses that are no list", SELF + "http: {listen: 127.0.0.1:7480}\n", 2, 16, ["http.listen", "a list"]),
    ("name of a host", SELF + "http: {names: ['a/b']}\n", 2, 16, ["http.names[0]", "robot.lan"]),
    ("http twice", SELF + "http: {remote: true}\nhttp: {}\n", 3, 1, ["http", "twice"]),
    ("nothing", SELF + "role:\n", 2, 6, ["role", "found nothing", "client or leaf"]),
    ("mapping for a text", SELF + "network: {a: b}\n", 2, 10, ["network", "found a mapping", "a text"]),
    ("NUL in a text", SELF + 'network: "a\\0b"\n', 2, 10, ["network", "NUL"]),
    ("endless text", SELF + "network: " + "n" * 2000 + "\n", 2, 10, ["network", "2000 bytes", "1024"]),
    ("control characters are not passed on", SELF + 'log: "\\e[31m"\n', 2, 6, ["\\x1b"]),
    ("key that is none", SELF + "[a, b]: c\n", 2, 1, ["found a list", "a key"]),
    ("a list as the whole", "- a\n- b\n", 1, 1, ["found a list", "self:"]),
    ("a word as the whole", "hello\n", 1, 1, ["hello", "self:"]),
    ("a second document", SELF + "---\nself: x\n", 3, 1, ["second document"]),
    ("a tab", SELF + "\tpeers: x\n", 2, 1, ["not valid YAML", "spaces, not tabs"]),
    ("an open bracket", "peers: [tcp://h:1/a\nlog: info\n", 2, None, ["not valid YAML", "brackets"]),
    ("an unknown alias", "self: *nobody\n", 1, 7, ["not valid YAML"]),
]

# Contradictions of settings no single line is to blame for.
CONTRADICTIONS = [
    ("", "nothing to do"),
    ("network: lab\n", "nothing to do"),
    (SELF + "role: leaf\n", "do not listen"),
    ("role: peer\npeers: [tcp://h:1/a]\n", "must listen"),
    (SELF + "path: robot\n", "self has a path already"),
    ("listen: [tcp://0.0.0.0:1/a]\npeers: [tcp://h:1/a]\n", "no self"),
    ("advertise: tcp://h:1/a\npeers: [tcp://h:1/a]\n", "does not listen"),
    (SELF + "addrbook: /nowhere/at/all/book\n", "mkdir -p /nowhere/at/all"),
    (SELF + "http: {listen: ['unix:/nowhere/at/all']}\n", "http.listen: the folder /nowhere/at does not exist"),
    (SELF + "pid_file: /nowhere/at/all/pid\n", "pid_file: the folder /nowhere/at/all does not exist"),
    ("self: unix:///nowhere/at/all.sock/a\n", "self: the folder /nowhere/at does not exist"),
    (SELF + "listen: [unix:///nowhere/at/all]\n", "listen: the folder /nowhere does not exist"),
    (SELF + "listen: [unix:///nowhere/at/all.sock]\n", "listen: the folder /nowhere/at does not exist"),
]


class Config(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.file = os.path.join(self.folder.name, "weftd.yaml")
        self.has_http = "built without" not in self.check(SELF + "http: {}\n").stderr

    def weftd(self, *args):
        done = subprocess.run([harness.program("weftd"), *args], capture_output=True, text=True,
                              timeout=harness.PATIENCE, check=False)
        self.assertNotRegex(done.stderr, harness.SANITIZER)
        return done

    def check(self, text, *args):
        mode = "wb" if isinstance(text, bytes) else "w"
        with open(self.file, mode) as file:
            file.write(text)
        return self.weftd("--check", "-c", self.file, *args)

    def test_everything(self):
        if not self.has_http:
            self.skipTest("a weftd without its HTTP listener")
        done = self.check(WHOLE.replace("FOLDER", self.folder.name))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        self.assertEqual(re.sub(" +", " ", done.stdout), f"""\
role peer
listens on tcp://0.0.0.0:7400/robot.base
listens on unix:///run/weft.sock/robot.base
advertises tcp://robot.lan:7400/robot.base
dials tcp://10.0.0.2:7400/robot.arm, for ever, pauses from 1s to 1m growing by 1.5
dials tcp://10.0.0.3:7400/robot.eye, for ever, pauses from 1s to 10s growing by 1.5
dials tcp://10.0.0.4:7400/robot.leg, gives up after 7 failures, pauses from 500ms to 1m growing by 2
network lab, and base peers
address book {self.folder.name}/addrbook (will be made)
limits 8MiB a frame, 99 peers, 1000 routes, 1MiB queued for a peer
access asked by any, steered by none
log debug, format json
pid file {self.folder.name}/pid
http 0.0.0.0:7480
http unix:{self.folder.name}/http.sock
""")
        self.assertEqual(os.listdir(self.folder.name), ["weftd.yaml"], "--check opens nothing")

    def test_mistakes(self):
        for name, text, line, column, words in MISTAKES:
            if "http" in text and not self.has_http:
                continue
            with self.subTest(name):
                done = self.check(text)
                self.assertEqual(done.returncode, 1, done.stderr)
                place = f"{self.file}:{line}:" + (f"{column}: " if column else "")
                complaints = [said for said in done.stderr.splitlines() if said.startswith(place)]
                self.assertEqual(len(complaints), 1, f"{place} in:\n{done.stderr}")
                for word in words:
                    self.assertIn(word, complaints[0])

    def test_all_mistakes_are_told(self):
        done = self.check("self: x\nlog: loud\nrole: boss\nlinger: soon\npeers: 7\n")
        self.assertEqual(done.returncode, 1)
        self.assertEqual([int(said.split(":")[1]) for said in done.stderr.splitlines()], [1, 2, 3, 4, 5])

    def test_mistakes_are_counted_where_there_is_no_end(self):
        done = self.check(SELF + "".join(f"x{n}: 1\n" for n in range(1000)))
        lines = done.stderr.splitlines()
        self.assertLess(len(lines), 100)
        self.assertRegex(lines[-1], r"and \d+ more")

    def test_contradictions(self):
        for text, words in CONTRADICTIONS:
            if "http" in text and not self.has_http:
                continue
            with self.subTest(words):
                done = self.check(text)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(words, done.stderr)

    def test_what_is_no_text(self):
        for data, words in ((b"\xff\xfe\x00\x01 self", "not valid YAML"), (b"self: \xc3\x28\n", "UTF-8"),
                            (b"# " + b"x" * (1 << 20) + b"\n", "larger than a MiB"),
                            (b"[" * 1000, "not valid YAML")):
            done = self.check(data)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(words, done.stderr)

    def test_files_that_cannot_be_read(self):
        for file, words in ((self.folder.name, "Is a directory"), (self.file + "x", "No such file")):
            done = self.weftd("-c", file)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn(words, done.stderr)
            self.assertIn(file, done.stderr)

    def test_a_wrong_file_is_not_run(self):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write("self: nonsense\n")
        done = self.weftd("-c", self.file)
        self.assertEqual(done.returncode, 3)
        self.assertIn(f"{self.file}:1:", done.stderr)

    def test_command_line_over_file(self):
        done = self.check(SELF + "peers: [tcp://h:1/a]\n", "-l", "tcp://127.0.0.1:1/b", "-l", "unix:///c.sock/d",
                          "-P", "tcp://i:2/e", "--addrbook", os.path.join(self.folder.name, "book"), "--log", "error",
                          "--log-format", "json", "--pid-file", os.path.join(self.folder.name, "pid"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("0.0.0.0", done.stdout)
        for word in ("tcp://127.0.0.1:1/b", "unix:///c.sock/d", "tcp://h:1/a", "tcp://i:2/e", "/book", "/pid",
                     "error, format json"):
            self.assertIn(word, done.stdout)

    def test_roles_without_self(self):
        for peers, role in ((["unix:///a.sock/b"], "leaf"), (["unix:///a.sock/b", "tcp://h:1/a"], "client")):
            args = [arg for url in peers for arg in ("-P", url)]
            self.assertRegex(self.weftd("--check", *args).stdout, f"role +{role}\n")

    def test_no_network_is_none(self):
        said = re.sub(" +", " ", self.check(SELF).stdout)
        self.assertIn("\nnetwork none: it meets only nodes without one\n", said)

    def test_a_loopback_address_that_others_cannot_reach(self):
        def warned(self_url, peer, more=""):
            done = self.check(f"self: {self_url}\npeers: ['{peer}']\n{more}")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            return re.findall(r"^warning +(.*)", done.stdout, re.MULTILINE)

        far, near = "tcp://10.0.0.2:7400/robot.arm", "tcp://127.0.0.1:7401/robot.arm"
        for own in ("tcp://127.0.0.1:7400/b", "tcp://localhost:7400/b", "tcp://[::1]:7400/b"):
            said = warned(own, far)
            self.assertEqual(len(said), 1, own)
            self.assertIn(f"self {own} is a loopback address: nodes on other hosts, such as {far}, cannot", said[0])
            self.assertEqual(warned(own, near), [])
            self.assertEqual(warned(own, far, "advertise: tcp://robot.lan:7400/b\n"), [])
        for own in ("tcp://0.0.0.0:7400/b", "tcp://10.0.0.127:7400/b", "unix:///run/w.sock/b"):
            self.assertEqual(warned(own, far), [], own)

    def test_usage(self):
        for args, words in ((["--chekc"], "--chekc"), (["file.yaml"], "-c FILE"), (["--log", "loud"], "loud"),
                            (["--log-format", "xml"], "auto, text, json or journal"), (["--pid-file"], "requires"),
                            (["-c"], "requires an argument")):
            done = self.weftd(*args)
            self.assertEqual(done.returncode, 2)
            self.assertIn(words, done.stderr)
            self.assertIn("weftd --help", done.stderr)
        for args, words in ((["-P", "nonsense"], "-P nonsense"), (["-l", "tcp://x"], "-l tcp://x")):
            done = self.weftd(*args)
            self.assertEqual(done.returncode, 3)
            self.assertIn(words, done.stderr)

    def test_help_and_version(self):
        self.assertIn("Exit codes:", self.weftd("--help").stdout)
        self.assertRegex(self.weftd("--version").stdout, r"^weftd \d+\.\d+")

    def test_the_file_of_the_help_is_valid(self):
        text = self.weftd("--help").stdout
        text = text[text.index("  self:"):text.index("Exit codes:")]
        text = text.replace("/var/lib/weft", self.folder.name).replace("/run/weft", self.folder.name).replace("  path:", "  # path:")
        if not self.has_http:
            text = text.replace("  http:", "  # http:")
        done = self.check(text)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    harness.main()
