"""weft bench: every measurement prints one object whose numbers fit together. No time is asserted: how fast it
was is not what is tested here."""

import json
import os
import select
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)

SECONDS = ["--seconds", "0.05"]

# Arguments behind `weft bench`, and what must be said about them.
MISUSES = [
    ([], "no measurement"),
    (["throughputt"], "did you mean 'throughput'"),
    (["throughput", "--size", "15"], "--size 15"),
    (["throughput", "--size", "33MiB"], "--size 33MiB"),
    (["throughput", "--size", "much"], "--size much"),
    (["throughput", "--seconds", "0"], "--seconds 0"),
    (["throughput", "--transport", "pigeon"], "tcp or unix"),
    (["throughput", "--other-routes", "-1"], "--other-routes -1"),
    (["throughput", "--subscribers", "2"], "--subscribers is no option"),
    (["throughput", "--stop"], "--stop is no option"),
    (["throughput", "--port", "1"], "--port is no option"),
    (["throughput", "--nonsense"], "unrecognized option"),
    (["throughput", "16"], "'16' is one argument too many"),
    (["latency", "--mode", "recv"], "--mode is no option"),
    (["fanout", "--subscribers", "0"], "--subscribers 0"),
    (["fanout", "--subscribers", "101"], "--subscribers 101"),
    (["fanout", "--subscribers", "1", "--stop"], "two subscribers"),
    (["local", "--mode", "magic"], "recv, callback or thread"),
    (["local", "--transport", "tcp"], "--transport is no option"),
]


class Usage(harness.Case):
    def test_misuse(self):
        for args, words in MISUSES:
            with self.subTest(" ".join(args)):
                lines = "\n".join(self.weft("bench", *args).expect_exit(2))
                self.assertIn(words, lines)
                self.assertIn("See 'weft", lines)

    def test_help(self):
        whole = self.run_weft("bench", "--help")
        self.assertEqual(whole, self.run_weft("help", "bench"))
        for name in ("throughput", "latency", "fanout", "local"):
            self.assertRegex(whole, rf"(?m)^  {name} ")
            text = self.run_weft("bench", name, "--help")
            self.assertIn(f"usage: weft bench {name}", text)
            self.assertIn("--seconds", text)
            self.assertIn("Exit codes:", text)


class Measurements(harness.Case):
    def measure(self, name, *args):
        proc = self.weft("bench", name, *SECONDS, *args, "--json", split=True)
        lines = proc.expect_exit(0, timeout=100)
        self.assertEqual(len(lines), 1, lines)
        self.assertEqual(proc.errors, [])
        result = json.loads(lines[0])
        self.assertEqual((result["bench"], result["system"]), (name, "weft"))
        self.assertRegex(result["version"], r"^\d+\.\d+")
        self.assertTrue(result["setting"])
        return result

    def check_stream(self, result, size):
        self.assertEqual(result["size"], size)
        self.assertGreater(result["sent"], 0)
        self.assertEqual(result["lost"], 0)
        self.assertEqual(result["received"], result["sent"] * result.get("subscribers", 1))
        if "msgs_per_s" in result:
            self.assertGreaterEqual(result["msgs_per_s"], 0)
            if "bytes_per_s" in result:
                self.assertAlmostEqual(result["bytes_per_s"], result["msgs_per_s"] * size,
                                       delta=size + result["bytes_per_s"] / 1000)
            expected = (result["received"] - 1) / result["seconds"]
            self.assertAlmostEqual(result["msgs_per_s"], expected, delta=1 + expected / 1000)

    def test_throughput(self):
        for size in (16, 256, 65536, 1 << 20):
            with self.subTest(size):
                self.check_stream(self.measure("throughput", "--size", str(size)), size)

    def test_largest_message(self):
        self.check_stream(self.measure("throughput", "--size", "32MiB"), 32 << 20)

    def test_throughput_by_unix_socket(self):
        self.check_stream(self.measure("throughput", "--transport", "unix"), 256)

    def test_throughput_with_other_routes(self):
        self.check_stream(self.measure("throughput", "--other-routes", "500"), 256)

    def test_latency(self):
        for transport in ("tcp", "unix"):
            with self.subTest(transport):
                result = self.measure("latency", "--transport", transport)
                self.assertGreater(result["samples"], 0)
                order = [result[key] for key in ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")]
                self.assertEqual(order, sorted(order))
                self.assertGreater(order[0], 0)

    def test_fanout(self):
        result = self.measure("fanout", "--subscribers", "3", "--size", "1KiB")
        self.assertEqual(result["subscribers"], 3)
        self.check_stream(result, 1024)
        self.assertGreater(result["deliveries_per_s"], 0)

    def test_fanout_with_one_stopped(self):
        result = self.measure("fanout", "--subscribers", "3", "--stop", "--seconds", "0.3")
        self.assertEqual(result["lost_others"], 0)
        self.assertEqual(result["received"] + result["lost"], result["sent"] * 3)
        self.assertGreater(result["others_before_per_s"], 0)
        self.assertAlmostEqual(result["ratio"], result["others_after_per_s"] / result["others_before_per_s"],
                               delta=0.01)

    def test_local(self):
        for mode in ("recv", "thread", "callback"):
            for size in (16, 1024):
                with self.subTest(mode, size=size):
                    result = self.measure("local", "--mode", mode, "--size", str(size))
                    self.assertEqual(result["mode"], mode)
                    self.check_stream(result, size)
                    self.assertAlmostEqual(result["ns_per_msg"] * result["msgs_per_s"], 1e9, delta=1e6)

    def test_text(self):
        text = self.run_weft("bench", "throughput", *SECONDS)
        self.assertRegex(text, r"(?m)^msgs_per_s +\d")
        self.assertRegex(text, r"(?m)^lost +0$")

    def children(self, proc, count):
        """The processes of a measurement, once there are so many."""
        path = os.path.join("/proc", str(proc.pid), "task", str(proc.pid), "children")
        deadline = time.monotonic() + harness.PATIENCE
        while time.monotonic() < deadline:
            with open(path, encoding="ascii") as file:
                pids = [int(pid) for pid in file.read().split()]
            if len(pids) == count:
                return pids
        raise AssertionError(f"not {count} processes in time")

    def assert_gone(self, pid):
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        with open(fd, "rb", buffering=0):
            self.assertTrue(select.select([fd], [], [], harness.PATIENCE)[0], f"process {pid} lives on")

    def test_killed(self):
        """Of a measurement that is killed, every process goes."""
        proc = self.weft("bench", "throughput", "--seconds", "1000")
        pids = self.children(proc, 2)
        proc.kill9()
        for pid in pids:
            self.assert_gone(pid)

    def test_interrupted(self):
        """One that is interrupted cleans up, and says so."""
        os.environ["TMPDIR"] = self.folder
        self.addCleanup(os.environ.pop, "TMPDIR")
        for number in (signal.SIGINT, signal.SIGTERM):
            proc = self.weft("bench", "throughput", "--seconds", "1000", "--transport", "unix")
            pids = self.children(proc, 2)
            proc.process.send_signal(number)
            self.assertIn("interrupted", "\n".join(proc.expect_exit(1)))
            for pid in pids:
                self.assert_gone(pid)
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    harness.main()
