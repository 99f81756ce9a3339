"""A running weftd is told things: to read its configuration anew, by SIGHUP and by `weft reload`, and how much
to log, by `weft log`. Links of peers that stay are not touched by any of it."""

import json
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)
from test_service import Manager  # noqa: E402


class Reload(harness.Case):
    def setUp(self):
        super().setUp()
        self.b, self.c, self.d = (self.router(f"lab.{name}") for name in "bcd")
        self.a = harness.Router(self, "lab.a", addrbook=False)
        self.written = None

    def write(self, peers, extra=""):
        self.written = (f"self: {self.a.url}\nlisten: ['{self.a.sock}']\npeers:\n"
                        + "".join(f"  - {peer}\n" for peer in peers) + extra)
        with open(self.a.config, "w", encoding="utf-8") as file:
            file.write(self.written)

    def start(self, peers, extra=""):
        self.write(peers, extra)
        self.a.start()

    def reload(self, *options, code=0):
        return self.run_weft("reload", self.a.sock, *options, code=code)

    def test_peers_come_and_go_and_links_that_stay_are_not_touched(self):
        self.start([self.b.url, self.c.url])
        for router in (self.b, self.c):
            router.wait_peer("lab.a")
        downs = self.b.proc.mark()
        mark = self.a.proc.mark()
        before = self.peers()
        self.assertEqual(set(before), {"lab.b", "lab.c"})
        self.write([self.b.url, self.d.url])
        said = self.reload("--dry-run")
        self.assertEqual(said.splitlines(), [
            f"would drop {self.c.url} and any link to it",
            f"would dial {self.d.url}, for ever, pauses from 1s to 1m growing by 1.5"])
        self.assertEqual(self.a.proc.count("reload", since=mark), 0, "a dry run changes nothing")
        said = self.reload()
        self.assertEqual(said.splitlines(), [
            f"dropped {self.c.url} and any link to it",
            f"dials {self.d.url}, for ever, pauses from 1s to 1m growing by 1.5"])
        self.d.wait_peer("lab.a")
        self.c.proc.wait_line(harness.PEER_DOWN.format(path="lab.a"))
        self.a.proc.wait_line(f"info  reload: dropped {re.escape(self.c.url)}", since=mark)
        self.assertEqual(self.reload(), "nothing is different")
        self.assertEqual(self.b.proc.count(harness.PEER_DOWN.format(path="lab.a"), since=downs), 0, self.b.proc.tail())
        after = self.peers()
        self.assertEqual(set(after), {"lab.b", "lab.d"})
        self.assertGreaterEqual(after["lab.b"], before["lab.b"])
        self.assertLess(after["lab.d"], after["lab.b"])

    def test_one_of_two_names_of_a_node_goes(self):
        self.start([self.b.sock, self.b.url])
        deadline = time.monotonic() + harness.PATIENCE
        while not self.known_as_one(self.b.sock, self.b.url):
            self.assertLess(time.monotonic(), deadline, self.a.proc.tail())
        mark = self.a.proc.mark()
        self.write([self.b.url])
        self.assertEqual(self.reload(), f"dropped {self.b.sock} and any link to it")
        self.assertNotIn(self.b.sock, self.book())
        self.assertIn(self.b.url, self.book())
        self.a.wait_peer("lab.b", since=mark)

    def test_a_dropped_peer_that_an_operator_added_stays(self):
        self.start([self.b.url, self.c.url])
        self.c.wait_peer("lab.a")
        self.run_weft("addrbook", "add", self.a.sock, self.c.url)
        mark = self.c.proc.mark()
        self.write([self.b.url])
        self.assertEqual(self.reload("--dry-run"), f"would keep {self.c.url}: an operator added it, too")
        self.assertEqual(self.reload(), f"keeps {self.c.url}: an operator added it, too")
        self.assertEqual(self.reload(), "nothing is different")
        self.assertEqual(self.c.proc.count("peer down", since=mark), 0, self.c.proc.tail())
        self.assertIn("name from    an operator\n", self.run_weft("addrbook", "why", self.a.sock, self.c.url))

    def test_one_of_two_spellings_goes(self):
        """Of one address, which is one entry of the book, whatever the path."""
        bare = self.b.url.rsplit("/", 1)[0]
        self.start([bare, self.b.url])
        self.b.wait_peer("lab.a")
        self.run_weft("addrbook", "add", self.a.sock, self.b.url)
        self.write([bare])
        self.assertEqual(self.reload(), f"keeps {self.b.url}: an operator added it, too")
        self.assertIn("an operator; the configuration names it, too",
                      self.run_weft("addrbook", "why", self.a.sock, self.b.url))

    def test_a_ban_outlives_the_configuration(self):
        self.start([self.b.url, self.c.url])
        self.run_weft("addrbook", "ban", self.a.sock, self.b.url)
        self.write([self.c.url])
        self.assertEqual(self.reload(), f"dropped {self.b.url} and any link to it")
        self.assertIn("state        banned", self.run_weft("addrbook", "why", self.a.sock, self.b.url))

    def test_a_peer_dropped_before_a_restart(self):
        """It is let go, and said so; what an operator added stays, and what is configured is not touched."""
        dead = [f"tcp://127.0.0.1:{harness.free_port()}/lab.{name}" for name in ("x", "y", "z")]
        book = os.path.join(self.folder, "a.book")
        self.start([self.b.url, *dead[:2]], f"addrbook: {book}\n")
        self.run_weft("addrbook", "add", self.a.sock, *dead[1:])
        self.b.wait_peer("lab.a")
        self.a.proc.terminate()
        self.start([self.b.url], f"addrbook: {book}\n")
        self.a.proc.wait_line(f"info  {re.escape(dead[0])} is no longer configured: it is given up")
        self.a.proc.wait_line(f"info  {re.escape(dead[1])} is no longer configured: it stays, as an operator added it")
        self.assertEqual(self.a.proc.count("is no longer configured"), 2)
        told = json.loads(self.run_weft("addrbook", "dump", self.a.sock, "--json"))["addrbook"]
        origins = {entry["peer"]: (entry["origin"], entry["in_config"], entry["persistent"]) for entry in told}
        self.assertEqual(origins[self.b.url], ("configured", True, True))
        self.assertIn(origins.get(dead[0]), (None, ("observed", False, False)))
        self.assertEqual(origins[dead[1]], ("operator", False, True))
        self.assertEqual(origins[dead[2]], ("operator", False, True))

    def book(self):
        """Node ids by address."""
        told = json.loads(self.run_weft("addrbook", "dump", self.a.sock, "--json"))
        return {entry["peer"]: entry["node_id"] for entry in told["addrbook"]}

    def known_as_one(self, *names):
        book = self.book()
        return len({book[name] for name in names}) == 1 and book[names[0]]

    def peers(self):
        """Who is linked to a, with the link's uptime."""
        told = json.loads(self.run_weft("peers", self.a.sock, "--json"))
        return {peer["path"]: peer["uptime_ms"] for peer in told["peers"] if peer["state"] == "linked"}

    def test_schedules_limits_and_levels(self):
        self.start([self.b.url])
        self.b.wait_peer("lab.a")
        downs = self.b.proc.mark()
        self.write([f"{{url: '{self.b.url}', max_backoff: 5s}}"],
                   "limits: {peers: 7, outbox: 1MiB}\nlog: {level: debug, format: json}\n")
        told = json.loads(self.reload("--json"))
        self.assertEqual((told["dry_run"], told["file"], told["problems"]), (False, self.a.config, []))
        kinds = [(change["change"], change["setting"], change["to"]) for change in told["changes"]]
        self.assertEqual(kinds, [
            ("peer_schedule", "peers", "for ever, pauses from 1s to 5s growing by 1.5"),
            ("setting", "limits.peers", "7"), ("setting", "limits.outbox", "1MiB"),
            ("setting", "log.level", "debug"), ("setting", "log.format", "json")])
        self.assertEqual(told["changes"][0]["peer"], self.b.url)
        self.assertEqual({change["error"] for change in told["changes"]}, {None})
        self.assertEqual(told["changes"][1]["from"], "1024")
        mark = self.a.proc.mark()
        self.assertEqual(self.reload(), "nothing is different")
        self.a.proc.wait_line(r'^\{"time":.*"level":"info","event":"reload"', since=mark)
        book = json.loads(self.run_weft("addrbook", "dump", self.a.sock, "--json"))
        entry, = [entry for entry in book["addrbook"] if entry["peer"] == self.b.url]
        self.assertEqual(entry["max_backoff_ms"], 5000)
        status = json.loads(self.run_weft("status", self.a.sock, "--json"))["status"]
        self.assertEqual((status["max_peers"], status["log_level"]), (7, "debug"))
        self.assertEqual(self.b.proc.count("peer down", since=downs), 0, self.b.proc.tail())

    def test_what_takes_a_restart_is_named_each_time(self):
        self.start([self.b.url])
        self.write([self.b.url], "linger: 2s\nnetwork: lab\nlog: warn\n")
        needs = ["network: lab (is: nothing)", "linger: 2s (is: 1s)"]
        self.assertEqual(self.reload("--dry-run").splitlines(), ["would change log.level: warn (was: info)"]
                         + ["would need a restart: " + text for text in needs])
        self.assertEqual(self.reload().splitlines(), ["changed log.level: warn (was: info)"]
                         + ["needs a restart: " + text for text in needs])
        self.assertEqual(self.reload().splitlines(), ["needs a restart: " + text for text in needs])

    def test_a_wrong_file_changes_nothing(self):
        self.start([self.b.url])
        self.b.wait_peer("lab.a")
        mark = self.a.proc.mark()
        self.write([self.c.url], "lgo: debug\nlinger: soon\n")
        proc = self.weft("reload", self.a.sock, split=True)
        proc.expect_exit(1)
        said = "\n".join(proc.errors)
        self.assertEqual(proc.lines, [])
        self.assertIn(f'{self.a.config}:5:1: unknown key "lgo", did you mean "log"?', said)
        self.assertIn(f"{self.a.config}:6:9: linger: found \"soon\"", said)
        self.assertIn("nothing was changed", said)
        told = json.loads(self.reload("--json", code=1))
        self.assertEqual([(problem["line"], problem["column"]) for problem in told["problems"]], [(5, 1), (6, 9)])
        self.assertEqual(told["changes"], [])
        self.a.proc.wait_line(r"error reload: .*:5:1: unknown key", since=mark)
        self.write([self.b.url])
        self.assertEqual(self.reload(), "nothing is different")

    def test_a_file_that_is_gone(self):
        self.start([self.b.url])
        os.remove(self.a.config)
        proc = self.weft("reload", self.a.sock)
        self.assertIn("No such file", "\n".join(proc.expect_exit(1)))
        self.b.wait_peer("lab.a")

    def test_a_pipe_is_read_once(self):
        self.start([self.b.url])
        os.remove(self.a.config)
        os.mkfifo(self.a.config)
        proc = self.weft("reload", self.a.sock)
        self.assertIn("cannot be read a second time", "\n".join(proc.expect_exit(1)))
        self.b.wait_peer("lab.a")

    def test_sighup(self):
        manager = Manager(self)
        self.write([self.b.url])
        self.a.proc = self.spawn("weftd", manager.argv(harness.program("weftd"), "-c", self.a.config))
        manager.wait("^READY=1$")
        self.b.wait_peer("lab.a")
        self.write([self.b.url, self.c.url])
        self.a.proc.process.send_signal(signal.SIGHUP)
        self.a.proc.wait_line(f"info  reload: dials {re.escape(self.c.url)}")
        manager.wait(r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
        manager.wait("^READY=1$")
        self.c.wait_peer("lab.a")
        self.write([self.b.url, "nonsense"])
        self.a.proc.process.send_signal(signal.SIGHUP)
        self.a.proc.wait_line(r"error reload: .*:5:\d+: peers.1.: found \"nonsense\"")
        self.a.proc.wait_line("error reload: nothing was changed")
        self.assertEqual(self.b.proc.count("peer down"), 0, self.b.proc.tail())
        self.a.proc.terminate()

    def test_a_router_whose_links_are_all_taken(self):
        """It is asked and commanded all the same; a program that subscribes finds no place."""
        self.start([self.b.url])
        self.b.wait_peer("lab.a")
        self.write([self.b.url], "limits: {peers: 1}\n")
        self.assertIn("changed limits.peers: 1", self.reload())
        sub = self.weft("sub", "T@lab.b.x", "-P", self.a.sock)
        sub.wait_line("no more links taken: raise limits.peers")
        sub.terminate_any()
        trace = self.weft("trace", "T@lab.b.x", "-P", self.a.sock, "--timeout", "0.5")
        self.assertRegex(trace.expect_exit(1)[-1], "the link to .* is gone: .*raise limits.peers")
        self.weft("status", self.a.sock).expect_exit(0)
        self.write([self.b.url])
        self.assertIn("changed limits.peers: 1024", self.reload())

    def test_the_command_line_stays_on_top(self):
        self.write([self.b.url], "log: error\n")
        self.a.proc = self.spawn("weftd", [harness.program("weftd"), "-c", self.a.config, "--log", "info", "-P",
                                           self.c.url])
        self.c.wait_peer("lab.a")
        self.write([self.d.url], "log: debug\n")
        said = self.reload()
        self.assertIn(f"dropped {self.b.url}", said)
        self.assertIn(f"dials {self.d.url}", said)
        self.assertNotIn("log", said)
        self.assertNotIn(self.c.url, said)

    def test_other_peers_make_no_other_role(self):
        """A leaf, by its only peer being a unix socket, that would be a client now; told until it is restarted."""
        config = os.path.join(self.folder, "leaf.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"peers: ['{self.b.sock}']\n")
        leaf = self.spawn("leaf", [harness.program("weftd"), "-c", config])
        leaf.wait_line("peer up")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"peers: ['{self.c.url}']\n")
        for _ in range(2):
            mark = leaf.mark()
            leaf.process.send_signal(signal.SIGHUP)
            leaf.wait_line("needs a restart: role: client .is: leaf.", since=mark)
        self.c.proc.wait_line("peer up")

    def test_the_node_itself_among_its_peers(self):
        """Passed over as at the start, and told once."""
        self.start([self.b.url])
        self.write([self.b.url, self.a.url])
        self.assertEqual(self.reload(), f"dials {self.a.url}, or rather not: it is this node itself")
        self.assertEqual(self.reload(), "nothing is different")

    def test_without_a_file(self):
        proc = self.spawn("weftd", [harness.program("weftd"), "-l", self.a.sock])
        proc.wait_line("listening on")
        said = "\n".join(self.weft("reload", self.a.sock).expect_exit(1))
        self.assertIn("start it with -c FILE", said)
        proc.process.send_signal(signal.SIGHUP)
        proc.wait_line("Hangup: closing down")
        proc.expect_exit(0)

    def test_who_may(self):
        """Over unix sockets alone, unless the configuration says otherwise."""
        self.start([self.b.url])
        proc = self.weft("reload", self.a.url)
        self.assertIn("access", "\n".join(proc.expect_exit(1)))
        proc = self.weft("log", "debug", self.a.url)
        self.assertIn("access", "\n".join(proc.expect_exit(1)))
        self.a.proc.terminate()
        self.start([self.b.url], "access: {control: local}\n")
        self.assertEqual(self.run_weft("reload", self.a.url), "nothing is different")


class Log(harness.Case):
    def test_level_at_run_time(self):
        a = harness.Router(self, "lab.a", peers=["tcp://127.0.0.1:1/nobody"]).start()
        self.assertEqual(a.proc.count(" debug "), 0)
        self.assertEqual(self.run_weft("log", "debug", a.sock), f"{a.sock} logs at level debug")
        a.proc.wait_line(" debug dial failed")
        told = json.loads(self.run_weft("log", "error", a.sock, "--json"))
        self.assertEqual(told, {"url": a.sock, "log_level": "error"})
        mark = a.proc.mark()
        a.proc.terminate()
        self.assertEqual(a.proc.count(" info  Terminated", since=mark), 0, a.proc.tail())

    def test_misuse(self):
        for args, words in ((["log", "inof", "tcp://h:1/a"], "did you mean 'info'"), (["log", "info"], "one URL"),
                            (["log", "info", "what"], "not a peer URL"), (["reload"], "one URL"),
                            (["reload", "tcp://h:1/a", "--timeout", "0"], "--timeout 0"), (["relaod"], "'reload'")):
            self.assertIn(words, "\n".join(self.weft(*args).expect_exit(2)))

    def test_nobody_there(self):
        url = f"tcp://127.0.0.1:{harness.free_port()}/x"
        for args in (["reload", url], ["log", "info", url]):
            self.assertIn("refused", "\n".join(self.weft(*args).expect_exit(1)))


if __name__ == "__main__":
    harness.main()
