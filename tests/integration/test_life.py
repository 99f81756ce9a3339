"""What a node makes of its surroundings: an address in use, another network, itself, its namesake, its
address book, and SIGTERM in the middle of everything."""

import glob
import os
import stat
import subprocess
import time
import uuid

import harness

NOBODY = 65534


class Life(harness.Case):
    def fails(self, router, *words, **how):
        """The program ends with an error that holds each of the words."""
        router.start(ready=False, **how)
        code = router.proc.exit_code()
        router.proc.may_exit_with.add(code)
        self.assertGreater(code, 0, router.proc.tail())
        for word in words:
            self.assertTrue(any(word in line for line in router.proc.lines), f"{word!r} is not said:\n"
                            + router.proc.tail())

    def test_address_in_use(self):
        first = self.router("lab.a")
        self.fails(harness.Router(self, "lab.b", port=first.port), "in use", str(first.port))
        self.assertIsNone(first.proc.process.poll())

    def test_unix_socket_in_use(self):
        first = self.router("lab.a")
        second = harness.Router(self, "lab.b")
        self.replace(second.config, second.sock, first.sock)
        self.fails(second, "in use", first.sock_file)

    def replace(self, path, old, new):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertIn(old, text)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))

    def test_config_with_a_mistake(self):
        router = harness.Router(self, "lab.a", extra="peeers:\n  - tcp://127.0.0.1:1/x\n")
        self.fails(router, "peeers", os.path.basename(router.config))

    def test_config_with_a_bad_url(self):
        router = harness.Router(self, "lab.a", peers=["tcp://127.0.0.1/no-port"])
        self.fails(router, "127.0.0.1/no-port")

    def test_check_says_and_starts_nothing(self):
        router = harness.Router(self, "lab.a", peers=["tcp://127.0.0.1:1/lab.b"])
        proc = self.spawn("weftd --check", [harness.program("weftd"), "--check", "-c", router.config])
        lines = "\n".join(proc.expect_exit(0))
        self.assertIn(router.url, lines)
        self.assertIn("tcp://127.0.0.1:1/lab.b", lines)
        self.assertFalse(os.path.exists(router.sock_file))

    def test_other_network(self):
        """Refused with the reason on both sides; the dialling side keeps it in its address book."""
        one = self.router("lab.a", network="one")
        two = self.router("lab.b", network="two", peers=[one.url])
        for router in (one, two):
            router.proc.wait_line("(?i)refused.*network")
            self.assertEqual(router.proc.count("peer up"), 0, router.proc.tail())
        book = self.run_weft("addrbook", "dump", two.sock, "--network", "two", "--tsv")
        self.assertIn('is in network "one"', book)

    def test_same_network(self):
        one = self.router("lab.a", network="one")
        self.router("lab.b", network="one", peers=[one.url])
        one.wait_peer("lab.b")

    def test_dials_itself(self):
        """Under another name of its own address: found out, said once, and not tried again."""
        router = harness.Router(self, "lab.a")
        with open(router.config, "a", encoding="utf-8") as file:
            file.write(f"peers: ['tcp://localhost:{router.port}/lab.other']\n")
        router.start()
        router.proc.wait_line("(?i)itself|self")
        other = self.router("lab.b", peers=[router.url])
        router.wait_peer("lab.b")
        other.wait_peer("lab.a")
        self.assertLessEqual(router.proc.count("(?i)itself|self-connection"), 2, router.proc.tail())

    def test_same_path_twice(self):
        """Said, and it works."""
        one = self.router("lab.a")
        two = self.router("lab.a", peers=[one.url])
        one.wait_peer("lab.a")
        one.proc.wait_line("has this node's path")
        sub = self.weft("sub", "T@lab.a.x", "-P", one.sock)
        pub = self.weft("pub", "T@lab.a.x", "-", "-P", two.sock, stdin=subprocess.PIPE)
        word = uuid.uuid4().hex
        pub.process.stdin.write(word + "\n")
        pub.process.stdin.close()
        sub.wait_line(word)
        pub.expect_exit(0)

    def test_corrupt_address_book(self):
        """Set aside under a name that is told; the node starts from its configuration."""
        seed = self.router("lab.a")
        router = self.router("lab.b", peers=[seed.url])
        router.wait_peer("lab.a")
        router.proc.terminate()
        with open(router.addrbook, "r+b") as book:
            book.seek(40)
            book.write(b"\xa5\x5a\xa5\x5a")
            book.seek(0)
            damaged = book.read()
        router.start()
        router.wait_peer("lab.a")
        aside = [path for path in glob.glob(router.addrbook + "*") if open(path, "rb").read() == damaged]
        self.assertEqual(len(aside), 1, os.listdir(self.folder))
        router.proc.wait_line(os.path.basename(aside[0]) + r"(?:\W|$)")
        router.proc.terminate()
        self.run_weft("addrbook", "dump", router.addrbook)
        self.assertTrue(os.path.exists(aside[0]))

    def test_damaged_book_is_reported_by_the_dump(self):
        path = os.path.join(self.folder, "damaged.book")
        with open(path, "wb") as book:
            book.write(os.urandom(200))
        proc = self.weft("addrbook", "dump", path)
        self.assertGreater(proc.exit_code(), 0)
        proc.may_exit_with.add(proc.process.returncode)
        self.assertTrue(any("damaged.book" in line for line in proc.lines), proc.tail())

    def test_address_book_without_permission(self):
        """Named, with the reason, and left as it is: the node does not start over with an empty book."""
        router = self.router("lab.a")
        router.proc.terminate()
        with open(router.addrbook, "rb") as book:
            before = book.read()
        os.chmod(router.addrbook, 0)
        os.chmod(self.folder, 0o777)
        user = NOBODY if os.geteuid() == 0 else None  # root reads everything
        self.fails(router, "ermission", router.addrbook, user=user)
        self.assertEqual(stat.S_IMODE(os.stat(router.addrbook).st_mode), 0)
        os.chmod(router.addrbook, 0o600)
        with open(router.addrbook, "rb") as book:
            self.assertEqual(book.read(), before)

    def test_address_book_that_is_no_file(self):
        """A pipe would be waited for, and a device be replaced by a file: neither is touched."""
        router = harness.Router(self, "lab.a")
        for make, remove in ((os.mkfifo, os.remove), (os.mkdir, os.rmdir),
                             (lambda path: os.symlink("/dev/zero", path), os.remove)):
            make(router.addrbook)
            self.fails(router, router.addrbook + ": not a regular file")
            self.assertEqual([path for path in os.listdir(self.folder) if "corrupt" in path], [])
            remove(router.addrbook)

    def test_address_book_that_cannot_be_made(self):
        """Said when the node starts, not when it ends and the identity is lost."""
        router = harness.Router(self, "lab.a")
        self.replace(router.config, router.addrbook, router.addrbook + "/no/such/folder")
        router.start()
        router.proc.wait_line("address book .*/no/such/folder could not be saved: No such file or directory")
        other = self.router("lab.b")
        deadline = time.monotonic() + harness.PATIENCE
        while not os.path.exists(other.addrbook) and time.monotonic() < deadline:
            time.sleep(0.01)
        other.proc.kill9()
        self.run_weft("addrbook", "dump", other.addrbook)

    def test_unix_sockets_that_cannot_be(self):
        """The remedy fits a file, and what stands in the way is left as it is."""
        plain = os.path.join(self.folder, "plain.sock")
        with open(plain, "w", encoding="utf-8") as file:
            file.write("precious")
        long = os.path.join(self.folder, "x" * 120 + ".sock")
        for path, words in ((plain, "the file is no socket"), (long, "at most 107 bytes")):
            router = harness.Router(self, "lab.a")
            self.replace(router.config, router.sock_file, path)
            self.fails(router, path, words)
        with open(plain, encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious")

    def test_stale_socket_file(self):
        """What a killed router leaves behind is no obstacle."""
        router = self.router("lab.a")
        router.proc.kill9()
        self.assertTrue(os.path.exists(router.sock_file))
        router.start()
        self.run_weft("ping", router.sock, "--count", "1")

    def test_sigterm_in_the_middle_of_traffic(self):
        """Ends with 0 within its linger time, however much is under way; the others live on."""
        one = self.router("lab.a")
        two = self.router("lab.b", peers=[one.url])
        one.wait_peer("lab.b")
        sub = self.weft("sub", "T@lab.a.x", "-P", two.sock, "--format", "text")
        pub = self.weft("pub", "T@lab.a.x", "-P", one.sock, "--size", "1024",
                        "--rate", "20000")
        sub.wait_line(".")
        started = time.monotonic()
        one.proc.terminate()
        print(f"ended {time.monotonic() - started:.2f} s after SIGTERM", flush=True)
        two.proc.wait_line("peer down.*lab.a")
        for proc in (two.proc, sub, pub):
            self.assertIsNone(proc.process.poll(), proc.tail())
        one.start()
        mark = sub.mark()
        sub.wait_line(".", since=mark)
        pub.may_exit_with.add(pub.terminate_any())
        sub.may_exit_with.add(sub.terminate_any())


if __name__ == "__main__":
    harness.main()
