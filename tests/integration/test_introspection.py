"""QUERY and ANSWER as docs/protocol.md section 9 has them, spoken by hand with a real weftd: who is answered, what
is in an answer, commands and refusals. The programs that use them have tests of their own."""

import os
import time

import harness
from harness import wire

ALL = 31
ROUTER_PARTS = {"status": 1, "peers": 2, "routes": 4, "entries": 8, "incidents": 16}


class Introspection(harness.Case):
    def setUp(self):
        super().setUp()
        self.router_a = self.router("lab.a")
        self.nonce = time.time_ns()

    def join(self, address=None, features=wire.INFO, max_frame=4 << 20, path="lab.asker"):
        """A linked peer that has named these features."""
        me = f"tcp://127.0.0.1:{harness.free_port()}/{path}"
        if address and isinstance(address, str):
            me = f"unix://{address}.asker.sock/{path}"
        fields = {"version": 1, "node_id": os.urandom(16), "incarnation": 7, "role": wire.PEER,
                  "max_frame": max_frame, "agent": "test", "features": features}
        conn = wire.Connection.dial(address or self.router_a.address)
        self.addCleanup(conn.close)
        conn.send(wire.message("HANDSHAKE", me=me, you=self.router_a.url, stage=wire.INITIAL, **fields))
        answer = conn.expect("HANDSHAKE", "RESULT")
        self.assertEqual(answer.name, "HANDSHAKE", answer)
        answer = answer.decode()
        self.assertTrue(answer["features"] & wire.INFO)
        conn.send(wire.message("HANDSHAKE", me=answer["you"], you=answer["me"], stage=wire.FINAL, **fields))
        conn.expect("HANDSHAKE")
        conn.expect("PEERS")
        conn.send(wire.message("PEERS"))
        return conn

    def ask(self, conn, **query):
        """All pieces of the answer, or the RESULT."""
        self.nonce += 1
        conn.send(wire.frame("QUERY", wire.encode("QUERY", **query), timestamp=self.nonce, want_result=True))
        pieces = []
        while not pieces or pieces[-1]["more"]:
            frame = conn.expect("ANSWER", "RESULT")
            got = frame.decode()
            self.assertEqual(got["nonce"], self.nonce)
            if frame.name == "RESULT":
                return got
            self.assertFalse(frame.want_result)
            pieces.append(got)
        return pieces

    def refused(self, result, code, word):
        self.assertIsInstance(result, dict, result)
        self.assertEqual(result["error"], code, result)
        self.assertIn(word, result["description"])


class Reports(Introspection):
    def test_every_part_of_a_report(self):
        conn = self.join(features=wire.INFO | wire.PATTERNS)
        sub = self.weft("sub", "*@lab.**", "-P", self.router_a.sock)
        conn.expect("INTEREST", "INTERESTS")  # the router has it, and passes it on
        pieces = self.ask(conn, parts=ALL)
        status = pieces[0]["status"]
        self.assertEqual(status["url"], self.router_a.url)
        self.assertEqual(status["path"], "lab.a")
        self.assertEqual(status["pid"], self.router_a.proc.pid)
        self.assertEqual(len(status["node_id"]), 16)
        self.assertEqual(status["role"], wire.PEER)
        self.assertIn(self.router_a.url, status["listen"].split())
        self.assertLess(abs(status["now"] - time.time_ns()), 60 * 10**9)
        self.assertLessEqual(status["started"], status["now"])
        self.assertGreater(status["stats"]["uptime"], 0)
        peers = {peer["path"]: peer for piece in pieces for peer in piece["peers"]}
        self.assertEqual(peers["lab.asker"]["state"], "linked")
        self.assertEqual(peers["lab.asker"]["agent"], "test")
        self.assertTrue(peers["lab.asker"]["inbound"])
        self.assertTrue(peers["lab.asker"]["features"] & wire.INFO)
        routes = [route["route"] for piece in pieces for route in piece["routes"]]
        self.assertIn("*@lab.**", routes)
        self.assertTrue(any(piece["entries"] for piece in pieces))
        self.assertEqual(pieces[-1]["text"], "")
        sub.terminate()

    def test_parts_alone(self):
        conn = self.join()
        for name, bit in ROUTER_PARTS.items():
            with self.subTest(part=name):
                pieces = self.ask(conn, parts=bit)
                for other in ROUTER_PARTS:
                    if other != name:
                        self.assertFalse(any(piece[other] for piece in pieces), other)
        self.assertEqual(self.ask(conn, parts=1 << 20)[0]["status"], None)  # a part of later versions
        self.assertEqual(len(self.ask(conn)), 1)

    def test_small_frames_make_many_pieces(self):
        conn = self.join(max_frame=64 << 10)
        intents = [{"route": f"T@lab.asker.{i:04}.{'x' * 200}", "register": True, "alias": i + 1}
                   for i in range(2000)]
        for at in range(0, len(intents), 100):
            conn.send(wire.message("INTENTS", intents=intents[at:at + 100]))
        pieces = self.ask(conn, parts=ROUTER_PARTS["routes"])
        self.assertGreater(len(pieces), 6)
        routes = [route["route"] for piece in pieces for route in piece["routes"]]
        self.assertEqual(len(routes), 2000)
        self.assertEqual(sorted(routes), [intent["route"] for intent in intents])
        one = self.ask(conn, parts=ROUTER_PARTS["routes"], route=intents[7]["route"])
        self.assertEqual([route["route"] for route in one[0]["routes"]], [intents[7]["route"]])

    def test_what_went_wrong(self):
        conn = self.join(path="lab.gone")
        conn.close()
        self.router_a.proc.wait_line("peer down.*lab.gone")
        incidents = self.ask(self.join(), parts=ROUTER_PARTS["incidents"])[0]["incidents"]
        ended = [one for one in incidents if "lab.gone" in one["peer"]]
        self.assertEqual(len(ended), 1)
        self.assertEqual(ended[0]["type"], 2)
        self.assertLess(ended[0]["error"], 0)
        self.assertGreater(len(ended[0]["text"]), 3)

    def test_a_route_that_is_none(self):
        self.refused(self.ask(self.join(), parts=ROUTER_PARTS["routes"], route="no route"), wire.MALFORMED, "at byte 2")


class Commands(Introspection):
    def test_over_a_unix_socket(self):
        conn = self.join(self.router_a.sock_file)
        said = self.ask(conn, command="log", arguments=["debug"])
        self.assertEqual(len(said), 1)
        self.assertEqual(self.ask(conn, parts=1)[0]["status"]["log_level"], 4)
        self.ask(conn, command="add", arguments=["tcp://127.0.0.1:9/lab.nobody", "persistent=true"])
        entries = self.ask(conn, parts=ROUTER_PARTS["entries"])[0]["entries"]
        self.assertEqual([entry["persistent"] for entry in entries if "lab.nobody" in entry["peer"]], [True])

    def test_what_cannot_be_done(self):
        conn = self.join(self.router_a.sock_file)
        self.refused(self.ask(conn, command="logg", arguments=["debug"]), wire.NOT_SUPPORTED, "no such command")
        self.refused(self.ask(conn, command="log", arguments=["loud"]), wire.INVALID, "loud")
        self.refused(self.ask(conn, command="unban", arguments=["tcp://127.0.0.1:9/x"]), wire.NOT_FOUND, "tcp")
        self.assertEqual(self.ask(conn, parts=1)[0]["status"]["pid"], self.router_a.proc.pid)

    def test_not_over_tcp(self):
        conn = self.join()
        self.refused(self.ask(conn, command="log", arguments=["debug"]), wire.DENIED, "access")
        self.assertNotEqual(self.ask(conn, parts=1)[0]["status"]["log_level"], 4)


class Others(Introspection):
    def test_without_the_feature(self):
        """A QUERY is skipped, and nothing of the kind is sent."""
        conn = self.join(features=wire.DIGEST)
        conn.send(wire.frame("QUERY", wire.encode("QUERY", parts=ALL), timestamp=self.nonce, want_result=True))
        payload = os.urandom(16)
        conn.send(wire.message("PING", payload=payload))
        seen = []
        while not seen or seen[-1].name != "PONG":
            seen.append(conn.receive())
        self.assertFalse({"QUERY", "ANSWER", "RESULT"} & {frame.name for frame in seen})

    def test_an_unasked_answer(self):
        conn = self.join()
        conn.send(wire.message("ANSWER", nonce=self.nonce, text="unasked"))
        self.assertEqual(self.ask(conn, parts=1)[0]["status"]["path"], "lab.a")


if __name__ == "__main__":
    harness.main()
