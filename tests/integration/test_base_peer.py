"""A base peer (docs/protocol.md section 8) publishes to us and subscribes from us, dialling and dialled:
100,000 messages each way, each once, in order, byte for byte."""

import json
import os
import sys

import harness

COUNT = 100000
SIZE = 64
BASE_PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "base", "base_peer.py")
PATIENCE = 100


class BasePeer(harness.Case):
    def base(self, *args):
        return self.spawn("base peer", [sys.executable, BASE_PEER, "--timeout", str(PATIENCE), "--size",
                                        str(SIZE), "--count", str(COUNT), *args])

    def base_dials(self, port, *args):
        return self.base("--dial", f"127.0.0.1:{port}", "--me", f"tcp://127.0.0.1:{harness.free_port()}/base",
                         "--you", f"tcp://127.0.0.1:{port}/robot", *args)

    def base_listens(self, port, *args):
        proc = self.base("--listen", f"127.0.0.1:{port}", "--me", f"tcp://127.0.0.1:{port}/base", *args)
        proc.wait_line('"listening"')
        return proc

    def ours(self, way, route, *place):
        return self.spawn(f"sequence {way}", [harness.program("sequence"), way, route, str(COUNT), str(SIZE),
                                              *place])

    def both_end_well(self, base, ours):
        ours.expect_exit(0, PATIENCE)
        base.expect_exit(0, PATIENCE)
        events = [json.loads(line) for line in base.lines]
        self.assertNotIn("error", [event["event"] for event in events])
        return events

    def test_publishes_dialling(self):
        port = harness.free_port()
        ours = self.ours("subscribe", "types.Foo@base.foo", "self", f"tcp://127.0.0.1:{port}/robot")
        ours.wait_line("tcp://")
        self.both_end_well(self.base_dials(port, "--publish", "types.Foo@base.foo"), ours)

    def test_publishes_dialled(self):
        port = harness.free_port()
        base = self.base_listens(port, "--publish", "types.Foo@base.foo")
        ours = self.ours("subscribe", "types.Foo@base.foo", "self", "tcp://127.0.0.1:0/robot",
                         "peer", f"tcp://127.0.0.1:{port}/base")
        self.both_end_well(base, ours)

    def test_subscribes_dialling(self):
        port = harness.free_port()
        ours = self.ours("publish", "types.Foo@robot.foo", "self", f"tcp://127.0.0.1:{port}/robot")
        ours.wait_line("tcp://")
        events = self.both_end_well(self.base_dials(port, "--subscribe", "types.Foo@robot.foo"), ours)
        self.all_received(events)

    def test_subscribes_dialled(self):
        port = harness.free_port()
        base = self.base_listens(port, "--subscribe", "types.Foo@robot.foo")
        ours = self.ours("publish", "types.Foo@robot.foo", "self", "tcp://127.0.0.1:0/robot",
                         "peer", f"tcp://127.0.0.1:{port}/base")
        self.all_received(self.both_end_well(base, ours))

    def all_received(self, events):
        received = [event for event in events if event["event"] == "received"]
        self.assertEqual([event["count"] for event in received], [COUNT])

    def test_through_a_router_to_a_leaf(self):
        router = self.router("robot")
        ours = self.ours("subscribe", "types.Foo@base.foo", "peer", router.sock)
        router.proc.wait_line("peer up")
        self.both_end_well(self.base_dials(router.port, "--publish", "types.Foo@base.foo"), ours)

    def test_from_a_leaf_through_a_router(self):
        router = self.router("robot")
        ours = self.ours("publish", "types.Foo@robot.foo", "peer", router.sock)
        router.proc.wait_line("peer up")
        base = self.base_dials(router.port, "--subscribe", "types.Foo@robot.foo")
        self.all_received(self.both_end_well(base, ours))


if __name__ == "__main__":
    harness.main()
