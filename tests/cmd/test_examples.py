"""Every example, run to its end against another one."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402  (found by the line above)


class Examples(harness.Case):
    def example(self, name, *args):
        return self.spawn(name, [harness.program(name), *args])

    def test_text_pair(self):
        pub = self.example("publisher", "--count", "3", "tcp://127.0.0.1:0/demo")
        url = pub.wait_line(r"listening on (\S+)").group(1)
        lines = self.example("subscriber", "--count", "3", url).expect_exit(0)
        self.assertEqual(lines, [f"demo.Text@demo.greeting: hello number {n}" for n in (1, 2, 3)])
        pub.expect_exit(0)

    def test_typed_pair(self):
        pub = self.example("typed_publisher", "--count", "2", "tcp://127.0.0.1:0/demo.robot")
        url = pub.wait_line(r"listening on (\S+)").group(1)
        lines = self.example("typed_subscriber", "--count", "2", url).expect_exit(0)
        self.assertEqual(lines, ["demo.Pose@demo.robot.pose: x +1.000 y +0.000 theta +0.000",
                                 "demo.Pose@demo.robot.pose: x +0.995 y +0.100 theta +0.100"])
        pub.expect_exit(0)

    def test_embedded_loop(self):
        lines = self.example("embedded_loop", "--count", "3", "tcp://127.0.0.1:0/demo").expect_exit(0)
        self.assertEqual(lines, [f"demo.Text@demo.clock: tick {n}" for n in (1, 2, 3)])

    def test_machine_pair(self):
        load = self.example("machine_load", "--self", "tcp://127.0.0.1:0/lab.one")
        url = load.wait_line(r"listening on (\S+)").group(1)
        watch = self.example("machine_watch", "--self", "tcp://127.0.0.1:0/lab.two", "--peer", url, "--count", "2",
                             "--timeout", "20", "weft.demo.Machine@**")
        watch.wait_line("^peer up .*/lab.one$")
        watch.wait_line(r"^weft\.demo\.Machine@lab\.one #\d+ .*: load [\d.]+ [\d.]+ [\d.]+, memory [1-9]\d* of [1-9]")
        watch.expect_exit(0)
        load.wait_line("^peer down .*/lab.two: ")
        load.process.send_signal(signal.SIGTERM)
        load.expect_exit(0)

    def test_machine_watch_gives_up(self):
        watch = self.example("machine_watch", "--self", "tcp://127.0.0.1:0/lab.two", "--timeout", "1", "T@lab.x")
        self.assertIn("time is up after 0 messages", "\n".join(watch.expect_exit(1)))

    def test_usage(self):
        for name in ("publisher", "subscriber", "embedded_loop", "typed_publisher", "typed_subscriber"):
            self.assertIn(f"usage: {name}", "\n".join(self.example(name).expect_exit(1)))
        for name in ("machine_load", "machine_watch"):
            for args in ([], ["--self"], ["--count", "x", "--self", "tcp://127.0.0.1:0/a"]):
                self.assertIn(f"usage: {name}", "\n".join(self.example(name, *args).expect_exit(2)))


if __name__ == "__main__":
    harness.main()
