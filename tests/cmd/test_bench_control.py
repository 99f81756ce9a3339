"""weft bench mesh, routes and idle: one object each whose numbers fit together. No time is asserted."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)

MISUSES = [
    (["mesh", "--nodes", "1"], "--nodes 1"),
    (["mesh", "--nodes", "1001"], "--nodes 1001"),
    (["mesh", "--transport", "unix"], "tcp or inproc"),
    (["mesh", "--nonsense"], "unrecognized option"),
    (["mesh", "10"], "10: not expected"),
    (["routes", "--count", "0"], "--count 0"),
    (["routes", "--count", "10", "--patterns", "11"], "at most --count"),
    (["routes", "--patterns", "few"], "--patterns few"),
    (["idle", "--rate", "0"], "--rate 0"),
    (["idle", "--seconds", "soon"], "--seconds soon"),
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
        for name in ("mesh", "routes", "idle"):
            self.assertRegex(whole, rf"(?m)^  {name} ")
            text = self.run_weft("bench", name, "--help")
            self.assertIn(f"usage: weft bench {name}", text)
            self.assertIn("--json", text)
            self.assertIn("Exit codes:", text)


class Measurements(harness.Case):
    def measure(self, name, *args):
        lines = self.weft("bench", name, *args, "--json").expect_exit(0, timeout=100)
        self.assertEqual(len(lines), 1, lines)
        result = json.loads(lines[0])
        self.assertEqual((result["bench"], result["system"]), (name, "weft"))
        return result

    def told(self, result, *keys):
        """Whether the figures of the heap are there: all, or none where a sanitizer has its own."""
        there = [key for key in keys if key in result]
        if not there and harness.sanitized("weft"):
            return False
        self.assertEqual(there, list(keys))
        return True

    def test_mesh(self):
        for nodes, transport in ((2, "tcp"), (12, "tcp"), (5, "inproc")):
            with self.subTest(transport, nodes=nodes):
                result = self.measure("mesh", "--nodes", str(nodes), "--transport", transport)
                links = nodes * (nodes - 1) // 2
                self.assertEqual((result["nodes"], result["links"]), (nodes, links))
                self.assertGreater(result["seconds"], 0)
                if self.told(result, "kib_per_link", "kib_per_end"):
                    self.assertGreater(result["kib_per_link"], 0)
                    self.assertAlmostEqual(result["kib_per_end"], result["kib_per_link"] / 2, delta=0.1)
                self.assertAlmostEqual(result["duplicates_percent"], 100 * result["duplicates"] / links, delta=0.1)

    def test_too_few_files(self):
        argv = ["prlimit", "--nofile=200:200", harness.program("weft"), "bench", "mesh", "--nodes", "20"]
        said = "\n".join(self.spawn("weft bench", argv).expect_exit(1))
        self.assertIn("open files, and the limit is 200", said)
        self.assertIn("ulimit", said)

    def test_routes(self):
        for count, patterns in ((1, 0), (1, 1), (1000, 10), (10, 3), (500, 0)):
            with self.subTest(count, patterns=patterns):
                result = self.measure("routes", "--count", str(count), "--patterns", str(patterns))
                self.assertEqual((result["intents"], result["interests"]), (count, count))
                self.assertEqual(result["patterns"], patterns)
                self.assertAlmostEqual(result["seconds"], result["intents_seconds"] + result["interests_seconds"],
                                       delta=1e-4)
                if self.told(result, "bytes_per_intent", "bytes_per_interest") and count >= 500:
                    self.assertGreater(result["bytes_per_intent"], 0)
                    self.assertGreater(result["bytes_per_interest"], 0)

    def test_idle(self):
        result = self.measure("idle", "--rate", "100", "--seconds", "0.5")
        self.assertEqual(result["rate"], 100)
        self.assertGreater(result["messages"], 0)
        self.assertGreater(result["cpu_percent"], 0)

    def test_text(self):
        text = self.run_weft("bench", "mesh", "--nodes", "2")
        self.assertRegex(text, r"(?m)^links +1$")
        self.assertRegex(text, r"(?m)^kib_per_link +(\d|not told by this allocator$)")


if __name__ == "__main__":
    harness.main()
