"""The servers some of the peers need: nats-server, redis-server, mosquitto.

Each is started on an ephemeral port of the loopback interface, with a configuration of its own in a
temporary folder, and is there once it has answered a request of its protocol. It is ended by its pid when
the benchmark ends, in whatever way; the kernel ends it if the benchmark is killed. Without the server's
package, or if it does not start, start() raises BrokerError with what to tell the reader."""

import collections
import getpass
import os
import shutil
import socket
import subprocess
import threading

PATIENCE = 20  # seconds, for what takes a fraction of one
TRIES = 5  # another may take the port between our look at it and the server's

NATS = """\
host: 127.0.0.1
port: {port}
max_payload: 8MB
max_pending: 1GB
write_deadline: "30s"
"""

REDIS = """\
bind 127.0.0.1
port {port}
dir {folder}
save ""
appendonly no
client-output-buffer-limit pubsub 0 0 0
"""

MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
user {user}
persistence false
max_queued_messages 0
max_queued_bytes 0
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
log_type information
"""


class BrokerError(Exception):
    pass


def nats_answers(conn):
    conn.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
    return b"PONG" in read_until(conn, b"PONG\r\n")


def redis_answers(conn):
    conn.sendall(b"PING\r\n")
    return b"+PONG" in read_until(conn, b"\r\n")


def mosquitto_answers(conn):
    """CONNECT of MQTT 3.1.1, clean session, no name; CONNACK with return code 0."""
    conn.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
    return read_until(conn, b"\x20\x02\x00\x00") == b"\x20\x02\x00\x00"


def read_until(conn, mark):
    got = b""
    while mark not in got:
        part = conn.recv(4096)
        if not part:
            break
        got += part
    return got


# name: program, package, configuration, how it is called, what it logs when it serves, a request
KINDS = {
    "nats": ("nats-server", "nats-server", NATS, ["-c", "{conf}"], "Server is ready", nats_answers),
    "redis": ("redis-server", "redis-server", REDIS, ["{conf}"], "Ready to accept connections", redis_answers),
    "mosquitto": ("mosquitto", "mosquitto", MOSQUITTO, ["-c", "{conf}"], "running", mosquitto_answers),
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def find_program(name):
    """Debian puts servers where an ordinary user's PATH does not look."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")


class Broker:
    def __init__(self, name, folder):
        self.name = name
        self.folder = os.path.join(folder, name)
        self.port = None
        self.process = None
        self.lines = collections.deque(maxlen=30)
        self.ready = threading.Event()

    def start(self):
        program, package = KINDS[self.name][:2]
        path = find_program(program)
        if not path:
            raise BrokerError(f"{program} is not installed (package {package})")
        os.makedirs(self.folder, mode=0o755, exist_ok=True)
        for _ in range(TRIES):
            if self._try(path):
                return self
            self.stop()
        raise BrokerError(f"{program} did not start: {' / '.join(self.lines) or 'it said nothing'}")

    def _try(self, path):
        _, _, template, args, ready_line, answers = KINDS[self.name]
        self.port = free_port()
        self.ready.clear()
        self.lines.clear()
        user = getpass.getuser()  # a server that changes to another is out of setpriv's reach
        conf = os.path.join(self.folder, "server.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(template.format(port=self.port, folder=self.folder, user=user))
        # setpriv has the kernel end the server when we die without a chance to do it. A session of its own
        # keeps the terminal's Ctrl-C from it: it goes when we say so, after those that use it.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", path] + [arg.format(conf=conf) for arg in args],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True)
        threading.Thread(target=self._read, args=(self.process, ready_line), daemon=True).start()
        return self.ready.wait(PATIENCE) and self.process.poll() is None and self._asked(answers)

    def _read(self, process, ready_line):
        """Takes what the server says as long as it lives: a full pipe would stop it."""
        for line in process.stdout:
            self.lines.append(line.strip())
            if ready_line in line:
                self.ready.set()
        self.ready.set()

    def _asked(self, answers):
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as conn:
                conn.settimeout(PATIENCE)
                return answers(conn)
        except OSError:
            return False

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Brokers:
    """Those that are needed, started at first use and again if one has died. Errors are kept and given again."""

    def __init__(self, folder):
        self.folder = folder
        self.brokers = {}
        self.errors = {}

    def port(self, name):
        broker = self.brokers.get(name)
        if broker and broker.alive():
            return broker.port
        if name in self.errors:
            raise BrokerError(self.errors[name])
        broker = self.brokers[name] = Broker(name, self.folder)
        try:
            return broker.start().port
        except BrokerError as error:
            self.errors[name] = str(error)
            raise

    def stop(self):
        for broker in self.brokers.values():
            broker.stop()
