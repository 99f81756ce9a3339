"""Runs a program in a mount namespace of its own where /run/systemd/journal/socket is ours, and prints each
entry that arrives there as "journal {json}". The program's standard error goes to a file that
$JOURNAL_STREAM names, as a service's does.

    unshare -rm fake_journal.py FOLDER PROGRAM ARG…"""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading

SOCKET = "/run/systemd/journal/socket"


def fields(data):
    """KEY=value lines, or KEY, a newline, the length and the value."""
    entry = {}
    while data:
        line, _, rest = data.partition(b"\n")
        key, equals, value = line.partition(b"=")
        if not equals:
            size, = struct.unpack("<Q", rest[:8])
            value, rest = rest[8:8 + size], rest[8 + size + 1:]
        entry[key.decode()] = value.decode()
        data = rest
    return entry


def listen():
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
    os.makedirs(os.path.dirname(SOCKET))
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(SOCKET)
    return journal


def print_entries(journal):
    while data := journal.recv(1 << 16):  # until an empty one
        print("journal", json.dumps(fields(data)), flush=True)


def main():
    folder, program = sys.argv[1], sys.argv[2:]
    journal = listen()
    printer = threading.Thread(target=print_entries, args=(journal,))
    printer.start()
    with open(os.path.join(folder, "stderr"), "wb") as stderr:
        st = os.fstat(stderr.fileno())
        env = dict(os.environ, JOURNAL_STREAM=f"{st.st_dev}:{st.st_ino}")
        child = subprocess.Popen(program, stderr=stderr, env=env)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    code = child.wait()
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"", SOCKET)
    printer.join()
    sys.exit(code)


main()
