"""weftd's log: each thing once, as text, as JSON with its fields, and as entries of the journal."""

import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)

HERE = os.path.dirname(os.path.abspath(__file__))
TIME = r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"


def can_mount():
    return bool(shutil.which("unshare")) and subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/run"], capture_output=True, check=False).returncode == 0


class Logs(harness.Case):
    def refused(self, extra, **how):
        """Two nodes of different networks: the first refuses the second, which is told in its log."""
        one = harness.Router(self, "lab.a", network="one", extra=extra).start(**how)
        two = self.router("lab.b", network="two", peers=[one.url])
        two.proc.wait_line("refused")
        return one, two

    def test_text(self):
        one, two = self.refused("log: info\n")
        one.proc.wait_line(r"Z warn  refused: .*lab\.b.*network")
        two.proc.terminate()
        one.proc.terminate()
        for line in one.proc.lines[1:]:
            self.assertRegex(line, r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn |info |debug) ")

    def test_json(self):
        one, two = self.refused("log: {format: json}\n", split=True)
        two.proc.terminate()
        one.proc.terminate()
        records = [json.loads(line) for line in one.proc.errors]
        for record in records:
            self.assertRegex(record["time"], TIME)
            self.assertLessEqual(set(record), {"time", "level", "event", "peer", "route", "error", "text"})
        refused = [record for record in records if record.get("event") == "refused"]
        self.assertTrue(refused, one.proc.tail())
        self.assertEqual(refused[0]["level"], "warn")
        self.assertEqual(refused[0]["error"], "WEFT_ENETWORK")
        self.assertEqual(refused[0]["peer"], "127.0.0.1", "an inbound link has no other name yet")
        self.assertIn(two.url, refused[0]["text"])
        self.assertEqual(records[-1]["event"], "closing")

    def test_each_thing_once(self):
        one = harness.Router(self, "lab.a", extra="log: {level: debug, format: json}\n").start(split=True)
        two = self.router("lab.b", peers=[one.url])
        two.wait_peer("lab.a")
        two.proc.terminate()
        one.proc.terminate()
        records = [json.loads(line) for line in one.proc.errors]
        for event in ("peer_up", "peer_down"):
            mine = [record for record in records if record.get("event") == event]
            self.assertEqual([record["peer"] for record in mine], [two.url], records)
        said = [record["text"] for record in records]
        self.assertEqual(sum("peer up" in text for text in said), 1, said)

    def test_self_that_others_cannot_reach(self):
        one = self.router("lab.a", peers=["tcp://nobody.invalid:7400/lab.b"])
        one.proc.wait_line(r" warn  self tcp://127\.0\.0\.1:\d+/lab\.a is a loopback address: .*nobody\.invalid")

    def test_format_on_the_command_line(self):
        proc = self.spawn("weftd", [harness.program("weftd"), "-l", "tcp://127.0.0.1:0/a", "--log-format", "json"],
                          split=True)
        proc.wait_line(harness.READY)
        proc.terminate()
        self.assertEqual(json.loads(proc.errors[-1])["event"], "closing")

    def test_a_failed_start_is_a_record(self):
        first = self.router("lab.a")
        second = harness.Router(self, "lab.b", port=first.port, extra="log: {format: json}\n").start(False, split=True)
        second.proc.expect_exit(1)
        record = json.loads(second.proc.errors[0])
        self.assertEqual((record["level"], record["event"], record["error"]), ("error", "start", "WEFT_EADDRINUSE"))

    def test_journal(self):
        """Found by itself; what goes there does not go to standard error as well."""
        if not can_mount():
            self.skipTest("no mount namespace here")
        one = harness.Router(self, "lab.a", network="one")
        proc = self.spawn("journal", ["unshare", "-rm", sys.executable, os.path.join(HERE, "fake_journal.py"),
                                      self.folder, harness.program("weftd"), "-c", one.config])
        proc.wait_line(harness.READY)
        two = self.router("lab.b", network="two", peers=[one.url])
        entry = json.loads(proc.wait_line(r'^journal (\{.*"WEFT_EVENT": "refused".*)$').group(1))
        self.assertEqual(entry["PRIORITY"], "4")
        self.assertEqual(entry["SYSLOG_IDENTIFIER"], "weftd")
        self.assertEqual(entry["WEFT_PEER"], "127.0.0.1")
        self.assertEqual(entry["WEFT_ERROR"], "WEFT_ENETWORK")
        self.assertRegex(entry["MESSAGE"], f"^refused: .*{two.url}")
        proc.terminate()
        proc.wait_line('"closing"')
        with open(os.path.join(self.folder, "stderr"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "")

    def test_no_journal_where_standard_error_leads_elsewhere(self):
        argv = ["env", "JOURNAL_STREAM=1:2", harness.program("weftd"), "-l", "tcp://127.0.0.1:0/a"]
        proc = self.spawn("weftd", argv, split=True)
        proc.wait_line(harness.READY)
        proc.terminate()
        self.assertTrue(any(re.search(" info .*closing", line) for line in proc.errors), proc.tail())
        self.assertFalse(any("journal" in line for line in proc.errors), proc.tail())

    def test_no_journal_at_all(self):
        if os.path.exists("/run/systemd/journal/socket"):
            self.skipTest("there is a journal here")
        proc = self.spawn("weftd", [harness.program("weftd"), "-l", "tcp://127.0.0.1:0/a", "--log-format", "journal"])
        proc.wait_line("warn .*there is no journal.*logging as text")
        proc.wait_line(harness.READY)
        proc.terminate()


if __name__ == "__main__":
    harness.main()
