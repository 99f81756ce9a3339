"""A name server of a test's own: it answers for the names that it knows; of others it says that they do not
exist, or nothing.

    names = NameServer(gateway)                all programs of the test ask it from now on
    names.know("seed.lab", "10.77.1.2")
    names.silent = True                        questions for other names are read and not answered

It speaks as much of RFC 1035 as the resolver of libc asks: A and AAAA over UDP."""

import os
import socket
import struct
import threading
import time

import world

A, NXDOMAIN, OK = 1, 3, 0


class NameServer:
    def __init__(self, address, options="timeout:2 attempts:2"):
        self.addresses, self.silent = {}, False
        self.asked, self.changed = [], threading.Condition()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self._become_the_resolver(address, options)
        threading.Thread(target=self._serve, daemon=True).start()

    @staticmethod
    def _become_the_resolver(address, options):
        """The mount is this test's alone: it runs in a mount namespace."""
        conf = "/run/resolv.conf"
        with open(conf, "w", encoding="ascii") as file:
            file.write(f"nameserver {address}\noptions {options}\n")
        real = os.path.realpath("/etc/resolv.conf")
        if not os.path.exists(real):
            os.makedirs(os.path.dirname(real), exist_ok=True)
            with open(real, "w", encoding="ascii"):
                pass
        world.run("mount", "--bind", conf, real)

    def _serve(self):
        while True:
            try:
                question, sender = self.socket.recvfrom(512)
            except OSError:
                return
            name, kind, end = self._parse(question)
            with self.changed:
                self.asked.append(name)
                self.changed.notify_all()
                quiet = self.silent and name not in self.addresses
                answer = None if quiet else self._answer(question[:end], name, kind)
            if answer:
                self.socket.sendto(answer, sender)

    @staticmethod
    def _parse(question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        return ".".join(labels), struct.unpack(">H", question[at + 1:at + 3])[0], at + 5

    def _answer(self, question, name, kind):
        address = self.addresses.get(name)
        records = b""
        if address and kind == A:
            records = struct.pack(">HHHIH", 0xC00C, A, 1, 1, 4) + socket.inet_aton(address)
        head = struct.pack(">HHHHHH", struct.unpack(">H", question[:2])[0],
                           0x8180 | (OK if address else NXDOMAIN), 1, 1 if records else 0, 0, 0)
        return head + question[12:] + records

    def wait_asked(self, name, times=1, timeout=30):
        with self.changed:
            assert self.changed.wait_for(lambda: self.asked.count(name) >= times, timeout), \
                f"not asked for {name} {times} times within {timeout} s: {self.asked}"

    def know(self, name, address):
        with self.changed:
            self.addresses[name] = address
        return time.monotonic()

    def close(self):
        self.socket.close()
