"""weft addrbook: every verb on a file and on a live router, what keeps the two apart, and damaged files."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)

ARM = "tcp://10.0.0.1:7400/robot.arm"
BASE = "tcp://robot.lan:7400/robot.base"
EYE = "unix:///run/weft.sock/robot.eye"
NODE_ID = "0123456789abcdef0123456789abcdef"


def entry(peer, **fields):
    return {"peer": peer, **fields}


class Books(harness.Case):
    def setUp(self):
        super().setUp()
        self.file = os.path.join(self.folder, "book")

    def book(self, verb, *args, code=0, of=None):
        """Standard output of `weft addrbook VERB BOOK ARGS`."""
        return self.run_weft("addrbook", verb, of or self.file, *args, code=code)

    def fails(self, verb, *args, of=None, code=1):
        """What it says on standard error."""
        proc = self.weft("addrbook", verb, of or self.file, *args, split=True)
        proc.expect_exit(code)
        self.assertEqual(proc.lines, [])
        return "\n".join(proc.errors)

    def entries(self, of=None):
        found = json.loads(self.book("dump", "--json", of=of))["addrbook"]
        return {one["peer"]: one for one in found}

    def write_json(self, *entries, name="entries.json"):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"addrbook": list(entries)}, file)
        return path

    def content(self, path=None):
        with open(path or self.file, "rb") as file:
            return file.read()

    def flip(self, at, path=None):
        with open(path or self.file, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 0x40]))


class Files(Books):
    def test_add_makes_the_file(self):
        self.assertEqual(self.book("add", ARM, EYE).splitlines(), [f"added {ARM}", f"added {EYE}"])
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        found = self.entries()
        self.assertEqual(list(found), [ARM, EYE])
        self.assertEqual((found[ARM]["origin"], found[ARM]["persistent"]), ("operator", True))
        self.assertEqual(os.listdir(self.folder), ["book"])

    def test_add_says_how_it_is_dialled(self):
        self.book("add", ARM, "--no-persistent", "--max-attempts", "3", "--backoff", "250ms", "--max-backoff", "2m",
                  "--multiplier", "2.25")
        one = self.entries()[ARM]
        self.assertEqual([one[name] for name in ("persistent", "max_attempts", "default_backoff_ms", "max_backoff_ms",
                                                 "multiplier")], [False, 3, 250, 120000, 2.25])
        # What is not said again stays.
        self.assertEqual(self.book("add", ARM, "--backoff", "1s"), f"configured {ARM}")
        one = self.entries()[ARM]
        self.assertEqual((one["persistent"], one["max_attempts"], one["default_backoff_ms"]), (False, 3, 1000))
        self.assertIn("unchanged", self.book("add", ARM))

    def test_add_refuses_what_is_no_peer(self):
        self.book("add", ARM)
        before = self.content()
        for url, words in (("nonsense", "nonsense"), ("tcp://h:99999/x", "port"), ("ftp://h:1/x", "ftp"),
                           ("tcp://0.0.0.0:7400/x", "cannot|can be dialled")):
            self.assertRegex(self.fails("add", BASE, url), words)
            self.assertEqual(self.content(), before)
        self.assertRegex(self.fails("add", "robot.arm"), r"robot\.arm is not a URL: add wants one, such as tcp://")

    def test_remove(self):
        self.book("add", ARM, EYE, BASE)
        self.assertEqual(self.book("remove", "robot.arm", EYE).splitlines(), [f"removed {ARM}", f"removed {EYE}"])
        self.assertEqual(list(self.entries()), [BASE])

    def test_remove_takes_all_names_of_the_node(self):
        self.book("add", "--from", self.write_json(entry(ARM, node_id=NODE_ID), entry(EYE, node_id=NODE_ID),
                                                   entry(BASE)))
        self.assertEqual(self.book("remove", NODE_ID[:6]).splitlines(),
                         [f"removed {ARM}", f"removed {EYE}, another name of the same node"])
        self.assertEqual(list(self.entries()), [BASE])

    def test_remove_what_the_configuration_names_too(self):
        """Only what the operator said is taken back; the second time it is nobody's but the configuration's."""
        self.book("add", "--from", self.write_json(entry(ARM, node_id=NODE_ID, origin="operator", in_config=True),
                                                   entry(EYE, node_id=NODE_ID)))
        self.assertRegex(self.book("remove", ARM), f"^released {ARM}, which stays: the configuration names it, too; .*$")
        self.assertEqual([(one["origin"], one["in_config"]) for one in self.entries().values()],
                         [("configured", True), ("operator", False)])
        self.assertEqual(self.book("remove", ARM).splitlines(),
                         [f"removed {ARM}", f"removed {EYE}, another name of the same node"])

    def test_ban_and_unban(self):
        self.book("add", ARM, EYE)
        self.assertEqual(self.book("ban", "robot.arm", "--until", "2200-01-31T12:00"),
                         f"banned {ARM} until 2200-01-31T12:00:00Z")
        self.assertEqual(self.book("ban", EYE, BASE).splitlines(),
                         [f"banned {EYE} for ever", f"banned {BASE} for ever, which was not in the book"])
        found = self.entries()
        self.assertEqual({one["state"] for one in found.values()}, {"banned"})
        self.assertEqual(found[ARM]["banned_until"], "2200-01-31T12:00:00.000Z")
        self.assertEqual(found[EYE]["banned_until"], "for ever")
        self.assertRegex(self.book("ban", ARM, "--for", "7d"), r"until 20\d\d-")
        self.assertEqual(self.book("unban", "robot.arm", "robot.base", EYE).splitlines(),
                         [f"unbanned {ARM}", f"unbanned {BASE}", f"unbanned {EYE}"])
        self.assertNotIn("banned", {one["state"] for one in self.entries().values()})
        self.assertIn("is not banned", self.book("unban", ARM))

    def test_pin_and_unpin(self):
        self.book("add", ARM, "--no-persistent")
        self.assertEqual(self.book("pin", "robot.arm"), f"pinned {ARM}")
        self.assertIn("unchanged", self.book("pin", ARM))
        self.assertTrue(self.entries()[ARM]["persistent"])
        self.assertEqual(self.book("unpin", ARM), f"unpinned {ARM}")
        self.assertFalse(self.entries()[ARM]["persistent"])

    def test_mistyped_peers_change_nothing(self):
        self.book("add", ARM, EYE)
        before = self.content()
        for verb in ("remove", "ban", "unban", "pin", "unpin", "why"):
            self.assertIn(f"did you mean {ARM}?", self.fails(verb, "robot.amr"))
            self.assertIn("no such entry", self.fails(verb, "quite.another"))
        self.assertIn("did you mean", self.fails("remove", EYE, "robot.amr"))
        self.assertIn("not found", self.fails("remove", ARM, of=self.file + ".none"))
        self.assertEqual(self.content(), before)

    def test_one_path_of_two_nodes(self):
        other = "tcp://10.0.0.2:7400/robot.arm"
        self.book("add", ARM, other)
        words = self.fails("remove", "robot.arm")
        self.assertIn("several peers", words)
        self.assertIn(other, words)
        self.book("remove", other)

    def test_dry_run_changes_nothing(self):
        self.book("add", ARM)
        before = self.content()
        again = os.path.join(self.folder, "again")
        self.assertEqual(self.book("add", EYE, "--dry-run"), f"would add {EYE}")
        self.assertEqual(self.book("remove", ARM, "--dry-run"), f"would remove {ARM}")
        self.assertEqual(self.book("ban", ARM, "--dry-run"), f"would ban {ARM} for ever")
        self.assertEqual(self.book("unpin", ARM, "--dry-run"), f"would unpin {ARM}")
        self.assertIn(f"would add {ARM}", self.book("merge", self.file, "--dry-run", of=again))
        self.assertEqual(self.content(), before)
        self.assertFalse(os.path.exists(again))

    def test_changes_as_json(self):
        def changes(verb, *args):
            told = json.loads(self.book(verb, *args, "--json"))
            self.assertEqual((told["file"], told["url"]), (self.file, None))
            self.assertEqual(told["dry_run"], "--dry-run" in args)
            for one in told["changes"]:
                one.pop("text")
            return told["changes"]

        def one(kind, peer, **more):
            return {"kind": kind, "peer": peer, **more}

        self.assertEqual(changes("add", ARM, EYE), [one("added", ARM), one("added", EYE)])
        self.assertEqual(changes("add", ARM, "--backoff", "2s"), [one("configured", ARM)])
        self.assertEqual(changes("add", "--from", self.write_json(entry(EYE, attempts=3))), [one("replaced", EYE)])
        self.assertEqual(changes("ban", EYE, "--dry-run"), [one("banned", EYE, banned_until_ns=2 ** 63 - 1)])
        self.assertEqual(changes("unban", EYE), [one("unchanged", EYE)])
        self.assertEqual(changes("ban", EYE, "--until", "2200-01-01"),
                         [one("banned", EYE, banned_until_ns=7258118400 * 10 ** 9)])
        self.assertEqual(changes("unban", EYE), [one("unbanned", EYE)])
        self.assertEqual(changes("unpin", "robot.arm", EYE), [one("unpinned", ARM), one("unpinned", EYE)])
        self.assertEqual(changes("pin", ARM), [one("pinned", ARM)])
        self.assertEqual(changes("remove", ARM, "--dry-run"), [one("removed", ARM)])
        text = json.loads(self.book("remove", ARM, "--json"))["changes"][0]["text"]
        self.assertEqual(text, f"removed {ARM}")
        self.fails("remove", ARM, "--json")  # and prints nothing

    def test_a_symbolic_link_stays_one(self):
        target = os.path.join(self.folder, "target")
        os.symlink("target", self.file)
        self.book("add", ARM)
        os.chmod(target, 0o640)
        self.book("add", EYE)
        self.assertTrue(os.path.islink(self.file))
        self.assertEqual(stat.S_IMODE(os.stat(target).st_mode), 0o640)
        self.assertEqual(list(self.entries(target)), [ARM, EYE])

    def test_a_folder_that_is_not_there(self):
        self.assertIn("No such file or directory", self.fails("add", ARM, of=self.folder + "/none/book"))


class RoundTrip(Books):
    """dump --json, add --from into nothing, dump --json: the same, byte for byte."""

    ODD = [
        entry("tcp://[fe80::1%eth0]:7400/robot.arm?key=a%20b", node_id=NODE_ID, origin="gossip",
              source="tcp://teller.lan:1/t", multiplier=1.37, attempts=4294967295, failed_attempts=7,
              max_attempts=1, backoff_ns=1, default_backoff_ns=999999999, max_backoff_ns=3600000000001,
              last_success_ns=1700000000123456789, added_ns=1, banned_until_ns=9223372036854775807, persistent=False),
        entry("unix:///run/ünïcödé-€.sock/robot.eye",
              last_error='quote " backslash \\ tab\t newline\n bell\x07 ünï € \U0001f916', origin="inbound"),
        entry("unix:///run/weft/plain", origin="observed", banned_until_ns=1700000000000000001),
        entry("inproc://name/path", persistent=True, origin="operator", in_config=True),
        entry("inproc://name2/path", origin="configured", in_config=True),
        entry("tcp://Robot.LAN:1/", multiplier=1.23456788),
        entry("tcp://127.0.0.1:65535"),
    ]

    def test_odd_entries(self):
        self.book("add", "--from", self.write_json(*self.ODD))
        found = self.entries()
        self.assertEqual(len(found), len(self.ODD))
        for one in self.ODD:  # what was given is there, exactly
            got = found[one["peer"]]
            for name, value in one.items():
                self.assertEqual(got["failed" if name == "failed_attempts" else name], value, (one["peer"], name))
        first = self.book("dump", "--json")
        path = os.path.join(self.folder, "dump.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(first)
        again = os.path.join(self.folder, "again")
        self.book("add", "--from", path, of=again)
        self.assertEqual(self.book("dump", "--json", of=again), first)
        # All but the owner's id, and the sum over it, is the same file.
        self.assertEqual(self.content(again)[28:-4], self.content()[28:-4])
        lines = self.book("add", "--from", path, of=again).splitlines()
        self.assertTrue(all(line.startswith("unchanged ") for line in lines), lines)

    def test_through_a_pipe(self):
        self.book("add", ARM, EYE)
        proc = self.weft("addrbook", "add", self.file + "2", "--from", "-", stdin=subprocess.PIPE)
        proc.process.stdin.write(self.book("dump", "--json"))
        proc.process.stdin.close()
        self.assertEqual(proc.expect_exit(0), [f"added {ARM}", f"added {EYE}"])

    def test_what_a_router_wrote(self):
        a = self.router("lab.a")
        b = self.router("lab.b", peers=[a.url])
        b.wait_peer("lab.a")
        b.proc.terminate()
        path = os.path.join(self.folder, "dump.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.book("dump", "--json", of=b.addrbook))
        self.book("add", "--from", path)
        self.assertEqual(self.content()[28:-4], self.content(b.addrbook)[28:-4])

    def test_replaces_and_says_so(self):
        self.book("add", ARM, EYE)
        path = self.write_json(entry(ARM, attempts=5))
        self.assertEqual(self.book("add", "--from", path), f"replaced {ARM}")
        self.assertEqual(self.entries()[ARM]["attempts"], 5)
        self.assertEqual(len(self.entries()), 2)

    def test_mistakes_are_told_with_their_place(self):
        self.book("add", EYE)
        before = self.content()
        for text, words in (
                ('{"addrbook": [', "entries.json:1:"),
                ('{"addrbok": []}', 'expected {"addrbook"'),
                ('{"addrbook": [7]}', "entry 1: expected an object"),
                ('{"addrbook": [{"persistent": true}]}', 'entry 1: expected a "peer"'),
                (json.dumps([entry(ARM), entry("tcp://h:x/a")]), r"entry 2 \(tcp://h:x/a\): .*port"),
                (json.dumps([entry(ARM, persitent=True)]), '"persitent" is no field of an entry; did you mean persist'),
                (json.dumps([entry(ARM, attempts=-1)]), "attempts: expected a whole number"),
                (json.dumps([entry(ARM, added="yesterday")]), "added: expected a time"),
                (json.dumps([entry(ARM, node_id="12")]), "node_id: expected 32 hex digits"),
                (json.dumps([entry(ARM, origin="hearsay")]), "origin: expected configured, gossip"),
                (json.dumps([entry(ARM), entry("tcp://10.0.0.1:7400/other")]), "entry 2 .*the same address")):
            path = os.path.join(self.folder, "entries.json")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            with self.subTest(text):
                self.assertRegex(self.fails("add", "--from", path), words)
                self.assertEqual(self.content(), before)


class Why(Books):
    def test_of_a_file(self):
        self.book("add", "--from", self.write_json(
            entry(ARM, node_id=NODE_ID, origin="gossip", source="tcp://teller:1/t", attempts=12, failed_attempts=10,
                  last_error="connection \x1b[31mrefused", persistent=False, added_ns=1700000000000000000),
            entry(EYE, node_id=NODE_ID, last_success_ns=1700000000000000000), entry(BASE)))
        text = self.book("why", ARM)
        for words in (ARM, "told by tcp://teller:1/t", "2023-11-14T22:13:20Z", NODE_ID, f"also +{EYE}",
                      "12, 10 failed in a row; given up at 10", r"last error +connection \\x1b\[31mrefused"):
            self.assertRegex(text, words)
        self.assertEqual(text.splitlines()[-1],
                         "A node that opens this book dials it once more, and drops it if that fails.")
        self.assertEqual(self.book("why", BASE).splitlines()[-1],
                         "A node that opens this book dials it within two seconds.")
        both = self.book("why", NODE_ID[:8])  # both names of the node
        self.assertIn(f"\n{EYE}\n", "\n" + both)
        self.book("ban", ARM, "--for", "2h")
        for peer in (ARM, EYE):  # a ban is of the node
            self.assertRegex(self.book("why", peer).splitlines()[-1], r"^It is banned until 20.*, for 11\dm more")

    def test_json(self):
        self.book("add", ARM, BASE)
        self.book("ban", ARM)
        found = json.loads(self.book("why", "robot.arm", "--json"))["entries"]
        self.assertEqual([(one["peer"], one["state"]) for one in found], [(ARM, "banned")])
        self.assertIn("banned for ever", found[0]["next"])
        self.assertIsNone(found[0]["link"])

    def test_who_told_of_what_is_configured_now(self):
        self.book("add", "--from", self.write_json(entry(ARM, origin="gossip", source="tcp://teller:1/t")))
        self.assertIn("told by tcp://teller:1/t", self.book("why", ARM))
        self.book("add", ARM)
        self.assertRegex(self.book("why", ARM), r"name from +an operator\n")

    def test_who_named_it(self):
        for fields, words in (({"origin": "configured", "in_config": True}, "the configuration"),
                              ({"origin": "configured"}, "configured here, or added by the operator"),
                              ({"origin": "operator", "in_config": True}, "an operator; the configuration names it, too"),
                              ({"origin": "observed"}, "observed: what a peer calls itself, .*, or configured once")):
            self.book("add", "--from", self.write_json(entry(ARM, **fields)))
            self.assertRegex(self.book("why", ARM), f"name from +{words}\n")

    def test_every_form_escapes_once(self):
        error = "a\\b \\x41 \x1b[31m \x9b \u202e"
        self.book("add", "--from", self.write_json(entry(ARM, last_error=error)))
        for args in (["dump"], ["dump", "--tsv"], ["dump", "--text"], ["why", ARM]):
            with self.subTest(args=args):
                self.assertIn(r"a\\b \\x41 \x1b[31m \xc2\x9b \xe2\x80\xae", self.book(*args))
        self.assertEqual(self.entries()[ARM]["last_error"], error)
        self.assertTrue(self.book("dump", "--json").isascii())

    def test_no_form_lets_controls_through(self):
        """C1 controls, too, which JSON may hold as they are."""
        self.book("add", "--from", self.write_json(entry(ARM, last_error="refused \x9b31m\x1b[31m")))
        for args in (["dump"], ["dump", "--json"], ["dump", "--tsv"], ["why", ARM], ["why", ARM, "--json"]):
            with self.subTest(args=args):
                said = self.book(*args)
                self.assertIn("refused", said)
                self.assertNotRegex(said, "[\x1b\x80-\x9f]")


class Merge(Books):
    def test_newest_wins_and_no_ban_is_lost(self):
        other = os.path.join(self.folder, "other")
        old, new = 1700000000000000000, 1700000001000000000
        self.book("add", "--from", self.write_json(
            entry(ARM, last_success_ns=old, attempts=1, banned_until_ns=9223372036854775807),
            entry(EYE, last_success_ns=new, attempts=2), entry("tcp://10.0.0.9:1/same", added_ns=old)))
        self.book("add", "--from", self.write_json(
            entry(ARM, last_success_ns=new, attempts=10), entry(EYE, last_success_ns=old, attempts=20),
            entry(BASE, added_ns=old), entry("tcp://10.0.0.9:1/same", added_ns=old)), of=other)
        id_before = self.content()[12:28]
        self.assertEqual(self.book("merge", other).splitlines(),
                         [f"updated {ARM}, newer in {other}", f"added {BASE}, from {other}",
                          f"{other}: 1 added, 1 updated, 2 as they were"])
        found = self.entries()
        self.assertEqual({peer: one["attempts"] for peer, one in found.items()},
                         {ARM: 10, EYE: 2, BASE: 0, "tcp://10.0.0.9:1/same": 0})
        self.assertEqual(found[ARM]["state"], "banned")
        self.assertEqual(self.content()[12:28], id_before)
        self.assertIn("0 added, 0 updated, 4 as they were", self.book("merge", other))

    def test_what_another_configuration_names_is_not_ours(self):
        other = os.path.join(self.folder, "other")
        self.book("add", "--from", self.write_json(entry(ARM, origin="configured", in_config=True),
                                                   entry(EYE, added_ns=5, origin="gossip")))
        self.book("add", "--from", self.write_json(entry(ARM, origin="gossip", added_ns=5),
                                                   entry(EYE, added_ns=6, origin="configured", in_config=True),
                                                   entry(BASE, origin="operator", in_config=True)), of=other)
        self.book("merge", other)
        self.assertEqual({peer: (one["origin"], one["in_config"]) for peer, one in self.entries().items()},
                         {ARM: ("configured", True), EYE: ("configured", False), BASE: ("operator", False)})

    def test_what_was_added_here_keeps_its_schedule(self):
        """An entry that only heard of the peer is newer, but says nothing of how it is to be dialled."""
        other = os.path.join(self.folder, "other")
        self.book("add", ARM, "--max-backoff", "7s")
        self.book("add", EYE)
        later = 7258118400 * 10 ** 9
        self.book("add", "--from", self.write_json(entry(ARM, origin="gossip", added_ns=later, attempts=3, persistent=False),
                                                   entry(EYE, origin="operator", added_ns=later, persistent=False)), of=other)
        self.assertIn("0 added, 2 updated", self.book("merge", other))
        fields = ("origin", "persistent", "max_backoff_ns", "attempts")
        self.assertEqual({peer: [one[field] for field in fields] for peer, one in self.entries().items()},
                         {ARM: ["operator", True, 7 * 10 ** 9, 3], EYE: ["operator", False, 60 * 10 ** 9, 0]})

    def test_several_into_a_new_file(self):
        one, two = (os.path.join(self.folder, name) for name in ("one", "two"))
        self.book("add", ARM, of=one)
        self.book("add", EYE, of=two)
        self.book("merge", one, two)
        self.assertEqual(list(self.entries()), [ARM, EYE])
        self.assertIn("not found", self.fails("merge", one, one + ".none"))

    def test_as_json(self):
        self.book("add", "--from", self.write_json(entry(ARM, added_ns=5), entry(EYE, added_ns=5)))
        other = os.path.join(self.folder, "other")
        self.book("add", "--from", self.write_json(entry(ARM, added_ns=7), entry(EYE, added_ns=5), entry(BASE)), of=other)
        told = json.loads(self.book("merge", other, "--json"))
        self.assertEqual([(one["kind"], one["peer"], one["from"]) for one in told["changes"]],
                         [("updated", ARM, other), ("added", BASE, other)])
        self.assertEqual(told["merged"], [{"from": other, "added": 1, "updated": 1, "unchanged": 1}])

    def test_from_a_live_node(self):
        a = self.router("lab.a")
        b = self.router("lab.b", peers=[a.url])
        b.wait_peer("lab.a")
        self.assertIn(f"added {a.url}, from {b.sock}", self.book("merge", b.sock))
        self.assertEqual(list(self.entries()), [a.url])


class Damage(Books):
    def setUp(self):
        super().setUp()
        self.book("add", ARM, BASE, EYE)
        self.sound = self.content()
        self.first_end = 28 + 8 + int.from_bytes(self.sound[28:32], "big")

    def test_check(self):
        self.assertEqual(self.book("check"), f"{self.file}: sound, 3 entries")
        self.assertTrue(json.loads(self.book("check", "--json"))["sound"])
        self.flip(60)
        words = f"damaged, 2 of 3 entries kept, {self.first_end - 28} bytes lost, damaged at: " \
                f"bytes 28 to {self.first_end - 1}"
        remedy = f"'weft addrbook check {self.file} --repair' keeps what is sound"
        self.assertEqual(self.book("check", code=1), f"{self.file}: {words}\n{remedy}")
        self.assertIn("a folder, not a regular file; name the file", self.fails("dump", of=os.path.dirname(self.file)))
        found = json.loads(self.book("check", "--json", code=1))
        self.assertEqual((found["sound"], found["entries"], found["entries_expected"], found["damage"]),
                         (False, 2, 3, [{"from": 28, "to": self.first_end}]))
        self.assertIn("weft addrbook check", self.fails("dump"))
        self.assertIn("weft addrbook check", self.fails("add", ARM))

    def test_repair(self):
        self.flip(60)
        damaged = self.content()
        self.assertIn("would write", self.book("check", "--repair", "--dry-run", code=1))
        self.assertEqual(self.content(), damaged)
        text = self.book("check", "--repair")
        aside = re.search(r"^the damaged file is kept as (.*)$", text, re.M).group(1)
        self.assertEqual(self.content(aside), damaged)
        self.assertEqual(list(self.entries()), [BASE, EYE])
        self.assertEqual(self.content()[12:28], self.sound[12:28])
        self.assertIn("sound", self.book("check", "--repair"))  # and writes nothing now
        self.assertEqual(len(os.listdir(self.folder)), 2)

    def test_repair_elsewhere(self):
        self.flip(60)
        damaged = self.content()
        out = os.path.join(self.folder, "out")
        self.assertIn(f"{out} written with 2 entries", self.book("check", "--repair", "-o", out))
        self.assertEqual(self.content(), damaged)
        self.assertEqual(list(self.entries(out)), [BASE, EYE])

    def test_a_file_that_was_cut_off(self):
        with open(self.file, "r+b") as file:
            file.truncate(self.first_end + 5)
        self.assertIn("1 entry kept", self.book("check", code=1))
        self.book("check", "--repair")
        self.assertEqual(list(self.entries()), [ARM])

    def test_what_is_no_book(self):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write("self: tcp://0.0.0.0:7400/x\n")
        self.assertRegex(self.fails("check"), "byte 0: expected .*nothing of it can be used")
        self.fails("check", "--repair")
        self.assertEqual(self.content(), b"self: tcp://0.0.0.0:7400/x\n")

    def test_a_newer_weft_wrote_it(self):
        with open(self.file, "r+b") as file:
            file.seek(8)
            file.write(b"\0\0\0\2" + self.sound[12:-4] + b"what we do not know")
        newer = self.content()
        for args in ((), ("--json",), ("--repair",)):
            self.assertRegex(self.fails("check", *args), "expected version 1, found 2: a newer weft wrote it; .*"
                                                         "nothing was changed$")
        self.assertIn("a newer weft wrote it", self.fails("dump"))
        self.assertIn("a newer weft wrote it", self.fails("add", ARM))
        self.assertEqual(self.content(), newer)
        self.assertEqual(os.listdir(self.folder), ["book"])

    def test_what_is_no_regular_file(self):
        """A pipe would be waited for."""
        pipe, door = os.path.join(self.folder, "pipe"), os.path.join(self.folder, "door")
        os.mkfifo(pipe)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(door)
            for path, what in ((pipe, "a pipe"), ("/dev/zero", "a device"), (door, "a socket"),
                               (self.folder, "a folder")):
                for args in (("dump",), ("why", ARM), ("check",), ("check", "--json")):
                    self.assertIn(f"{path}: {what}, not a regular file", self.fails(*args, of=path))
                self.assertIn(f"{path}: {what}, not a regular file", self.fails("merge", path))
                for args in (("add", ARM), ("ban", ARM), ("merge", self.file), ("check", "--repair")):
                    self.assertIn(f"{path}: not a regular file", self.fails(*args, of=path))

    def test_a_router_goes_on_with_what_is_sound(self):
        router = harness.Router(self, "lab.a")
        os.rename(self.file, router.addrbook)
        self.flip(60, router.addrbook)
        damaged = self.content(router.addrbook)
        router.start()
        aside = router.proc.wait_line(r"2 of 3 entries kept.*set aside as (\S+)").group(1)
        self.assertEqual(self.content(aside), damaged)
        self.assertEqual(list(self.entries(router.sock)), [BASE, EYE])
        router.proc.kill9()  # what was kept was written before anything else
        self.assertEqual(list(self.entries(router.addrbook)), [BASE, EYE])


class Held(Books):
    """A file that a running router holds."""

    def setUp(self):
        super().setUp()
        self.a = self.router("lab.a")

    def test_is_changed_by_nobody_else(self):
        path = self.a.addrbook
        for verb, args in (("add", [ARM]), ("remove", [ARM]), ("ban", [ARM]), ("pin", [ARM]), ("merge", [path]),
                           ("check", ["--repair"])):
            words = self.fails(verb, *args, of=path)
            for part in (path, f"in use by process {self.a.proc.pid}", "by its URL", "end it first"):
                self.assertIn(part, words)
        self.assertIn("empty", self.book("dump", of=path))  # reading is free
        self.assertIn("sound", self.book("check", of=path))

    def test_is_no_second_routers(self):
        other = harness.Router(self, "lab.b")
        other.addrbook = self.a.addrbook
        with open(other.config, "a", encoding="utf-8") as file:
            file.write("")
        with open(other.config, encoding="utf-8") as file:
            lines = [line for line in file if not line.startswith("addrbook:")]
        with open(other.config, "w", encoding="utf-8") as file:
            file.writelines([*lines, f"addrbook: {self.a.addrbook}\n"])
        other.start(ready=False)
        words = "\n".join(other.proc.expect_exit(1))
        self.assertIn(f"in use by process {self.a.proc.pid}", words)
        self.assertIn("a file of its own", words)

    def test_is_free_when_the_router_is_gone(self):
        self.a.proc.kill9()
        self.book("add", ARM, of=self.a.addrbook)
        self.a.start()
        self.assertEqual(list(self.entries(self.a.sock)), [ARM])
        self.a.proc.terminate()
        self.book("remove", ARM, of=self.a.addrbook)
        self.assertEqual([name for name in os.listdir(self.folder) if name.endswith(".lock")], [])

    def test_is_free_when_a_router_says_goodbye(self):
        """It is saved for the last time then, however long the rest takes."""
        b = harness.Router(self, "lab.b", extra="linger: 1h\n").start()
        sub = self.weft("sub", "T@lab.b.x", "-P", b.sock, "--format", "hex")
        self.weft("pub", "T@lab.b.x", "x", "-P", b.sock).expect_exit(0)
        sub.wait_line("78")
        sub.process.send_signal(signal.SIGSTOP)
        self.weft("pub", "T@lab.b.x", "-P", b.sock, "--size", "256KiB", "--count", "32").expect_exit(0)
        b.proc.process.send_signal(signal.SIGTERM)
        b.proc.wait_line("closing down")
        deadline = time.monotonic() + harness.PATIENCE
        while self.weft("addrbook", "add", b.addrbook, ARM).exit_code():  # until its loop has come to that
            self.procs[-1].may_exit_with.add(1)
            self.assertLess(time.monotonic(), deadline)
        self.assertIsNone(b.proc.process.poll())
        b.proc.terminate(code=1)
        self.assertIn(ARM, self.entries(b.addrbook))

    @unittest.skipUnless(os.geteuid() == 0, "the superuser alone may run programs as others")
    def test_what_the_superuser_edits_stays_its_owners(self):
        os.chown(self.folder, 65534, 65534)
        self.book("add", ARM)
        self.assertEqual(os.stat(self.file).st_uid, 65534)
        lock = os.path.join(self.folder, "book.lock")
        with open(lock, "wb"):  # what a killed tool left
            pass
        os.chown(lock, 0, 0)
        os.chmod(lock, 0o600)
        proc = self.weft("addrbook", "add", self.file, EYE, user=65534)
        self.assertIn(f"{lock} belongs to another user; remove it", "\n".join(proc.expect_exit(1)))
        os.chown(lock, 65534, 65534)
        self.weft("addrbook", "add", self.file, EYE, user=65534).expect_exit(0)
        self.book("add", BASE)
        self.assertEqual(os.stat(self.file).st_uid, 65534)
        os.chown(self.file, 0, 0)
        os.chmod(self.file, 0o644)
        proc = self.weft("addrbook", "remove", self.file, ARM, user=65534)
        self.assertIn("as the user whose file it is", "\n".join(proc.expect_exit(1)))
        self.assertEqual(list(self.entries()), [ARM, BASE, EYE])

    def test_two_tools_at_a_time(self):
        """Of many that add at the same time each is either done or refused; none is lost."""
        peers = [f"tcp://10.0.1.{i}:7400/x" for i in range(12)]
        codes = {}

        def add(peer):
            codes[peer] = subprocess.run([harness.program("weft"), "addrbook", "add", self.file, peer],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
        threads = [threading.Thread(target=add, args=(peer,)) for peer in peers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertLessEqual(set(codes.values()), {0, 1})
        self.assertEqual(sorted(self.entries()), sorted(peer for peer in peers if codes[peer] == 0))
        self.assertIn(0, codes.values())


class Live(Books):
    """The same verbs on a running router, which is told over its unix socket."""

    def setUp(self):
        super().setUp()
        self.a = self.router("lab.a")
        self.b = self.router("lab.b", peers=[self.a.url], extra="log: debug\n")
        self.b.wait_peer("lab.a")
        self.dead = f"tcp://127.0.0.1:{harness.free_port()}/lab.dead"

    def live(self, verb, *args):
        return self.book(verb, *args, of=self.b.sock)

    def one(self, peer):
        found = json.loads(self.live("why", peer, "--json"))["entries"]
        self.assertEqual(len(found), 1)
        return found[0]

    def test_add_and_remove(self):
        self.assertEqual(self.live("add", self.dead, "--no-persistent", "--max-attempts", "7", "--backoff", "300ms",
                                   "--max-backoff", "5s", "--multiplier", "3"), f"added {self.dead}")
        one = self.one(self.dead)
        self.assertEqual([one[name] for name in ("origin", "persistent", "max_attempts", "default_backoff_ns",
                                                 "max_backoff_ns", "multiplier")],
                         ["operator", False, 7, 300000000, 5000000000, 3])
        self.assertEqual(self.live("remove", "lab.dead"), f"removed {self.dead}")
        self.assertNotIn(self.dead, self.entries(self.b.sock))
        self.assertIn("no such entry", self.fails("remove", "lab.dead", of=self.b.sock))

    def test_remove_what_the_configuration_names_too(self):
        mark = self.b.proc.mark()
        self.assertEqual(self.live("add", self.a.url), f"configured {self.a.url}")
        one = self.one("lab.a")
        self.assertEqual((one["origin"], one["in_config"]), ("operator", True))
        self.assertIn(f"would release {self.a.url}", self.live("remove", "lab.a", "--dry-run"))
        self.assertIn(f"released {self.a.url}", self.live("remove", "lab.a"))
        one = self.one("lab.a")
        self.assertEqual((one["origin"], one["in_config"], one["state"]), ("configured", True, "linked"))
        self.assertEqual(self.b.proc.count("peer down.*/lab.a", since=mark), 0)

    def test_add_links(self):
        c = self.router("lab.c")
        mark = self.b.proc.mark()
        self.live("add", c.url)
        self.b.wait_peer("lab.c", since=mark)
        self.assertEqual(self.entries(self.b.sock)[c.url]["state"], "linked")

    def test_remove_ends_the_link(self):
        mark = self.b.proc.mark()
        self.live("remove", "lab.a")
        self.b.proc.wait_line("peer down.*/lab.a", since=mark)

    def test_ban_ends_the_link_and_unban_brings_it_back(self):
        mark = self.b.proc.mark()
        self.assertRegex(self.live("ban", "lab.a", "--for", "1h"), f"^banned {re.escape(self.a.url)} until 20")
        self.b.proc.wait_line("peer down.*/lab.a", since=mark)
        one = self.one("lab.a")
        self.assertEqual((one["state"], one["link"]), ("banned", None))
        self.assertRegex(one["next"], "^It is banned until 20.*its links are refused")
        mark = self.b.proc.mark()
        self.assertEqual(self.live("unban", "lab.a"), f"unbanned {self.a.url}")
        self.b.wait_peer("lab.a", since=mark)
        self.assertIn("is not banned", self.live("unban", "lab.a"))

    def test_ban_of_a_stranger(self):
        self.assertEqual(self.live("ban", self.dead), f"banned {self.dead} for ever, which was not in the book")
        self.assertIn("It is banned for ever", self.live("why", self.dead))
        self.b.proc.terminate()  # and it lasts
        self.assertEqual(self.entries(self.b.addrbook)[self.dead]["banned_until"], "for ever")

    def test_pin_and_unpin(self):
        self.live("add", self.dead, "--no-persistent")
        self.assertEqual(self.live("pin", "lab.dead"), f"pinned {self.dead}")
        self.assertIn("unchanged", self.live("pin", "lab.dead"))
        self.assertTrue(self.one(self.dead)["persistent"])
        self.assertEqual(json.loads(self.live("unpin", "lab.dead", "--json")), {
            "file": None, "url": self.b.sock, "dry_run": False,
            "changes": [{"kind": "unpinned", "peer": self.dead, "text": f"unpinned {self.dead}"}]})
        self.assertFalse(self.one(self.dead)["persistent"])

    def test_dry_run(self):
        before = self.entries(self.b.sock)
        self.assertEqual(self.live("add", self.dead, "--dry-run"), f"would add {self.dead}")
        self.assertEqual(self.live("ban", "lab.a", "--dry-run"), f"would ban {self.a.url} for ever")
        self.assertEqual(self.live("remove", "lab.a", "--dry-run"), f"would remove {self.a.url}")
        told = json.loads(self.live("remove", "lab.a", "--dry-run", "--json"))
        self.assertEqual((told["dry_run"], [one["text"] for one in told["changes"]]),
                         (True, [f"would remove {self.a.url}"]))
        self.assertEqual(self.entries(self.b.sock), before)

    def test_why(self):
        text = self.live("why", "lab.a")
        for words in ("state +linked", "linked since +20", "link +we dialled", "name from +the configuration\n"):
            self.assertRegex(text, words)
        self.assertEqual(text.splitlines()[-1], "It is linked; nothing is to be done.")
        self.assertRegex(self.book("why", "lab.b", of=self.a.sock), "name from +it dialled us")
        mark = self.b.proc.mark()
        self.live("add", self.dead, "--backoff", "1m")
        self.b.proc.wait_line("dial failed.*lab.dead", since=mark)
        text = self.live("why", self.dead)
        for words in ("state +waiting\n", "1, 1 failed in a row; pinned", "last error +connection refused",
                      "lately +.*dial_failed"):
            self.assertRegex(text, words)
        self.assertRegex(text.splitlines()[-1], r"^It is dialled next in [\d.]+m?s\.$")
        self.assertEqual(self.one(self.dead)["state"], "waiting")

    def test_first_failure_is_logged(self):
        """Where an operator looks, and once; not of names that others told."""
        mark = self.b.proc.mark()
        self.live("add", self.dead, "--backoff", "100ms")
        self.b.proc.wait_line(r" debug dial failed: \S+/lab\.dead: connection refused", since=mark)
        self.assertEqual(self.b.proc.count(r" info  dial failed: \S+/lab\.dead: connection refused"), 1)
        c = harness.Router(self, "lab.c", extra="log: debug\n")
        self.book("add", "--from", self.write_json(entry(self.dead, origin="gossip", persistent=False)), of=c.addrbook)
        c.start()
        c.proc.wait_line(r"dial failed: \S+/lab\.dead")
        self.assertEqual(c.proc.count(" info  dial failed"), 0)

    def test_why_of_one_that_was_dropped(self):
        mark = self.b.proc.mark()
        self.live("add", self.dead, "--no-persistent", "--max-attempts", "1")
        self.b.proc.wait_line("dial failed.*lab.dead", since=mark)
        proc = self.weft("addrbook", "why", self.b.sock, self.dead, split=True)
        proc.expect_exit(1)
        self.assertRegex("\n".join(proc.lines), "lately +.*dial_failed: connection refused")
        self.assertIn("no such entry", "\n".join(proc.errors))

    def test_from_json(self):
        path = self.write_json(entry(self.dead, persistent=False, max_attempts=4),
                               entry(ARM, banned_until="for ever"))
        self.assertEqual(self.live("add", "--from", path).splitlines(),
                         [f"added {ARM}", f"banned {ARM}", f"added {self.dead}"])
        self.assertEqual(self.one(self.dead)["max_attempts"], 4)
        self.assertEqual(self.one(ARM)["state"], "banned")

    def test_others_may_look_but_not_change(self):
        self.assertIn(self.a.url, self.entries(self.b.url))
        words = self.fails("remove", "lab.a", of=self.b.url)
        self.assertIn("takes commands from programs that come over a unix socket", words)
        self.assertIn(self.a.url, self.entries(self.b.url))


if __name__ == "__main__":
    harness.main()
